using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization.Jwt;

namespace Fanfare.Gateway.Authorization;

/// <summary>Says which mode a request's credentials carry (AppSync Events, "Authorization", and what was observed there).</summary>
internal sealed class AuthModeDetector(TokenCache tokens)
{
    /// <summary>Detects the mode; <see langword="null"/> where the credentials carry none that the API could serve.</summary>
    /// <param name="api">The API.</param>
    /// <param name="credentials">The credentials.</param>
    /// <param name="token">The token, where the mode is one of tokens; <see langword="null"/> otherwise.</param>
    /// <remarks>
    /// A key wins over an <c>Authorization</c> beside it. A signature or a token of one of the API's issuers never reaches an
    /// authorizer function, however wrong it is; everything else does. Nothing is verified here.
    /// </remarks>
    public AuthMode? Detect(ServedApi api, Credentials credentials, out PresentedToken? token)
    {
        token = null;
        if (credentials.ApiKey.Length > 0)
        {
            return AuthMode.ApiKey;
        }

        var authorization = credentials.Authorization.Span;
        var hasFunction = api.ProviderModes.Includes(AuthMode.AwsLambda) && authorization.Length > 0;
        if (authorization.StartsWith("AWS4-HMAC-SHA256"u8) && (!hasFunction || api.ProviderModes.Includes(AuthMode.AwsIam)))
        {
            return AuthMode.AwsIam;
        }

        token = FindToken(api.Issuers, authorization);
        return token is not null ? token.Issuer.Mode : hasFunction ? AuthMode.AwsLambda : null;
    }

    private PresentedToken? FindToken(TokenIssuers issuers, ReadOnlySpan<byte> authorization)
    {
        if (issuers.IsEmpty)
        {
            return null;
        }

        var text = JsonWebToken.StripBearer(authorization);
        if (!JsonWebToken.LooksLikeToken(text))
        {
            return null;
        }

        // A WebSocket sends the same token with every message: then this is all that happens.
        if (tokens.Find(issuers, text) is { } known)
        {
            return known;
        }

        return JsonWebToken.TryParse(text, out var jwt) && issuers.Find(jwt.Issuer) is { } issuer
            ? new PresentedToken(issuers, issuer, jwt)
            : null;
    }
}
