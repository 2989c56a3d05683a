namespace Fanfare.Gateway.Lambda;

/// <summary>How a function is called.</summary>
internal enum LambdaInvocationType
{
    /// <summary>Its result is waited for.</summary>
    RequestResponse,

    /// <summary>It is started and not waited for.</summary>
    Event,
}

/// <summary>One call of a function.</summary>
/// <param name="Function">The name or ARN.</param>
/// <param name="Payload">The event, JSON. Stays as it is until the call ends.</param>
/// <param name="Timeout">How long the call may take, all attempts and all waiting together.</param>
internal readonly record struct LambdaInvocation(string Function, ReadOnlyMemory<byte> Payload, TimeSpan Timeout)
{
    /// <summary>Whether the result is waited for.</summary>
    public LambdaInvocationType Type { get; init; }

    /// <summary>Whether the function may be called again where it is unknown if it ran.</summary>
    /// <value><see langword="false"/> by default: only what surely did not run is tried again.</value>
    public bool IsRepeatable { get; init; }
}

/// <summary>Why a call has no result.</summary>
internal enum LambdaFailureKind
{
    /// <summary>The configuration does not say where the function is.</summary>
    NotConfigured,

    /// <summary>The event is larger than Lambda takes.</summary>
    RequestTooLarge,

    /// <summary>The answer is larger than Lambda gives.</summary>
    ResponseTooLarge,

    /// <summary>No connection could be made, so nothing ran.</summary>
    Unreachable,

    /// <summary>The connection broke; what ran is unknown.</summary>
    Disconnected,

    /// <summary>The time was up.</summary>
    TimedOut,

    /// <summary>The service refused for lack of capacity; nothing ran.</summary>
    Throttled,

    /// <summary>The service answered with another error.</summary>
    ServiceError,

    /// <summary>The function ran and failed.</summary>
    FunctionError,

    /// <summary>The answer is not JSON.</summary>
    MalformedResponse,

    /// <summary>Too many calls that nobody waits for were waiting already.</summary>
    Dropped,
}

/// <summary>What is known of a failed call. The message is the function's own text, which may hold anything: it is not logged.</summary>
internal sealed class LambdaFailure(LambdaFailureKind kind)
{
    /// <summary>What happened.</summary>
    public LambdaFailureKind Kind { get; } = kind;

    /// <summary>The error's type as function or service named it, or <see langword="null"/>.</summary>
    public string? ErrorType { get; init; }

    /// <summary>The error's text, or <see langword="null"/>.</summary>
    public string? ErrorMessage { get; init; }

    /// <summary>The HTTP status where there was one, else 0.</summary>
    public int Status { get; init; }

    /// <summary>The id that the service gave the call, or <see langword="null"/>.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the service asked to wait, or <see langword="null"/>.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

/// <summary>What came of a call: the function's result, or a failure.</summary>
internal readonly struct LambdaResult
{
    private LambdaResult(ReadOnlyMemory<byte> payload, LambdaFailure? failure)
    {
        Payload = payload;
        Failure = failure;
    }

    /// <summary>What the function returned, one well-formed JSON value; <c>null</c> where it returned nothing or is not waited for.</summary>
    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>Why there is no result, or <see langword="null"/> where there is one.</summary>
    public LambdaFailure? Failure { get; }

    /// <summary>The function's result.</summary>
    public static LambdaResult Returned(ReadOnlyMemory<byte> payload) => new(payload, null);

    /// <summary>A failure.</summary>
    public static LambdaResult Failed(LambdaFailure failure) => new(default, failure);
}
