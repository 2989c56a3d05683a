using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>A user of a user pool.</summary>
internal sealed record CognitoIdentity : Identity
{
    private readonly JsonWebToken _token;
    private readonly IPAddress? _address;

    /// <param name="token">The token, verified.</param>
    /// <param name="address">The client's address, or <see langword="null"/> where the transport has none.</param>
    public CognitoIdentity(JsonWebToken token, IPAddress? address) => (_token, _address) = (token, address);

    /// <inheritdoc/>
    public override string AuthType => "User Pool Authorization";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("sub"u8, _token.GetString("sub"));
        writer.WriteString("issuer"u8, _token.Issuer);
        writer.WriteString("username"u8, CognitoAuthenticator.GetUsername(_token));
        writer.WritePropertyName("claims"u8);
        WriteVerbatim(writer, _token.Claims);
        writer.WritePropertyName("groups"u8);
        if (_token.Claims.TryGetProperty("cognito:groups", out var groups) && groups.ValueKind == JsonValueKind.Array)
        {
            WriteVerbatim(writer, groups);
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WriteStartArray("sourceIp"u8);
        if (_address is { } address)
        {
            // A socket of both families shows IPv4 clients as ::ffff:203.0.113.9.
            writer.WriteStringValue((address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString());
        }

        writer.WriteEndArray();

        // Events has no such setting; on AppSync's GraphQL APIs it is the pool's default action.
        writer.WriteString("defaultAuthStrategy"u8, "ALLOW"u8);
        writer.WriteEndObject();
    }

    /// <summary>Writes a claim's text as the issuer wrote it: numbers keep their digits, and no escape is taken apart.</summary>
    internal static void WriteVerbatim(Utf8JsonWriter writer, JsonElement claim) =>
        writer.WriteRawValue(JsonMarshal.GetRawUtf8Value(claim), skipInputValidation: true);
}

/// <summary>A user of an OpenID provider.</summary>
internal sealed record OidcIdentity : Identity
{
    private readonly JsonWebToken _token;

    /// <param name="token">The token, verified.</param>
    public OidcIdentity(JsonWebToken token) => _token = token;

    /// <inheritdoc/>
    public override string AuthType => "Open ID Connect Authorization";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("sub"u8, _token.GetString("sub"));
        writer.WriteString("issuer"u8, _token.Issuer);
        writer.WritePropertyName("claims"u8);
        CognitoIdentity.WriteVerbatim(writer, _token.Claims);
        writer.WriteEndObject();
    }
}
