using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Backplane;

namespace Fanfare.Gateway.Handlers;

/// <summary>An authorized and validated operation that a handler decides about.</summary>
internal readonly struct HandlerRequest
{
    /// <summary>What is handled.</summary>
    public required HandlerKind Kind { get; init; }

    /// <summary>The API that the request reached.</summary>
    public required ServedApi Api { get; init; }

    /// <summary>The namespace whose handler runs.</summary>
    public required ServedNamespace Namespace { get; init; }

    /// <summary>The canonical path: a leading slash, none at the end; of a wildcard subscription with its star.</summary>
    public required string Path { get; init; }

    /// <summary>Who the request is from; <see langword="null"/> for an API key.</summary>
    public Identity? Identity { get; init; }

    /// <summary>Where the request comes from.</summary>
    public required RequestOrigin Origin { get; init; }

    /// <summary>The request's own credentials; a WebSocket message's are headers that lie over those of the upgrade.</summary>
    public Credentials Credentials { get; init; }

    /// <summary>The events of a publish, failed ones included, which no handler sees; <see langword="null"/> for a subscribe.</summary>
    public EventBatch? Events { get; init; }
}

/// <summary>Why a handler does not let a request through.</summary>
internal enum HandlerRefusalKind
{
    /// <summary><c>util.unauthorized()</c>.</summary>
    Unauthorized,

    /// <summary><c>util.error(…)</c>: type and text are the handler's.</summary>
    Rejected,

    /// <summary>The code failed; the client learns nothing of how.</summary>
    CodeFailed,

    /// <summary>A function that is the handler failed; the client learns nothing of how.</summary>
    FunctionFailed,

    /// <summary>More calls are under way than can be.</summary>
    Overloaded,
}

/// <summary>The words that metrics have for these.</summary>
internal static class HandlerTags
{
    /// <summary>The handler's name as its author writes it.</summary>
    public static string GetTag(this HandlerKind kind) => kind == HandlerKind.OnPublish ? "onPublish" : "onSubscribe";

    /// <summary>The outcome, one of a few words.</summary>
    public static string GetTag(this HandlerRefusalKind kind) => kind switch
    {
        HandlerRefusalKind.Unauthorized => "unauthorized",
        HandlerRefusalKind.Rejected => "rejected",
        HandlerRefusalKind.CodeFailed => "code_failed",
        HandlerRefusalKind.FunctionFailed => "function_failed",
        _ => "overloaded",
    };
}

/// <summary>A handler's refusal of the whole request (handlers, 7.1).</summary>
/// <param name="Kind">Why.</param>
/// <param name="Message">The handler's text where it is <see cref="HandlerRefusalKind.Rejected"/>, or <see langword="null"/>.</param>
/// <param name="ErrorType">The handler's type where it is <see cref="HandlerRefusalKind.Rejected"/>, or <see langword="null"/>.</param>
internal sealed record HandlerRefusal(HandlerRefusalKind Kind, string? Message = null, string? ErrorType = null)
{
    public static readonly HandlerRefusal Unauthorized = new(HandlerRefusalKind.Unauthorized);
    public static readonly HandlerRefusal CodeFailed = new(HandlerRefusalKind.CodeFailed);
    public static readonly HandlerRefusal FunctionFailed = new(HandlerRefusalKind.FunctionFailed);
    public static readonly HandlerRefusal Overloaded = new(HandlerRefusalKind.Overloaded);
}

/// <summary>What a handler decided: a refusal, or what is broadcast.</summary>
internal readonly struct HandlerOutcome
{
    private HandlerOutcome(HandlerRefusal? refusal, EventBatch? broadcast) => (Refusal, Broadcast) = (refusal, broadcast);

    /// <summary>Why the request is refused, or <see langword="null"/>.</summary>
    public HandlerRefusal? Refusal { get; }

    /// <summary>
    /// The events that go to subscribers, in the order in which they go; a reference that the receiver owns. <see langword="null"/> where
    /// there is a refusal, and for a subscribe.
    /// </summary>
    public EventBatch? Broadcast { get; }

    /// <summary>A subscribe may go on.</summary>
    public static HandlerOutcome Accepted => default;

    /// <summary>A publish goes on with these events.</summary>
    public static HandlerOutcome Publish(EventBatch broadcast) => new(null, broadcast);

    public static implicit operator HandlerOutcome(HandlerRefusal refusal) => new(refusal, null);
}

/// <summary>A handler of one namespace, whatever it is made of. Safe for concurrent use.</summary>
internal interface IEventHandler
{
    /// <summary>Decides about a request. Events that it fails one by one are marked so in the request's batch, which must not be shared yet.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancellationToken">Ends the wait when the client is gone.</param>
    ValueTask<HandlerOutcome> HandleAsync(HandlerRequest request, CancellationToken cancellationToken);
}
