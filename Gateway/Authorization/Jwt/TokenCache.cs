using System.Collections.Concurrent;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>Verified tokens, bounded in number and bytes. Safe for concurrent use; finding one takes no lock.</summary>
/// <remarks>
/// <para>Only verified tokens get in, so strangers cannot push others out. When it is full the oldest go, except that one which was
/// used since it was last considered gets another round. It remembers and does not judge: <see cref="TokenProof.IsGood"/> does.</para>
/// <para>A token is found by its bytes, all of which are compared. A digest in their place would have to be a cryptographic one,
/// which costs three times as much as all of a check does now, and saves nothing: the bytes are kept for verifying them again. The hash
/// is seeded at random, so nobody can aim at a token that they do not have, and learn it from how long a comparison takes.</para>
/// </remarks>
internal sealed class TokenCache
{
    // Measured: the objects of a token besides its text, its signature and its claims.
    private const int EntryBytes = 600;

    private readonly JwtOptions _options;
    private readonly ConcurrentDictionary<PresentedToken, PresentedToken> _tokens = new(TokenComparer.Instance);
    private readonly ConcurrentDictionary<PresentedToken, PresentedToken>.AlternateLookup<TokenText> _lookup;
    private readonly Lock _lock = new();
    private readonly Queue<PresentedToken> _order = [];
    private long _bytes;

    public TokenCache(JwtOptions options)
    {
        _options = options;
        _lookup = _tokens.GetAlternateLookup<TokenText>();
    }

    /// <summary>How many tokens are held.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _order.Count;
            }
        }
    }

    /// <summary>How many bytes they take, about.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Finds a token that was verified before.</summary>
    /// <param name="scope">The issuers of the API that it came to.</param>
    /// <param name="text">The token's bytes.</param>
    public PresentedToken? Find(TokenIssuers scope, ReadOnlySpan<byte> text)
    {
        if (!_lookup.TryGetValue(new TokenText(scope, text), out var token))
        {
            return null;
        }

        if (!token.WasUsed)
        {
            // Written only when it changes, so that a busy token's cache line stays shared among cores.
            token.WasUsed = true;
        }

        return token;
    }

    /// <summary>Remembers a token that has just been verified.</summary>
    public void Add(PresentedToken token)
    {
        if (_options.CachedTokensMax == 0 || GetBytes(token) > _options.CachedTokenBytesMax || !_tokens.TryAdd(token, token))
        {
            return;
        }

        lock (_lock)
        {
            _order.Enqueue(token);
            _bytes += GetBytes(token);
            while (_order.Count > _options.CachedTokensMax || _bytes > _options.CachedTokenBytesMax)
            {
                EvictOne();
            }
        }
    }

    // Ends: a token that is passed over is marked as unused, and found so in the next round at the latest, unless it was used in
    // between; the token just added is itself unused.
    private void EvictOne()
    {
        var rounds = _order.Count;
        while (_order.TryDequeue(out var oldest))
        {
            if (oldest.WasUsed && rounds-- > 0)
            {
                oldest.WasUsed = false;
                _order.Enqueue(oldest);
                continue;
            }

            _bytes -= GetBytes(oldest);
            _tokens.TryRemove(oldest, out _);
            return;
        }
    }

    // The text is kept for another verification; its claims and signature are kept decoded, with an index of the claims.
    private static long GetBytes(PresentedToken token) => EntryBytes + (2L * token.Jwt.Compact.Length);

    /// <summary>What a token is looked up by before it is parsed.</summary>
    private readonly ref struct TokenText(TokenIssuers scope, ReadOnlySpan<byte> bytes)
    {
        public TokenIssuers Scope { get; } = scope;

        public ReadOnlySpan<byte> Bytes { get; } = bytes;
    }

    private sealed class TokenComparer : IEqualityComparer<PresentedToken>, IAlternateEqualityComparer<TokenText, PresentedToken>
    {
        public static readonly TokenComparer Instance = new();

        public bool Equals(PresentedToken? x, PresentedToken? y) =>
            ReferenceEquals(x, y) || (x is not null && y is not null && Equals(new TokenText(x.Scope, x.Jwt.Compact), y));

        public bool Equals(TokenText alternate, PresentedToken other) =>
            ReferenceEquals(alternate.Scope, other.Scope) && alternate.Bytes.SequenceEqual(other.Jwt.Compact);

        public int GetHashCode(PresentedToken obj) => GetHashCode(new TokenText(obj.Scope, obj.Jwt.Compact));

        // The scope is left out: hardly a token is used with two APIs.
        public int GetHashCode(TokenText alternate)
        {
            var hash = default(HashCode);
            hash.AddBytes(alternate.Bytes);
            return hash.ToHashCode();
        }

        public PresentedToken Create(TokenText alternate) => throw new NotSupportedException("Tokens are added parsed.");
    }
}
