using System.Diagnostics;
using Fanfare.Gateway.Backplane;
using Microsoft.Extensions.ObjectPool;

namespace Fanfare.Gateway.FanOut;

/// <summary>One publish on its way through the shards: the events and the interests they belong to.</summary>
/// <remarks>Filled by one thread, then read by every shard that it is posted to; the last one to finish returns it to the pool.</remarks>
internal sealed class Delivery
{
    private static readonly ObjectPool<Delivery> s_pool =
        new DefaultObjectPool<Delivery>(new DefaultPooledObjectPolicy<Delivery>(), maximumRetained: 4096);

    // A channel and the wildcards above it: five of them at AppSync's five segments.
    private Interest?[] _matches = new Interest?[5];
    private int _matchCount;
    private EventBatch? _events;
    private int _remaining;

    /// <summary>Creates an empty delivery. Use <see cref="Rent"/>, which reuses them.</summary>
    public Delivery()
    {
    }

    /// <summary>The events.</summary>
    public EventBatch Events => _events!;

    /// <summary>When the publish was accepted, as a timestamp of the time provider.</summary>
    public long AcceptedAt { get; private set; }

    /// <summary>The interests that the channel belongs to.</summary>
    public ReadOnlySpan<Interest?> Matches => _matches.AsSpan(0, _matchCount);

    /// <summary>Takes an empty delivery.</summary>
    public static Delivery Rent(long acceptedAt)
    {
        var delivery = s_pool.Get();
        delivery.AcceptedAt = acceptedAt;
        return delivery;
    }

    /// <summary>Adds an interest.</summary>
    public void AddMatch(Interest interest)
    {
        if (_matchCount == _matches.Length)
        {
            Array.Resize(ref _matches, _matchCount * 2);
        }

        _matches[_matchCount++] = interest;
    }

    /// <summary>Whether the delivery must pass through a shard.</summary>
    public bool Concerns(int shard)
    {
        foreach (var match in Matches)
        {
            if (match!.Concerns(shard))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Says how many shards get the delivery, and keeps the events for them.</summary>
    public void Share(EventBatch events, int shardCount)
    {
        events.AddReference();
        _events = events;
        _remaining = shardCount;
    }

    /// <summary>Gives back one shard's part.</summary>
    public void Complete()
    {
        var remaining = Interlocked.Decrement(ref _remaining);
        Debug.Assert(remaining >= 0, "A delivery was completed more often than it was shared.");
        if (remaining == 0)
        {
            _events!.Release();
            Return();
        }
    }

    /// <summary>Returns a delivery that was never shared, or is done.</summary>
    public void Return()
    {
        Array.Clear(_matches, 0, _matchCount);
        _matchCount = 0;
        _events = null;
        s_pool.Return(this);
    }
}
