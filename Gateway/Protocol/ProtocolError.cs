using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fanfare.Gateway.Protocol;

/// <summary>One entry of an <c>errors</c> array: what a client is told about a request that was not carried out.</summary>
/// <remarks>
/// Types and texts follow the catalogue of AppSync Events. An error says nothing about credentials, and a namespace that does
/// not exist looks like one that is not allowed. Instances are immutable and shared.
/// </remarks>
internal sealed class ProtocolError
{
    private static readonly JsonWriterOptions s_writerOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The credentials are missing, wrong or expired, or no provider serves them.</summary>
    public static readonly ProtocolError Unauthorized =
        new("UnauthorizedException", "You are not authorized to make this call.", 401);

    /// <summary>The token is genuine and was good once; a client can get a new one.</summary>
    public static readonly ProtocolError TokenExpired = new("UnauthorizedException", "Token has expired.", 401);

    /// <summary>The credentials are good, but their mode may not do this here, or there is no such namespace.</summary>
    public static readonly ProtocolError NotAllowed = new("UnauthorizedException", null, 403);

    /// <summary>The channel is malformed, or a wildcard where only a channel can be.</summary>
    public static readonly ProtocolError InvalidChannel = new("BadRequestException", "Invalid Channel Format", 400);

    /// <summary>The channel is missing.</summary>
    public static readonly ProtocolError MissingChannel = new("BadRequestException", "The channel must be a string", 400);

    /// <summary>A subscribe that failed by no fault of the client's: the backplane, an authorizer function.</summary>
    public static readonly ProtocolError SubscriptionFailed =
        new("SubscriptionProcessingError", "There was an error processing the operation", 500);

    /// <summary>A publish while what joins the gateways cannot be reached; a connect while the gateway drains.</summary>
    public static readonly ProtocolError Unavailable =
        new("ServiceUnavailableException", "The service is temporarily unavailable, try again", 503);

    /// <summary>A WebSocket message of a type that clients do not send.</summary>
    public static readonly ProtocolError UnsupportedOperation =
        new("UnsupportedOperation", "Operation not supported through the realtime channel", 400);

    /// <summary>A WebSocket message that is not a JSON object.</summary>
    public static readonly ProtocolError MalformedMessage = new("BadRequestException", "The message is not a valid JSON object", 400);

    /// <summary>A message whose id is missing or not 1 to 128 of the allowed characters.</summary>
    public static readonly ProtocolError InvalidId =
        new("BadRequestException", "The id must be 1 to 128 letters, digits or any of - _ +", 400);

    /// <summary>An <c>authorization</c> that is not an object of strings.</summary>
    public static readonly ProtocolError MalformedAuthorization =
        new("BadRequestException", "The authorization must be an object of strings", 400);

    /// <summary>The subprotocol's or query's authorization cannot be read or lacks <c>host</c>.</summary>
    public static readonly ProtocolError MalformedConnectAuthorization =
        new("BadRequestException", "The header must be base64url-encoded JSON with at least a host", 400);

    /// <summary>The upgrade did not offer <c>aws-appsync-event-ws</c>.</summary>
    public static readonly ProtocolError NoProtocol =
        new("NoProtocolError", "The subprotocol aws-appsync-event-ws was not offered", 400);

    /// <summary>The id names a live subscription to another channel.</summary>
    public static readonly ProtocolError DuplicatedOperation =
        new("DuplicatedOperationError", "The id is in use by another subscription of this connection", 400);

    /// <summary>The API accepts no more connections now.</summary>
    public static readonly ProtocolError ConnectLimitExceeded = new("LimitExceededError", "Rate exceeded", 429);

    /// <summary>Too many credentials from the client's address were wrong lately, so these were not verified.</summary>
    public static readonly ProtocolError TooManyFailedAttempts = new("LimitExceededError", "Rate exceeded", 429);

    /// <summary>A handler failed; how is for logs alone. 403, so that clients do not repeat what would fail again.</summary>
    public static readonly ProtocolError HandlerFailed = new("HandlerExecutionError", "Unable to process request", 403);

    /// <summary>The function that handles HTTP publishes failed.</summary>
    public static readonly ProtocolError FunctionFailed = new("DependencyFailedException", "Unable to process request", 502);

    /// <summary>A handler refused a subscribe. Not the type of other refusals: older Amplify closes the whole connection on that one.</summary>
    public static readonly ProtocolError SubscribeUnauthorized = new("Unauthorized", Unauthorized.Message, 401);

    /// <summary>A handler rejected a request by <c>util.error</c>.</summary>
    /// <param name="errorType">The type that it gave, or <see langword="null"/>.</param>
    /// <param name="message">The text that it gave, or <see langword="null"/>.</param>
    public static ProtocolError Rejected(string? errorType, string? message) =>
        new(errorType ?? HandlerFailed.ErrorType, message ?? HandlerFailed.Message, HandlerFailed.Status) { Label = "HandlerRejection" };

    private readonly byte[] _json;

    /// <summary>Creates an error.</summary>
    /// <param name="errorType">The type that clients branch on.</param>
    /// <param name="message">A text for people, or <see langword="null"/> for none.</param>
    /// <param name="status">The HTTP status, and the <c>errorCode</c> of a <c>connection_error</c>.</param>
    public ProtocolError(string errorType, string? message, int status)
    {
        ErrorType = errorType;
        Message = message;
        Status = status;
        Label = errorType;
        _json = Encode(withCode: false);
    }

    /// <summary>The type that clients branch on.</summary>
    public string ErrorType { get; }

    /// <summary>The type as logs and metrics have it: one of a few words, whatever a handler says.</summary>
    public string Label { get; private init; }

    /// <summary>A text for people, or <see langword="null"/>.</summary>
    public string? Message { get; }

    /// <summary>The HTTP status of the same failure.</summary>
    public int Status { get; }

    /// <summary>The entry as JSON, without <c>errorCode</c>.</summary>
    public ReadOnlySpan<byte> Json => _json;

    /// <summary>Encodes the entry with its <c>errorCode</c>, as <c>connection_error</c> carries it.</summary>
    public byte[] EncodeWithCode() => Encode(withCode: true);

    private byte[] Encode(bool withCode)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, s_writerOptions))
        {
            writer.WriteStartObject();
            writer.WriteString("errorType"u8, ErrorType);
            if (withCode)
            {
                writer.WriteNumber("errorCode"u8, Status);
            }

            if (Message is not null)
            {
                writer.WriteString("message"u8, Message);
            }

            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
