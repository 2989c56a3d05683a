using System.Net;
using System.Text.Json;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary><see cref="AuthMode.OpenIdConnect"/>: a token of one of the API's OpenID providers.</summary>
internal sealed class OidcAuthenticator(TokenVerification verification) : JwtAuthenticator(verification)
{
    /// <inheritdoc/>
    public override AuthMode Mode => AuthMode.OpenIdConnect;

    /// <inheritdoc/>
    protected override bool Allows(JwtAlgorithm algorithm) => true;

    /// <inheritdoc/>
    protected override TokenRefusal Check(JsonWebToken token, TokenProvider provider, long now, ref long goodUntil) =>
        !IsClientAdmitted(token, provider) ? TokenRefusal.Client
        : !ClaimRules.IsWithinAge(token, "iat", provider.IatTtlMilliseconds, now, ref goodUntil) ? TokenRefusal.IssuedTooLongAgo
        : !ClaimRules.IsWithinAge(token, "auth_time", provider.AuthTtlMilliseconds, now, ref goodUntil)
            ? TokenRefusal.AuthenticatedTooLongAgo
        : TokenRefusal.None;

    /// <inheritdoc/>
    protected override Identity CreateIdentity(JsonWebToken token, IPAddress? address) => new OidcIdentity(token);

    private static bool IsClientAdmitted(JsonWebToken token, TokenProvider provider)
    {
        if (provider.AdmitsEveryClient || Admits(token.GetString("aud")) || Admits(token.GetString("azp"))
            || Admits(token.GetString("client_id")))
        {
            return true;
        }

        if (!token.Claims.TryGetProperty("aud", out var audience) || audience.ValueKind != JsonValueKind.Array)
        {
            return false;
        }

        for (var i = 0; i < audience.GetArrayLength(); i++)
        {
            if (Admits(JsonWebToken.GetString(audience[i])))
            {
                return true;
            }
        }

        return false;

        bool Admits(string? client) => client is not null && provider.Admits(client);
    }
}
