using System.Net;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>Verifies tokens: the signature by the issuer's keys, the times, then what a provider of the issuer asks.</summary>
/// <remarks>
/// What differs between user pools and OpenID providers is left to the two derived types. The signature comes first, so that a
/// client learns of an expiry only for a token that is genuine; all other refusals look the same to it.
/// </remarks>
internal abstract class JwtAuthenticator(TokenVerification verification) : IAuthenticator
{
    /// <inheritdoc/>
    public abstract AuthMode Mode { get; }

    /// <summary>The algorithms that tokens may be signed with.</summary>
    protected abstract bool Allows(JwtAlgorithm algorithm);

    /// <summary>Checks what a provider asks of a token that is genuine and not expired.</summary>
    /// <param name="token">The token.</param>
    /// <param name="provider">The provider.</param>
    /// <param name="now">The time in milliseconds since 1970.</param>
    /// <param name="goodUntil">When the token expires; lowered where the provider's rules end earlier.</param>
    protected abstract TokenRefusal Check(JsonWebToken token, TokenProvider provider, long now, ref long goodUntil);

    /// <summary>Makes the identity of a token that was verified.</summary>
    protected abstract Identity CreateIdentity(JsonWebToken token, IPAddress? address);

    /// <inheritdoc/>
    public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken)
    {
        if (request.Token is not { } token || token.Issuer.Mode != Mode)
        {
            return new(AuthDecision.Refuse(ProtocolError.Unauthorized));
        }

        return token.Proof is { } proof && proof.IsGood(verification.TimeProvider.GetUtcNow())
            ? new(AuthDecision.Grant(CreateIdentity(token.Jwt, request.Origin.Address), proof))
            : VerifyAsync(request, token, cancellationToken);
    }

    private async ValueTask<AuthDecision> VerifyAsync(AuthRequest request, PresentedToken token, CancellationToken cancellationToken)
    {
        var refusal = await VerifyAsync(token, cancellationToken);
        if (refusal == TokenRefusal.None)
        {
            return AuthDecision.Grant(CreateIdentity(token.Jwt, request.Origin.Address), token.Proof);
        }

        JwtLog.TokenRefused(verification.Logger, token.Issuer.Issuer, request.Api.Model.Id, refusal);
        return AuthDecision.Refuse(refusal == TokenRefusal.Expired ? ProtocolError.TokenExpired : ProtocolError.Unauthorized);
    }

    private async ValueTask<TokenRefusal> VerifyAsync(PresentedToken token, CancellationToken cancellationToken)
    {
        // Before any key is asked for: no algorithm is looked up by what the token says of it alone.
        if (token.Jwt.Algorithm is not { } algorithm || !Allows(algorithm))
        {
            return TokenRefusal.Algorithm;
        }

        var source = verification.Sources.Get(token.Issuer);
        var (refusal, keys, signer) = await FindSignerAsync(source, token.Jwt, algorithm, cancellationToken);
        if (refusal != TokenRefusal.None)
        {
            return refusal;
        }

        refusal = CheckClaims(token, out var goodUntil);
        if (refusal == TokenRefusal.None)
        {
            token.Proof = new TokenProof(source, keys!, signer!, goodUntil);
            verification.Cache.Add(token);
        }

        return refusal;
    }

    private static async ValueTask<(TokenRefusal Refusal, KeySet? Keys, VerificationKey? Signer)> FindSignerAsync(
        KeySource source, JsonWebToken token, JwtAlgorithm algorithm, CancellationToken cancellationToken)
    {
        // Twice more at most: a fetch that was under way already may have begun before the issuer took up its new key.
        var keys = await source.GetAsync(cancellationToken);
        for (var retries = 2; keys is not null; retries--)
        {
            if (keys.FindSigner(token, algorithm) is { } signer)
            {
                return (TokenRefusal.None, keys, signer);
            }

            if (keys.Names(token.KeyId))
            {
                return (TokenRefusal.Signature, null, null);
            }

            if (retries == 0 || await source.GetNewerAsync(keys, cancellationToken) is not { } newer)
            {
                return (TokenRefusal.UnknownKey, null, null);
            }

            keys = newer;
        }

        return (TokenRefusal.NoKeys, null, null);
    }

    private TokenRefusal CheckClaims(PresentedToken token, out long goodUntil)
    {
        var now = verification.TimeProvider.GetUtcNow().ToUnixTimeMilliseconds();
        var refusal = ClaimRules.CheckTimes(token.Jwt, now, verification.ClockSkew, out var expires);
        goodUntil = expires;
        if (refusal != TokenRefusal.None)
        {
            return refusal;
        }

        foreach (var provider in token.Issuer.Providers)
        {
            goodUntil = expires;
            refusal = Check(token.Jwt, provider, now, ref goodUntil);
            if (refusal == TokenRefusal.None)
            {
                break;
            }
        }

        return refusal;
    }
}

/// <summary>What both authenticators of tokens share.</summary>
internal sealed class TokenVerification(
    KeySources sources, TokenCache cache, JwtOptions options, TimeProvider timeProvider, ILogger<TokenVerification> logger)
{
    /// <summary>The keys of all issuers.</summary>
    public KeySources Sources { get; } = sources;

    /// <summary>The tokens verified before.</summary>
    public TokenCache Cache { get; } = cache;

    /// <summary>How far clocks may be apart.</summary>
    public TimeSpan ClockSkew { get; } = options.ClockSkew;

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; } = timeProvider;

    /// <summary>The log.</summary>
    public ILogger Logger { get; } = logger;
}
