using System.Text;
using System.Text.Json;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary>What a request says of who sent it: the authorization object of a message or a subprotocol, or HTTP headers.</summary>
/// <remarks>
/// Names are looked up without regard to case, as clients write them both ways. Values are secrets: they are never logged or
/// sent back. Valid as long as the memory it was read from.
/// </remarks>
internal readonly struct Credentials
{
    private const int DepthMax = 8;
    private const int MemberDepthMax = DepthMax - 1;

    private readonly ReadOnlyMemory<byte> _json;
    private readonly IHeaderDictionary? _headers;

    private Credentials(ReadOnlyMemory<byte> json, ReadOnlyMemory<byte> apiKey, ReadOnlyMemory<byte> authorization)
    {
        _json = json;
        ApiKey = apiKey;
        Authorization = authorization;
    }

    private Credentials(IHeaderDictionary headers)
    {
        _headers = headers;
        ApiKey = GetBytes(headers, "x-api-key");
        Authorization = GetBytes(headers, "Authorization");
    }

    /// <summary>The <c>x-api-key</c> in UTF-8; empty where there is none.</summary>
    public ReadOnlyMemory<byte> ApiKey { get; }

    /// <summary>The <c>Authorization</c> value in UTF-8; empty where there is none.</summary>
    public ReadOnlyMemory<byte> Authorization { get; }

    /// <summary>The JSON of the authorization object; empty where the credentials are HTTP headers, or nothing.</summary>
    public ReadOnlyMemory<byte> Json => _json;

    /// <summary>The HTTP headers; <see langword="null"/> where the credentials are an authorization object.</summary>
    public IHeaderDictionary? Headers => _headers;

    /// <summary>Reads the headers of an HTTP request.</summary>
    public static Credentials FromHeaders(IHeaderDictionary headers) => new(headers);

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
        catch (InvalidOperationException)
        {
            // A lone surrogate, which has no UTF-8 form.
            return false;
        }
    }

    /// <summary>The value of a header; <see langword="null"/> where it isn't there or is not a string. Cold: makes a string.</summary>
    /// <remarks>Where a name comes several times, HTTP header values are joined by commas and the last of a JSON object counts.</remarks>
    public string? GetHeader(string name)
    {
        if (_headers is not null)
        {
            return _headers.TryGetValue(name, out var values) ? values.ToString() : null;
        }

        foreach (var (header, value) in EnumerateHeaders())
        {
            if (header.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>All headers, as they are named. Cold: makes strings. They include secrets.</summary>
    public IEnumerable<KeyValuePair<string, string>> EnumerateHeaders()
    {
        if (_headers is not null)
        {
            return _headers.Select(header => KeyValuePair.Create(header.Key, header.Value.ToString()));
        }

        if (_json.IsEmpty)
        {
            return [];
        }

        // Parsed before, so it is well formed; where a name comes twice the last one counts, as it did there.
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        using var document = JsonDocument.Parse(_json, new JsonDocumentOptions { MaxDepth = DepthMax });
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.String && TryGetText(property) is { } text)
            {
                headers[property.Name] = text;
            }
        }

        return headers;
    }

    private static string? TryGetText(JsonProperty property)
    {
        try
        {
            _ = property.Name;
            return property.Value.GetString();
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate in a member that nobody looked at until now: a header that no HTTP request could have.
            return null;
        }
    }

    private static bool TryParseCore(ReadOnlyMemory<byte> json, out Credentials credentials)
    {
        credentials = default;
        var scanner = new JsonScanner(json.Span);
        if (!scanner.TryPass((byte)'{'))
        {
            return false;
        }

        ReadOnlyMemory<byte>? apiKey = null, authorization = null;
        var isEnd = scanner.TryPass((byte)'}');
        while (!isEnd)
        {
            if (!scanner.TryReadName(out var token, out var isEscaped))
            {
                return false;
            }

            // Escaped names are not worth resolving: no client writes "x-api-\u006bey".
            var name = token[1..^1];
            var isRead = Ascii.EqualsIgnoreCase(name, "x-api-key"u8) ? JsonText.TryReadString(ref scanner, json, MemberDepthMax, out apiKey)
                : Ascii.EqualsIgnoreCase(name, "authorization"u8) ? JsonText.TryReadString(ref scanner, json, MemberDepthMax, out authorization)
                : TrySkipMember(ref scanner, token, isEscaped);
            if (!isRead || !scanner.TryPassSeparator((byte)'}', out isEnd))
            {
                return false;
            }
        }

        if (!scanner.IsAtEnd())
        {
            return false;
        }

        credentials = new Credentials(json, apiKey ?? default, authorization ?? default);
        return true;
    }

    // Read later, and only by some modes; a lone surrogate, which has no UTF-8 form, is refused now.
    private static bool TrySkipMember(ref JsonScanner scanner, ReadOnlySpan<byte> name, bool isNameEscaped)
    {
        if (isNameEscaped)
        {
            _ = JsonText.Unescape(name);
        }

        if (scanner.Peek() != (byte)'"')
        {
            return scanner.TrySkipValue(MemberDepthMax);
        }

        if (!scanner.TryReadString(out var value, out var isValueEscaped))
        {
            return false;
        }

        if (isValueEscaped)
        {
            _ = JsonText.Unescape(value);
        }

        return true;
    }

    private static ReadOnlyMemory<byte> GetBytes(IHeaderDictionary headers, string name) =>
        headers.TryGetValue(name, out var values) && values is [{ Length: > 0 } value, ..] ? Encoding.UTF8.GetBytes(value) : default;
}
