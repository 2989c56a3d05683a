using Fanfare.Gateway.Backplane;

namespace Fanfare.Gateway.FanOut;

/// <summary>The subscriptions to one pattern on one shard, which alone uses it, and the batches that wait for the end of its round.</summary>
/// <remarks>
/// A connection's only subscription is <em>lone</em>: nothing else is delivered to its connection, so all that a round has for it
/// can be written at once at the end. To a connection with several, events are appended one by one, in the order in which they came.
/// </remarks>
internal sealed class SubscriptionSet
{
    private Subscription[] _lone = [];
    private int _loneCount;
    private Subscription[] _others = [];
    private int _othersCount;
    private EventBatch[] _waiting = [];

    /// <summary>The subscriptions that are the only ones of their connections, in no order.</summary>
    public ReadOnlySpan<Subscription> Lone => _lone.AsSpan(0, _loneCount);

    /// <summary>The other subscriptions, in no order.</summary>
    public ReadOnlySpan<Subscription> Others => _others.AsSpan(0, _othersCount);

    /// <summary>The batches that wait for lone subscriptions; <see cref="WaitingCount"/> of them.</summary>
    public EventBatch[] Waiting => _waiting;

    /// <summary>How many batches wait.</summary>
    public int WaitingCount { get; private set; }

    /// <summary>The size of their events in bytes.</summary>
    public int WaitingBytes { get; private set; }

    /// <summary>Adds a subscription that is in no set.</summary>
    public void Add(Subscription subscription)
    {
        subscription.Set = this;
        subscription.CaughtUp = WaitingCount;
        if (subscription.IsLone)
        {
            Add(ref _lone, ref _loneCount, subscription);
        }
        else
        {
            Add(ref _others, ref _othersCount, subscription);
        }
    }

    /// <summary>Removes a subscription of this set.</summary>
    public void Remove(Subscription subscription)
    {
        subscription.Set = null;
        if (subscription.IsLone)
        {
            Remove(ref _lone, ref _loneCount, subscription);
        }
        else
        {
            Remove(ref _others, ref _othersCount, subscription);
        }
    }

    /// <summary>Lets a batch wait. The caller keeps it alive until <see cref="ClearWaiting"/>.</summary>
    public void Wait(EventBatch events)
    {
        if (WaitingCount == _waiting.Length)
        {
            Array.Resize(ref _waiting, Math.Max(4, WaitingCount * 2));
        }

        _waiting[WaitingCount++] = events;
        WaitingBytes += events.AcceptedBytes;
    }

    /// <summary>The batches have been written; all subscriptions begin anew.</summary>
    public void ClearWaiting()
    {
        if (_waiting.Length > 64 && WaitingCount < _waiting.Length / 4)
        {
            _waiting = [];
        }
        else
        {
            Array.Clear(_waiting, 0, WaitingCount);
        }

        WaitingCount = 0;
        WaitingBytes = 0;
    }

    private static void Add(ref Subscription[] items, ref int count, Subscription subscription)
    {
        if (count == items.Length)
        {
            Array.Resize(ref items, Math.Max(1, count * 2));
        }

        subscription.Position = count;
        items[count++] = subscription;
    }

    // The last one takes its place.
    private static void Remove(ref Subscription[] items, ref int count, Subscription subscription)
    {
        var last = items[--count];
        items[subscription.Position] = last;
        last.Position = subscription.Position;
        items[count] = null!;
        if (items.Length > 16 && count < items.Length / 4)
        {
            Array.Resize(ref items, items.Length / 2);
        }
    }
}
