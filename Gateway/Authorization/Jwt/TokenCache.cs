using System.Collections.Concurrent;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>Verified tokens, bounded in number and bytes. Safe for concurrent use; finding one takes no lock.</summary>
/// <remarks>
/// Only verified tokens get in, so strangers cannot push others out. When it is full the oldest go, except that one which was used
/// since it was last considered gets another round. It remembers and does not judge: <see cref="TokenProof.IsGood"/> does.
/// </remarks>
internal sealed class TokenCache(JwtOptions options)
{
    // Measured: the objects of a token besides its text, its signature and its claims.
    private const int EntryBytes = 900;

    private readonly ConcurrentDictionary<TokenKey, PresentedToken> _tokens = [];
    private readonly Lock _lock = new();
    private readonly Queue<PresentedToken> _order = [];
    private long _bytes;

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
    public PresentedToken? Find(in TokenKey key)
    {
        if (!_tokens.TryGetValue(key, out var token))
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
        if (options.CachedTokensMax == 0 || GetBytes(token) > options.CachedTokenBytesMax || !_tokens.TryAdd(token.Key, token))
        {
            return;
        }

        lock (_lock)
        {
            _order.Enqueue(token);
            _bytes += GetBytes(token);
            while (_order.Count > options.CachedTokensMax || _bytes > options.CachedTokenBytesMax)
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
            _tokens.TryRemove(oldest.Key, out _);
            return;
        }
    }

    // The text is kept for another verification, its claims and signature are kept decoded, with an index of the claims.
    private static long GetBytes(PresentedToken token) => EntryBytes + (3L * token.Jwt.Length);
}
