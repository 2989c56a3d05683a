using System.Collections.Concurrent;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Signing;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Lambda;

/// <summary>Calls functions: at AWS or a server like it, in the Runtime Interface Emulator, or behind a webhook.</summary>
/// <remarks>
/// <para>
/// A call in order: find the function's target; post the event over the target's pooled connections, signed where credentials and
/// a signer exist; read the answer through a limit; tell result from failure; try again where that is allowed; give up when the time
/// is up. No failure is an exception, but for the caller's own cancellation.
/// </para>
/// <para>
/// Tried again, after a growing pause: what surely did not run (no connection, or refused for want of capacity), and, once and only
/// where the caller says that the function may run twice, what the service failed at. Never a function's own failure.
/// </para>
/// <para>Safe for concurrent use. Payloads and error texts are not logged.</para>
/// </remarks>
internal sealed class LambdaClient : IAsyncDisposable
{
    /// <summary>The greatest event of a call that is waited for.</summary>
    public const int RequestBytesMax = 6 * 1024 * 1024;

    /// <summary>The greatest event of a call that is not.</summary>
    public const int EventBytesMax = 1024 * 1024;

    private const string Service = "lambda";
    private const int AttemptsMax = 3;
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(100);

    // A service that asks for more patience than this is not waited for.
    private static readonly TimeSpan s_pauseMax = TimeSpan.FromSeconds(2);

