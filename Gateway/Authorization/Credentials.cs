using System.Text;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization;

/// <summary>What a request says of who sent it: the authorization object of a message or a subprotocol, or HTTP headers.</summary>
/// <remarks>
/// Names are looked up without regard to case, as clients write them both ways. Values are secrets: they are never logged or
/// sent back. Valid as long as the memory it was read from.
/// </remarks>
internal readonly struct Credentials
{
    private static readonly JsonReaderOptions s_readerOptions = new() { MaxDepth = 8 };

    /// <summary>The <c>x-api-key</c> in UTF-8; empty where there is none.</summary>
    public ReadOnlyMemory<byte> ApiKey { get; private init; }

    /// <summary>The <c>Authorization</c> value in UTF-8; empty where there is none.</summary>
    public ReadOnlyMemory<byte> Authorization { get; private init; }

    /// <summary>Whether a <c>host</c> is given.</summary>
    public bool HasHost { get; private init; }

    /// <summary>Reads the headers of an HTTP request.</summary>
    public static Credentials FromHeaders(IHeaderDictionary headers) => new()
    {
        ApiKey = GetHeader(headers, "x-api-key"),
        Authorization = GetHeader(headers, "Authorization"),
        HasHost = headers.Host.Count > 0,
    };

    /// <summary>Reads an authorization object, a flat map of header names and values.</summary>
    /// <param name="json">The JSON of the object; empty for none, which gives credentials that authorize nothing.</param>
    /// <param name="credentials">The credentials on success.</param>
    /// <returns><see langword="false"/> where it is not a JSON object.</returns>
    public static bool TryParse(ReadOnlyMemory<byte> json, out Credentials credentials)
    {
        credentials = default;
        if (json.Length == 0)
        {
            return true;
        }

        try
        {
            return TryParseCore(json, out credentials);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a lone surrogate, which has no UTF-8 form.
            return false;
        }
    }

    private static bool TryParseCore(ReadOnlyMemory<byte> json, out Credentials credentials)
    {
        credentials = default;
        var reader = new Utf8JsonReader(json.Span, s_readerOptions);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        ReadOnlyMemory<byte> apiKey = default, authorization = default;
        var hasHost = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // Escaped names are not worth resolving: no client writes "x-api-\u006bey".
            var name = reader.ValueSpan;
            if (Ascii.EqualsIgnoreCase(name, "x-api-key"u8))
            {
                apiKey = ReadString(ref reader, json);
            }
            else if (Ascii.EqualsIgnoreCase(name, "authorization"u8))
            {
                authorization = ReadString(ref reader, json);
            }
            else if (Ascii.EqualsIgnoreCase(name, "host"u8))
            {
                hasHost = ReadString(ref reader, json).Length > 0;
            }
            else
            {
                reader.Skip();
            }
        }

        while (reader.Read())
        {
        }

        credentials = new Credentials { ApiKey = apiKey, Authorization = authorization, HasHost = hasHost };
        return true;
    }

    private static ReadOnlyMemory<byte> ReadString(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            reader.Skip();
            return default;
        }

        if (!reader.ValueIsEscaped)
        {
            return json.Slice((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
        }

        var unescaped = new byte[reader.ValueSpan.Length];
        return unescaped.AsMemory(0, reader.CopyString(unescaped));
    }

    private static ReadOnlyMemory<byte> GetHeader(IHeaderDictionary headers, string name) =>
        headers.TryGetValue(name, out var values) && values is [{ Length: > 0 } value, ..] ? Encoding.UTF8.GetBytes(value) : default;
}
