using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Fanfare.Gateway.Authorization.Lambda;

/// <summary>What an authorizer function's answer holds for: one token doing one thing at one API. Holds no part of the token.</summary>
internal readonly record struct AuthorizerCacheKey(ulong A, ulong B, ulong C, ulong D)
{
    /// <summary>Computes the key.</summary>
    /// <param name="authorizer">The number of the API's authorizer.</param>
    /// <param name="operation">What the request wants to do.</param>
    /// <param name="channel">The channel as sent; empty for a connect.</param>
    /// <param name="token">The token.</param>
    public static AuthorizerCacheKey Compute(
        long authorizer, AuthOperation operation, ReadOnlySpan<byte> channel, ReadOnlySpan<byte> token)
    {
        // Each part in front of the last one has a known length, so that no two requests come to the same bytes.
        const int HeadLength = sizeof(long) + sizeof(int) + sizeof(int);
        var length = HeadLength + channel.Length + token.Length;
        var rented = ArrayPool<byte>.Shared.Rent(length);
        BinaryPrimitives.WriteInt64LittleEndian(rented, authorizer);
        BinaryPrimitives.WriteInt32LittleEndian(rented.AsSpan(sizeof(long)), (int)operation);
        BinaryPrimitives.WriteInt32LittleEndian(rented.AsSpan(sizeof(long) + sizeof(int)), channel.Length);
        channel.CopyTo(rented.AsSpan(HeadLength));
        token.CopyTo(rented.AsSpan(HeadLength + channel.Length));
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(rented.AsSpan(0, length), hash);
        ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        return new AuthorizerCacheKey(
            BinaryPrimitives.ReadUInt64LittleEndian(hash), BinaryPrimitives.ReadUInt64LittleEndian(hash[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(hash[16..]), BinaryPrimitives.ReadUInt64LittleEndian(hash[24..]));
    }
}

/// <summary>Answers of authorizer functions that allowed a request, each for its own time. Denials are not kept.</summary>
/// <remarks>Bounded in entries and bytes; the oldest answer makes room for a new one. Safe for concurrent use.</remarks>
internal sealed class AuthorizerCache(TimeProvider timeProvider)
{
    /// <summary>How many answers are kept.</summary>
    public const int EntriesMax = 10_000;

    /// <summary>How many bytes they may take together.</summary>
    public const long BytesMax = 16 * 1024 * 1024;

    // Key, node, dictionary slot and the identity's own objects, roughly.
    private const int EntryOverheadBytes = 250;

    private readonly Lock _lock = new();
    private readonly Dictionary<AuthorizerCacheKey, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byAge = new();
    private long _bytes;

    /// <summary>Finds an answer whose time is not up.</summary>
    public LambdaIdentity? Find(AuthorizerCacheKey key)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out var node))
            {
                return null;
            }

            if (timeProvider.GetElapsedTime(node.Value.StoredAt) < node.Value.Ttl)
            {
                return node.Value.Identity;
            }

            Remove(node);
            return null;
        }
    }

    /// <summary>Keeps an answer from now on.</summary>
    public void Store(AuthorizerCacheKey key, LambdaIdentity identity, TimeSpan ttl)
    {
        var entry = new Entry(key, identity, timeProvider.GetTimestamp(), ttl);
        if (entry.Bytes > BytesMax)
        {
            return;
        }

        lock (_lock)
        {
            if (_entries.TryGetValue(key, out var previous))
            {
                Remove(previous);
            }

            while (_entries.Count >= EntriesMax || _bytes + entry.Bytes > BytesMax)
            {
                Remove(_byAge.First!);
            }

            _entries.Add(key, _byAge.AddLast(entry));
            _bytes += entry.Bytes;
        }
    }

    private void Remove(LinkedListNode<Entry> node)
    {
        _entries.Remove(node.Value.Key);
        _byAge.Remove(node);
        _bytes -= node.Value.Bytes;
    }

    private readonly record struct Entry(AuthorizerCacheKey Key, LambdaIdentity Identity, long StoredAt, TimeSpan Ttl)
    {
        public long Bytes => EntryOverheadBytes + Identity.Size;
    }
}
