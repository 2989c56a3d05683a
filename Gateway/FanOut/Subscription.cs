using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <summary>One <c>subscribe</c> on one connection.</summary>
/// <param name="output">The connection's sending half.</param>
/// <param name="interest">The pattern, as all local subscriptions to it share it.</param>
/// <param name="ns">The pattern's namespace.</param>
/// <param name="id">The client's id.</param>
internal sealed class Subscription(ConnectionOutput output, Interest interest, ServedNamespace ns, ReadOnlySpan<byte> id)
{
    /// <summary>What every <c>data</c> message of this subscription begins with.</summary>
    public readonly byte[] Head = ServerMessages.EncodeDataHead(id);

    /// <summary>The connection's sending half.</summary>
    public readonly ConnectionOutput Output = output;

    /// <summary>The pattern.</summary>
    public readonly Interest Interest = interest;

    /// <summary>The pattern's namespace.</summary>
    public readonly ServedNamespace Namespace = ns;

    /// <summary>Where the subscription stands in its <see cref="SubscriptionSet"/>, or −1. Owned by the shard.</summary>
    public int Position = -1;

    /// <summary>The client's id.</summary>
    public ReadOnlySpan<byte> Id => ServerMessages.GetDataHeadId(Head);
}

/// <summary>The subscriptions to one pattern on one shard, which alone uses it.</summary>
internal sealed class SubscriptionSet
{
    private Subscription[] _items = [];
    private int _count;

    /// <summary>The subscriptions, in no order.</summary>
    public ReadOnlySpan<Subscription> Items => _items.AsSpan(0, _count);

    /// <summary>Adds a subscription that is in no set.</summary>
    public void Add(Subscription subscription)
    {
        if (_count == _items.Length)
        {
            Array.Resize(ref _items, Math.Max(1, _count * 2));
        }

        subscription.Position = _count;
        _items[_count++] = subscription;
    }

    /// <summary>Removes a subscription of this set; the last one takes its place.</summary>
    public void Remove(Subscription subscription)
    {
        var last = _items[--_count];
        _items[subscription.Position] = last;
        last.Position = subscription.Position;
        _items[_count] = null!;
        subscription.Position = -1;
        if (_items.Length > 16 && _count < _items.Length / 4)
        {
            Array.Resize(ref _items, _items.Length / 2);
        }
    }
}
