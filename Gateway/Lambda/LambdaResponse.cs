using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace Fanfare.Gateway.Lambda;

/// <summary>What an HTTP answer to a call means; each kind of target has its own way to say that a function failed.</summary>
/// <remarks>Source: Lambda API reference, "Invoke", and the emulator's source where it differs.</remarks>
internal static class LambdaResponse
{
    private const int TextLengthMax = 1000;
    // As deep as an event may nest, and the list that a handler's function puts it into.
    private static readonly JsonReaderOptions s_readerOptions = new() { MaxDepth = 1100 };
    private static readonly byte[] s_null = "null"u8.ToArray();

    /// <summary>Interprets an answer whose body was read.</summary>
    public static LambdaResult Interpret(LambdaTargetKind kind, LambdaInvocationType type, HttpResponseMessage response, byte[] body)
    {
        var status = (int)response.StatusCode;
        if (status >= 400)
        {
            return Refused(kind, response, body);
        }

        if (status is < 200 or >= 300)
        {
            return Malformed(response);
        }

        if (type == LambdaInvocationType.Event && kind == LambdaTargetKind.Lambda)
        {
            return LambdaResult.Returned(s_null);
        }

        // Presence alone counts: the values are Handled and Unhandled.
        if (kind == LambdaTargetKind.Lambda && response.Headers.Contains("X-Amz-Function-Error"))
        {
            return FunctionFailed(response, body);
        }

        if (body.Length == 0 && kind != LambdaTargetKind.Emulator)
        {
            return LambdaResult.Returned(s_null);
        }

        if (!IsJson(body, out var isObject))
        {
            return kind == LambdaTargetKind.Emulator && body.AsSpan().StartsWith("Task timed out"u8)
                ? LambdaResult.Failed(Describe(LambdaFailureKind.FunctionError, response, "Sandbox.Timedout", Encoding.UTF8.GetString(body)))
                : Malformed(response);
        }

        return kind == LambdaTargetKind.Emulator && isObject && IsErrorObject(body)
            ? FunctionFailed(response, body)
            : LambdaResult.Returned(body);
    }

    private static LambdaResult Refused(LambdaTargetKind kind, HttpResponseMessage response, byte[] body)
    {
        // The emulator answers 400 while it runs another call, which the service never does for want of capacity.
        var isBusy = kind == LambdaTargetKind.Emulator && response.StatusCode == HttpStatusCode.BadRequest;
        var failure = isBusy || response.StatusCode == HttpStatusCode.TooManyRequests
            ? LambdaFailureKind.Throttled
            : LambdaFailureKind.ServiceError;
        var (_, message) = ReadError(body, "Message", "message");
        return LambdaResult.Failed(Describe(failure, response, Header(response, "x-amzn-ErrorType"), message));
    }

    private static LambdaResult FunctionFailed(HttpResponseMessage response, byte[] body)
    {
        var (type, message) = ReadError(body, "errorMessage", "errorMessage");
        return LambdaResult.Failed(Describe(LambdaFailureKind.FunctionError, response, type, message));
    }

    private static LambdaResult Malformed(HttpResponseMessage response) =>
        LambdaResult.Failed(Describe(LambdaFailureKind.MalformedResponse, response, null, null));

    private static LambdaFailure Describe(LambdaFailureKind kind, HttpResponseMessage response, string? type, string? message) => new(kind)
    {
        Status = (int)response.StatusCode,
        ErrorType = Shorten(type),
        ErrorMessage = Shorten(message),
        RequestId = Shorten(Header(response, "x-amzn-RequestId")),
        RetryAfter = response.Headers.RetryAfter?.Delta,
    };

    private static bool IsJson(byte[] body, out bool isObject)
    {
        isObject = false;
        try
        {
            var reader = new Utf8JsonReader(body, s_readerOptions);
            reader.Read();
            isObject = reader.TokenType == JsonTokenType.StartObject;
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsErrorObject(byte[] body)
    {
        using var document = Parse(body);
        return document is not null
            && document.RootElement.TryGetProperty("errorMessage", out _) && document.RootElement.TryGetProperty("errorType", out _);
    }

    // Every member may be missing, and the body need not be JSON at all.
    private static (string? Type, string? Message) ReadError(byte[] body, string messageName, string otherMessageName)
    {
        using var document = Parse(body);
        if (document is not { RootElement.ValueKind: JsonValueKind.Object })
        {
            return default;
        }

        return (GetText("errorType"), GetText(messageName) ?? GetText(otherMessageName));

        string? GetText(string name) =>
            document.RootElement.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? ToText(value) : null;
    }

    private static string? ToText(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate or a byte that is not UTF-8: no text.
            return null;
        }
    }

    private static JsonDocument? Parse(byte[] body)
    {
        try
        {
            return JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = s_readerOptions.MaxDepth });
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;

    private static string? Shorten(string? text) =>
        text is null || text.Length <= TextLengthMax
            ? text
            : string.Create(CultureInfo.InvariantCulture, $"{text.AsSpan(0, char.IsHighSurrogate(text[TextLengthMax - 1]) ? TextLengthMax - 1 : TextLengthMax)}…");
}