    private readonly LambdaTargets _targets;
    private readonly LambdaOptions _options;
    private readonly string _region;
    private readonly GatewayMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly SigV4Credentials? _credentials;
    private readonly ConcurrentDictionary<string, SigV4Signer> _signers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Host, bool IsSerial), Lazy<LambdaEndpoint>> _endpoints = new();
    private readonly ConcurrentDictionary<string, Lazy<LambdaBacklog>> _backlogs = new(StringComparer.Ordinal);

    public LambdaClient(
        LambdaTargets targets, IOptions<GatewayOptions> options, GatewayMetrics metrics, TimeProvider timeProvider,
        ILogger<LambdaClient> logger)
    {
        _targets = targets;
        _options = options.Value.Lambda;
        _region = options.Value.Region;
        _metrics = metrics;
        _timeProvider = timeProvider;
        _logger = logger;
        _credentials = _options is { AccessKeyId: { Length: > 0 } id, SecretAccessKey: { Length: > 0 } secret }
            ? new SigV4Credentials(id, secret, string.IsNullOrEmpty(_options.SessionToken) ? null : _options.SessionToken)
            : null;
    }

    /// <summary>Calls a function.</summary>
    /// <param name="invocation">The call.</param>
    /// <param name="cancellationToken">Ends the call; the only thing that makes this throw.</param>
    /// <returns>
    /// The result, or why there is none. For <see cref="LambdaInvocationType.Event"/> the result is <c>null</c> as soon as the
    /// service, or the backlog before a target that knows no such calls, has taken it.
    /// </returns>
    public async ValueTask<LambdaResult> InvokeAsync(LambdaInvocation invocation, CancellationToken cancellationToken)
    {
        var function = LambdaFunctionName.Parse(invocation.Function);
        if (_targets.Find(function) is not { } target)
        {
            return LambdaResult.Failed(new LambdaFailure(LambdaFailureKind.NotConfigured));
        }

        if (invocation.Type == LambdaInvocationType.Event && target.Kind != LambdaTargetKind.Lambda)
        {
            return Enqueue(function, target, invocation);
        }

        return await InvokeAsync(function, target, invocation, cancellationToken);
    }

    /// <summary>Counts a call that was not made, for want of room among those that nobody waits for.</summary>
    public void CountDropped(string function) => Count(LambdaFunctionName.Parse(function), GetTag(LambdaFailureKind.Dropped));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var backlog in _backlogs.Values)
        {
            await backlog.Value.DisposeAsync();
        }

        foreach (var endpoint in _endpoints.Values)
        {
            endpoint.Value.Dispose();
        }
    }

    private LambdaResult Enqueue(in LambdaFunctionName function, LambdaTarget target, in LambdaInvocation invocation)
    {
        if (invocation.Payload.Length > EventBytesMax)
        {
            return Report(function, new LambdaFailure(LambdaFailureKind.RequestTooLarge));
        }

        var backlog = _backlogs.GetOrAdd(GetHost(target), _ => new Lazy<LambdaBacklog>(() => new LambdaBacklog(
            async (queued, call, token) => await InvokeAsync(
                LambdaFunctionName.Parse(call.Function), queued, call with { Type = LambdaInvocationType.RequestResponse }, token))));
        return backlog.Value.TryAdd(target, invocation)
            ? LambdaResult.Returned("null"u8.ToArray())
            : Report(function, new LambdaFailure(LambdaFailureKind.Dropped));
    }

    private async Task<LambdaResult> InvokeAsync(
        LambdaFunctionName function, LambdaTarget target, LambdaInvocation invocation, CancellationToken cancellationToken)
    {
        var limit = invocation.Type == LambdaInvocationType.Event ? EventBytesMax : RequestBytesMax;
        if (invocation.Payload.Length > limit)
        {
            return Report(function, new LambdaFailure(LambdaFailureKind.RequestTooLarge));
        }

        var began = _timeProvider.GetTimestamp();
        using var timeout = new CancellationTokenSource(invocation.Timeout, _timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        LambdaResult result;
        try
        {
            result = await TryAsync(function, target, invocation, either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            result = LambdaResult.Failed(new LambdaFailure(LambdaFailureKind.TimedOut));
        }

        _metrics.LambdaDuration.Record(_timeProvider.GetElapsedTime(began).TotalSeconds, new KeyValuePair<string, object?>("function", function.Name));
        if (result.Failure is { } failure)
        {
            return Report(function, failure);
        }

        Count(function, "success");
        return result;
    }

    private async Task<LambdaResult> TryAsync(
        LambdaFunctionName function, LambdaTarget target, LambdaInvocation invocation, CancellationToken cancellationToken)
    {
        var endpoint = GetEndpoint(target);
        var mayRepeat = invocation.IsRepeatable;
        for (var attempt = 1; ; attempt++)
        {
            using var request = LambdaEndpoint.CreateRequest(target, invocation);
            Sign(request, function, target, invocation.Payload);
            var result = await endpoint.SendAsync(request, target.Kind, invocation.Type, cancellationToken);
            if (result.Failure is not { } failure || attempt == AttemptsMax || failure.RetryAfter > s_pauseMax)
            {
                return result;
            }

            if (failure.Kind is not (LambdaFailureKind.Unreachable or LambdaFailureKind.Throttled))
            {
                if (!mayRepeat || !IsServiceFault(target.Kind, failure))
                {
                    return result;
                }

                mayRepeat = false;
            }

            await Task.Delay(failure.RetryAfter ?? (s_firstPause * attempt), _timeProvider, cancellationToken);
        }
    }

    // 408 and 409: file systems and snapshots that are not ready. The emulator's 5xx is the function's own death.
    private static bool IsServiceFault(LambdaTargetKind kind, LambdaFailure failure) =>
        failure.Kind == LambdaFailureKind.Disconnected
        || (failure.Kind == LambdaFailureKind.ServiceError && kind != LambdaTargetKind.Emulator
            && (failure.Status >= 500 || failure.Status is StatusCodes.Status408RequestTimeout or StatusCodes.Status409Conflict));

    private void Sign(HttpRequestMessage request, in LambdaFunctionName function, LambdaTarget target, ReadOnlyMemory<byte> body)
    {
        if (target.Kind == LambdaTargetKind.Lambda && _credentials is { } credentials)
        {
            // One signer for each region, since each keeps the day's derived key.
            _signers.GetOrAdd(function.Region ?? _region, region => new SigV4Signer(credentials, region, Service, _timeProvider))
                .Sign(request, body.Span);
        }
    }

    private LambdaEndpoint GetEndpoint(LambdaTarget target)
    {
        var key = (GetHost(target), IsSerial: target.Kind == LambdaTargetKind.Emulator);
        return _endpoints.GetOrAdd(key, static key => new Lazy<LambdaEndpoint>(() => new LambdaEndpoint(key.IsSerial))).Value;
    }

    private static string GetHost(LambdaTarget target) => target.Address.GetLeftPart(UriPartial.Authority);

    private LambdaResult Report(in LambdaFunctionName function, LambdaFailure failure)
    {
        Count(function, GetTag(failure.Kind));
        LambdaLog.Failed(
            _logger, function.Name, failure.Kind, failure.Status, LambdaLog.Clean(failure.ErrorType), LambdaLog.Clean(failure.RequestId));
        return LambdaResult.Failed(failure);
    }

    private void Count(in LambdaFunctionName function, string outcome) =>
        _metrics.LambdaInvocations.Add(1, new("function", function.Name), new("outcome", outcome));

    private static string GetTag(LambdaFailureKind kind) => kind switch
    {
        LambdaFailureKind.RequestTooLarge => "request_too_large",
        LambdaFailureKind.ResponseTooLarge => "response_too_large",
        LambdaFailureKind.Unreachable => "unreachable",
        LambdaFailureKind.Disconnected => "disconnected",
        LambdaFailureKind.TimedOut => "timed_out",
        LambdaFailureKind.Throttled => "throttled",
        LambdaFailureKind.ServiceError => "service_error",
        LambdaFailureKind.FunctionError => "function_error",
        LambdaFailureKind.MalformedResponse => "malformed_response",
        LambdaFailureKind.Dropped => "dropped",
        _ => "not_configured",
    };
}

/// <summary>What calling functions logs: names and ids, never payloads or texts.</summary>
internal static partial class LambdaLog
{
    private const int LengthMax = 128;

    // A warning for each: operators own the functions, and a failing one is theirs to mend.
    [LoggerMessage(60, LogLevel.Warning,
        "The function '{Function}' failed: {Kind}, status {Status}, error type '{ErrorType}', request id '{RequestId}'.")]
    public static partial void Failed(
        ILogger logger, string function, LambdaFailureKind kind, int status, string errorType, string requestId);

    /// <summary>Keeps of a text from outside what cannot disturb a log: names and ids pass, anything longer or stranger does not.</summary>
    public static string Clean(string? text) =>
        text is null ? "" : text.Length <= LengthMax && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or ':') ? text : "?";
}
