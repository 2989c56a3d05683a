using System.Buffers.Binary;
using System.Security.Cryptography;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>A token that came with a request, of an issuer that the API takes tokens of. Parsed once, verified once.</summary>
/// <remarks>Safe for concurrent use. Requests with the same token share the instance while <see cref="TokenCache"/> holds it.</remarks>
internal sealed class PresentedToken(TokenKey key, TokenIssuer issuer, JsonWebToken jwt)
{
    private volatile TokenProof? _proof;

    /// <summary>What the token is found by.</summary>
    public TokenKey Key { get; } = key;

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
internal sealed class TokenProof(KeySource source, KeySet keys, VerificationKey signer, long goodUntilMilliseconds)
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

/// <summary>The SHA-256 of a token, and the API's issuers: what is good for one API says nothing about another.</summary>
internal readonly struct TokenKey : IEquatable<TokenKey>
{
    private readonly TokenIssuers _issuers;
    private readonly UInt128 _high;
    private readonly UInt128 _low;

    private TokenKey(TokenIssuers issuers, UInt128 high, UInt128 low) => (_issuers, _high, _low) = (issuers, high, low);

    /// <summary>Makes the key of a token's bytes.</summary>
    public static TokenKey Create(TokenIssuers issuers, ReadOnlySpan<byte> token)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(token, hash);
        return new TokenKey(issuers, BinaryPrimitives.ReadUInt128BigEndian(hash), BinaryPrimitives.ReadUInt128BigEndian(hash[16..]));
    }

    /// <inheritdoc/>
    public bool Equals(TokenKey other) => _high == other._high && _low == other._low && ReferenceEquals(_issuers, other._issuers);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is TokenKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)_low;
}
