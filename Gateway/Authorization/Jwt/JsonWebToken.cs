using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>A JWT in the compact form of RFC 7515, taken apart and not believed yet. Immutable, safe for concurrent use.</summary>
internal sealed class JsonWebToken
{
    /// <summary>The longest token, in bytes: what a header line of ordinary servers holds.</summary>
    public const int BytesMax = 16 * 1024;

    private const int HeaderDepthMax = 8;
    private const int PayloadDepthMax = 64;

    private readonly byte[] _compact;
    private readonly int _signingInputLength;
    private readonly byte[] _signature;

    private JsonWebToken(byte[] compact, int signingInputLength, byte[] signature, JsonElement claims, string issuer)
    {
        _compact = compact;
        _signingInputLength = signingInputLength;
        _signature = signature;
        Claims = claims;
        Issuer = issuer;
    }

    /// <summary>The algorithm; <see langword="null"/> where the header is unusable or names none that is served.</summary>
    public JwtAlgorithm? Algorithm { get; private init; }

    /// <summary>The id of the key that signed, or <see langword="null"/> where the header names none.</summary>
    public string? KeyId { get; private init; }

    /// <summary>The claims, an object.</summary>
    public JsonElement Claims { get; }

    /// <summary>The claim <c>iss</c>.</summary>
    public string Issuer { get; }

    /// <summary>The token as it was sent, without <c>Bearer</c>. A credential.</summary>
    public ReadOnlySpan<byte> Compact => _compact;

    /// <summary>The bytes that the signature covers.</summary>
    public ReadOnlySpan<byte> SigningInput => _compact.AsSpan(0, _signingInputLength);

    /// <summary>The signature.</summary>
    public ReadOnlySpan<byte> Signature => _signature;

    /// <summary>Takes the token out of an <c>Authorization</c> value: all of it, or what follows <c>Bearer</c>.</summary>
    public static ReadOnlySpan<byte> StripBearer(ReadOnlySpan<byte> authorization)
    {
        var value = authorization.Trim((byte)' ');
        return value.Length > 7 && Ascii.EqualsIgnoreCase(value[..7], "Bearer "u8) ? value[7..].TrimStart((byte)' ') : value;
    }

    /// <summary>Whether a text could be a token by length and dots alone. Costs next to nothing.</summary>
    public static bool LooksLikeToken(ReadOnlySpan<byte> text) =>
        text.Length is > 2 and <= BytesMax && text.Count((byte)'.') == 2;

    /// <summary>Parses three parts of base64url, the second a JSON object with a string <c>iss</c>.</summary>
    /// <remarks>
    /// A header that cannot be used does not make this fail: the token still is the issuer's business, and is refused for want of
    /// an <see cref="Algorithm"/>, rather than handed to an authorizer function. Names that come twice in an object are refused, at
    /// any depth: RFC 7515, section 4, asks it of headers, and of claims no two readers could disagree then.
    /// </remarks>
    public static bool TryParse(ReadOnlySpan<byte> text, [NotNullWhen(true)] out JsonWebToken? token)
    {
        token = null;
        if (!LooksLikeToken(text))
        {
            return false;
        }

        var headerEnd = text.IndexOf((byte)'.');
        var payloadEnd = text.LastIndexOf((byte)'.');
        if (!StrictBase64Url.TryDecode(text[..headerEnd], out var header)
            || !StrictBase64Url.TryDecode(text[(headerEnd + 1)..payloadEnd], out var payload)
            || !StrictBase64Url.TryDecode(text[(payloadEnd + 1)..], out var signature)
            || !TryParseObject(payload, PayloadDepthMax, out var claims)
            || GetString(claims, "iss") is not { } issuer)
        {
            return false;
        }

        var (algorithm, keyId) = ReadHeader(header);
        token = new JsonWebToken(text.ToArray(), payloadEnd, signature, claims, issuer) { Algorithm = algorithm, KeyId = keyId };
        return true;
    }

    /// <summary>A claim that is a string; <see langword="null"/> where it is missing or is not one.</summary>
    public string? GetString(string claim) => GetString(Claims, claim);

    /// <summary>A JSON string's text; <see langword="null"/> for other values, and for a lone surrogate, which no text has.</summary>
    public static string? GetString(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Reads a NumericDate (RFC 7519, section 2) in milliseconds since 1970.</summary>
    /// <returns><see langword="false"/> where it is there and is no number; a missing one gives <see langword="null"/>.</returns>
    public bool TryGetTime(string claim, out long? milliseconds)
    {
        milliseconds = null;
        if (!Claims.TryGetProperty(claim, out var value))
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var seconds) || !double.IsFinite(seconds))
        {
            return false;
        }

        // Clamped to what DateTimeOffset holds, so that no sum below overflows.
        milliseconds = (long)(Math.Clamp(seconds, 0, 253_402_300_799) * 1000);
        return true;
    }

    /// <summary>Describes the token without its content, which is a credential.</summary>
    public override string ToString() => $"JsonWebToken {{ Issuer = {Issuer}, Algorithm = {Algorithm?.Name} }}";

    private static (JwtAlgorithm? Algorithm, string? KeyId) ReadHeader(byte[] json)
    {
        // RFC 7515, section 4.1.11: extensions that "crit" names must be understood, and none is.
        if (!TryParseObject(json, HeaderDepthMax, out var header) || header.TryGetProperty("crit", out _))
        {
            return default;
        }

        var hasKeyId = header.TryGetProperty("kid", out _);
        var keyId = GetString(header, "kid");
        return hasKeyId && keyId is null ? default : (JwtAlgorithm.Find(GetString(header, "alg")), keyId);
    }

    private static bool TryParseObject(byte[] json, int depthMax, out JsonElement element)
    {
        element = default;
        if (!Utf8.IsValid(json))
        {
            return false;
        }

        try
        {
            element = JsonElement.Parse(json, new JsonDocumentOptions { MaxDepth = depthMax, AllowDuplicateProperties = false });
            return element.ValueKind == JsonValueKind.Object;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a name with a lone surrogate, which cannot be compared with others.
            return false;
        }
    }

    private static string? GetString(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) ? GetString(value) : null;
}
