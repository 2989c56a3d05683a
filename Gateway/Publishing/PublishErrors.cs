using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Publishing;

/// <summary>The errors of a publish whose type or text differs between HTTP and WebSocket.</summary>
/// <remarks>Observed on AppSync: the same mistake is <c>BadRequestException</c> over HTTP and <c>InvalidInputError</c> over WebSocket.</remarks>
internal sealed class PublishErrors
{
    private readonly ProtocolError[] _events;
    private readonly ProtocolError _functionFailed;

    private PublishErrors(
        string protocol, string inputErrorType, string tooManyText, ProtocolError tooLarge, string rateErrorType, ProtocolError functionFailed,
        GatewayLimits limits)
    {
        Protocol = protocol;
        _functionFailed = functionFailed;
        RateExceeded = new ProtocolError(rateErrorType, "Rate exceeded", 429);
        Overloaded = new ProtocolError(rateErrorType, "The gateway is overloaded, try again", 429);
        _events =
        [
            null!,
            new ProtocolError(inputErrorType, "The events must be an array of strings", 400),
            new ProtocolError(inputErrorType, "The events must not be empty", 400),
            new ProtocolError(inputErrorType, $"{tooManyText} exceeded {limits.EventsPerPublishMax} event limit", 400),
            new ProtocolError(inputErrorType, "Every event must be a string", 400),
            new ProtocolError(inputErrorType, "Every event must be a string that is valid JSON", 400),
            tooLarge,
        ];
    }

    /// <summary>The value of the metric's tag.</summary>
    public string Protocol { get; }

    /// <summary>A limit of rate was met.</summary>
    public ProtocolError RateExceeded { get; }

    /// <summary>The gateway takes no more publishes at the moment.</summary>
    public ProtocolError Overloaded { get; }

    /// <summary>The errors as HTTP publishes get them.</summary>
    public static PublishErrors ForHttp(GatewayLimits limits) => new(
        "http", "BadRequestException", "Input",
        new ProtocolError("RequestEntityTooLargeException", $"The events exceed {limits.PublishBytesMax} bytes", 413),
        "ThrottlingException", ProtocolError.FunctionFailed, limits);

    /// <summary>The errors as WebSocket publishes get them.</summary>
    public static PublishErrors ForWebSocket(GatewayLimits limits) => new(
        "websocket", "InvalidInputError", "input",
        new ProtocolError("InvalidInputError", $"The events exceed {limits.PublishBytesMax} bytes", 413),
        "LimitExceededError", ProtocolError.HandlerFailed, limits);

    /// <summary>The error for events that are not accepted as a whole.</summary>
    public ProtocolError Get(EventsError error) => _events[(int)error];

    /// <summary>The error for a publish that a handler refused (handlers, 7.1).</summary>
    public ProtocolError Get(HandlerRefusal refusal) => refusal.Kind switch
    {
        HandlerRefusalKind.Unauthorized => ProtocolError.Unauthorized,
        HandlerRefusalKind.Rejected => ProtocolError.Rejected(refusal.ErrorType, refusal.Message),
        HandlerRefusalKind.FunctionFailed => _functionFailed,
        HandlerRefusalKind.Overloaded => Overloaded,
        _ => ProtocolError.HandlerFailed,
    };
}
