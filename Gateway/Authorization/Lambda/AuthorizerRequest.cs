using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Lambda;

/// <summary>What an authorizer function is sent.</summary>
/// <remarks>Source: AppSync Events, "AWS_LAMBDA authorization".</remarks>
internal static class AuthorizerRequest
{
    private static readonly JsonWriterOptions s_writerOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Encodes the event for a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="accountId">The account that this gateway stands for.</param>
    public static ReadOnlyMemory<byte> Encode(in AuthRequest request, string accountId)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, s_writerOptions))
        {
            writer.WriteStartObject();
            writer.WriteString("authorizationToken"u8, request.Credentials.Authorization.Span);
            writer.WriteStartObject("requestContext"u8);
            writer.WriteString("apiId"u8, request.Api.Model.Id);
            writer.WriteString("accountId"u8, accountId);
            writer.WriteString("requestId"u8, request.Origin.RequestId);
            writer.WriteString("operation"u8, GetName(request.Operation));
            if (request.Operation != AuthOperation.Connect)
            {
                WriteChannel(writer, request.Channel.Span);
            }

            writer.WriteEndObject();
            writer.WriteStartObject("requestHeaders"u8);
            foreach (var (name, value) in CollectHeaders(request))
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    private static ReadOnlySpan<byte> GetName(AuthOperation operation) => operation switch
    {
        AuthOperation.Connect => "EVENT_CONNECT"u8,
        AuthOperation.Publish => "EVENT_PUBLISH"u8,
        _ => "EVENT_SUBSCRIBE"u8,
    };

    // The one form of the channel that every spelling of it leads to: a function that compares paths must not be passed by leaving
    // a slash out. Wildcards keep their star.
    private static void WriteChannel(Utf8JsonWriter writer, ReadOnlySpan<byte> text)
    {
        var path = Encoding.UTF8.GetString(text.Trim((byte)'/'));
        var slash = path.IndexOf('/', StringComparison.Ordinal);
        writer.WriteString("channelNamespaceName"u8, slash < 0 ? path : path[..slash]);
        writer.WriteString("channel"u8, "/" + path);
    }

    // The request's own headers, and over them the authorization object, which is where a message has its headers.
    private static Dictionary<string, string> CollectHeaders(in AuthRequest request)
    {
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in request.Origin.Headers)
        {
            Add(name, value.ToString());
        }

        foreach (var (name, value) in request.Credentials.EnumerateHeaders())
        {
            Add(name, value);
        }

        return headers;

        void Add(string name, string value)
        {
            // Cookies are left out as on AppSync. The subprotocols hold the connect's authorization object, which may
            // be another one than this message's.
            var lowerName = name.ToLowerInvariant();
            if (lowerName is not ("cookie" or "sec-websocket-protocol") && !lowerName.StartsWith(':'))
            {
                headers[lowerName] = value;
            }
        }
    }
}
