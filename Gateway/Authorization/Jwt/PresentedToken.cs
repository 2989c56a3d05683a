using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>A token that came with a request, of an issuer that the API takes tokens of. Parsed once, verified once.</summary>
/// <remarks>Safe for concurrent use. Requests with the same token share the instance while <see cref="TokenCache"/> holds it.</remarks>
/// <param name="scope">The issuers of the API that it came to.</param>
/// <param name="issuer">The one of them that it names.</param>
/// <param name="jwt">Its content.</param>
internal sealed class PresentedToken(TokenIssuers scope, TokenIssuer issuer, JsonWebToken jwt)
{
    private volatile TokenProof? _proof;

    /// <summary>The issuers of the API that it came to: what is good for one API says nothing about another.</summary>
    public TokenIssuers Scope { get; } = scope;

    /// <summary>The issuer that it names.</summary>
    public TokenIssuer Issuer { get; } = issuer;

    /// <summary>Its content.</summary>
    public JsonWebToken Jwt { get; } = jwt;

    /// <summary>Why it was believed; <see langword="null"/> while it is not. Ask <see cref="TokenProof.IsGood"/> before relying on it.</summary>
    public TokenProof? Proof
    {
        get => _proof;
        set => _proof = value;
    }

    /// <summary>Whether the token was found in the cache since the cache last considered dropping it. The cache's own.</summary>
    public bool WasUsed { get; set; }
}

/// <summary>That a signature was verified and the claims satisfied a provider.</summary>
/// <param name="source">The issuer's keys.</param>
/// <param name="keys">The edition of the keys that verified it.</param>
/// <param name="signer">The key that did.</param>
/// <param name="goodUntilMilliseconds">When the first of the token's times runs out, in milliseconds since 1970; not good from then on.</param>
internal sealed class TokenProof(KeySource source, KeySet keys, VerificationKey signer, long goodUntilMilliseconds) : IProof
{
    // The last edition that was seen to hold the signer.
    private volatile KeySet _keys = keys;

    /// <summary>Whether it still holds: the times have not run out, and the issuer still publishes the key.</summary>
    public bool IsGood(DateTimeOffset now)
    {
        if (now.ToUnixTimeMilliseconds() >= goodUntilMilliseconds || source.Current is not { } current)
        {
            return false;
        }

        if (ReferenceEquals(current, _keys))
        {
            return true;
        }

        if (!current.Contains(signer))
        {
            return false;
        }

        _keys = current;
        return true;
    }
}
