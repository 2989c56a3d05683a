using System.Net;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary><see cref="AuthMode.CognitoUserPools"/>: an ID or access token of one of the API's user pools.</summary>
/// <remarks>Source: Cognito's guide, "Verifying JSON web tokens".</remarks>
internal sealed class CognitoAuthenticator(TokenVerification verification) : JwtAuthenticator(verification)
{
    /// <inheritdoc/>
    public override AuthMode Mode => AuthMode.CognitoUserPools;

    /// <summary>The name of the user, which the two kinds of tokens keep in different claims.</summary>
    public static string? GetUsername(JsonWebToken token) => token.GetString("cognito:username") ?? token.GetString("username");

    /// <inheritdoc/>
    protected override bool Allows(JwtAlgorithm algorithm) => algorithm == JwtAlgorithm.Rs256;

    /// <inheritdoc/>
    protected override TokenRefusal Check(JsonWebToken token, TokenProvider provider, long now, ref long goodUntil)
    {
        var client = token.GetString("token_use") switch
        {
            "id" => "aud",
            "access" => "client_id",
            _ => null,
        };
        if (client is null)
        {
            return TokenRefusal.TokenUse;
        }

        return provider.AdmitsEveryClient || (token.GetString(client) is { } id && provider.Admits(id))
            ? TokenRefusal.None
            : TokenRefusal.Client;
    }

    /// <inheritdoc/>
    protected override Identity CreateIdentity(JsonWebToken token, IPAddress? address) => new CognitoIdentity(token, address);
}
