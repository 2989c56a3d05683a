using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway;

/// <summary>Writes HTTP answers in the protocol's shape: the headers of every answer, and errors.</summary>
internal static class HttpReply
{
    /// <summary>What pages of other origins may read besides the usual headers.</summary>
    public const string ExposedHeaders = "x-amzn-RequestId, x-amzn-errortype";

    private const int HeaderTypeLengthMax = 128;

    private static readonly SearchValues<char> s_headerCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-");

    /// <summary>Adds what every answer carries: the request's id, and that pages of all origins may read it.</summary>
    public static void AddHeaders(IHeaderDictionary headers, Guid requestId)
    {
        headers["x-amzn-RequestId"] = requestId.ToString();

        // AppSync meters handlers in tokens of 1,500 KB-seconds; nothing is charged for here, so it is always the first.
        headers["x-amzn-appsync-TokensConsumed"] = "1";
        headers.AccessControlAllowOrigin = "*";
        headers.AccessControlExposeHeaders = ExposedHeaders;
    }

    /// <summary>Answers with an error.</summary>
    public static async Task WriteErrorAsync(HttpResponse response, ProtocolError error)
    {
        response.StatusCode = error.Status;
        response.Headers["x-amzn-errortype"] = ToHeader(error.ErrorType);

        // Amplify shows a top-level message and doesn't look into errors.
        var builder = new FrameBuilder(64 + (2 * error.Json.Length));
        builder.Append("{\"errors\":["u8);
        builder.Append(error.Json);
        builder.Append("]"u8);
        if (error.Message is { } message)
        {
            builder.Append(",\"message\":\""u8);
            builder.Append(JsonEncodedText.Encode(message, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
            builder.Append("\""u8);
        }

        builder.Append("}"u8);
        await WriteBodyAsync(response, builder.CompletePayload());
    }

    // A type may be a handler's own words: only what is harmless in a header goes there (handlers, 7.1).
    private static string ToHeader(string errorType)
    {
        if (errorType.Length <= HeaderTypeLengthMax && !errorType.AsSpan().ContainsAnyExcept(s_headerCharacters))
        {
            return errorType;
        }

        var kept = string.Concat(errorType.Where(character => s_headerCharacters.Contains(character)).Take(HeaderTypeLengthMax));
        return kept.Length > 0 ? kept : ProtocolError.HandlerFailed.ErrorType;
    }

    /// <summary>Answers with a JSON body, whose memory is given back.</summary>
    public static async Task WriteBodyAsync(HttpResponse response, PooledFrame body)
    {
        try
        {
            response.ContentType = "application/json";
            response.ContentLength = body.Length;
            await response.Body.WriteAsync(body.Array.AsMemory(body.Offset, body.Length), response.HttpContext.RequestAborted);
        }
        finally
        {
            body.Return();
        }
    }
}
