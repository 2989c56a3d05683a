using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Backplane;

namespace Fanfare.Broker.Channels;

/// <summary>A channel's way to one interested gateway. Used by one activation only; what changes it holds the router's lock.</summary>
/// <remarks>
/// Deliveries leave at once and are not waited for. When one fails, those that follow wait in line behind it while it is tried
/// again: the connection may have moved to another silo, or the gateway may be dead, which its lease will tell. Publishers wait
/// for a gateway's receipt for a while, and not at all once it is suspect.
/// </remarks>
internal sealed partial class GatewayLink(
    ChannelRouter channel, Lock routerLock, GatewayHandle gateway, uint channelHash, BrokerMetrics metrics, TimeProvider timeProvider, ILogger logger)
{
    /// <summary>How many deliveries of a line are under way at once.</summary>
    private const int WindowCount = 64;

    // In order. What is under way is in it too, until it has its receipt.
    private readonly LinkedList<Outgoing> _unreceived = [];
    private Task<ChannelPosition>? _beginning;
    private long _lastSent;
    private int _lostCount;
    private bool _isStalled;

    /// <summary>The gateway.</summary>
    public GatewayHandle Gateway { get; } = gateway;

    /// <summary>Tells the gateway that this activation sends from now on; returns how far it has come.</summary>
    public Task<ChannelPosition> BeginAsync()
    {
        lock (routerLock)
        {
            if (_beginning is null or { IsFaulted: true } or { IsCanceled: true })
            {
                var position = _unreceived.First?.Value.Delivery.Previous ?? _lastSent;
                _beginning = Gateway.BeginAsync(channelHash, channel.Key, channel.Activation, position);
            }

            return _beginning;
        }
    }

    /// <summary>Delivers to the gateway if it is in this process and nothing waits for it. Under the router's lock.</summary>
    /// <returns>Whether the gateway has received the events; where not, nothing has happened.</returns>
    public bool TryDeliverHere(long sequence, long stable, EventBatch events)
    {
        if (_isStalled || _lostCount > 0 || _unreceived.Count > 0 || _beginning is not { IsCompletedSuccessfully: true }
            || Gateway.FindInbox(channelHash) is not { } inbox || !inbox.TryDeliver(channel.Key, channel.Activation, sequence, _lastSent, stable, events))
        {
            return false;
        }

        _lastSent = sequence;
        return true;
    }

    /// <summary>Sends a batch; returns when the gateway has received it, or has had its time. Under the router's lock.</summary>
    public Task SendAsync(PublishBatch batch, RoutedBatch routed)
    {
        if (_isStalled && !Gateway.TryReserve(batch.Events.Length))
        {
            metrics.LostDeliveries.Add(1);
            _lostCount++;
            channel.Settle(routed);
            return Task.CompletedTask;
        }

        var delivery = new ChannelDelivery
        {
            Activation = channel.Activation,
            Channel = channel.Key,
            Sequence = routed.Sequence,
            Previous = _lastSent,
            Stable = channel.StableSequence,
            IsShared = routed.IsShared,
            LostCount = _lostCount,
            Batch = batch,
        };
        _lastSent = routed.Sequence;
        _lostCount = 0;
        var outgoing = new Outgoing(delivery, routed, _isStalled ? batch.Events.Length : 0);
        outgoing.Node = _unreceived.AddLast(outgoing);
        if (!_isStalled)
        {
            return SendAtOnceAsync(outgoing);
        }

        return Gateway.IsSuspect ? Task.CompletedTask : AwaitReceiptAsync(outgoing);
    }

    private async Task SendAtOnceAsync(Outgoing outgoing)
    {
        if (await TryDeliverAsync(outgoing.Delivery))
        {
            Complete(outgoing);
            return;
        }

        lock (routerLock)
        {
            if (!_isStalled)
            {
                _isStalled = true;
                _ = RepeatAsync();
            }
        }

        if (!Gateway.IsSuspect)
        {
            await AwaitReceiptAsync(outgoing);
        }
    }

    private async Task AwaitReceiptAsync(Outgoing outgoing)
    {
        try
        {
            await GetDone(outgoing).WaitAsync(Timing.ReceiptTimeout, timeProvider);
        }
        catch (TimeoutException)
        {
            if (!Gateway.IsSuspect)
            {
                Gateway.IsSuspect = true;
                LogSuspect(logger, Gateway.Id);
            }
        }
    }

    // Until all have receipts, or the gateway or this activation is gone. Then the other gateways keep what this one lacks no longer.
    private async Task RepeatAsync()
    {
        var retry = new RetryDelay(timeProvider);
        do
        {
            while (GetFirst() is not null && channel.Uses(this))
            {
                await retry.WaitAsync();
                // One alone first: a gateway that is dead costs no more than that.
                metrics.RepeatedDeliveries.Add(1);
                if (GetFirst() is { } probe && await TryDeliverAsync(probe.Delivery))
                {
                    Complete(probe);
                    await SendLineAsync();
                    retry = new RetryDelay(timeProvider);
                }
            }
        }
        while (!TryEndStall());
    }

    // False where the line has grown since it was looked at.
    private bool TryEndStall()
    {
        lock (routerLock)
        {
            if (_unreceived.Count > 0 && channel.Uses(this))
            {
                return false;
            }

            while (_unreceived.First is { } left)
            {
                Complete(left.Value);
            }

            _isStalled = false;
            return true;
        }
    }

    private Outgoing? GetFirst()
    {
        lock (routerLock)
        {
            return _unreceived.First?.Value;
        }
    }

    private List<Outgoing> GetWindow()
    {
        lock (routerLock)
        {
            return [.. _unreceived.Take(WindowCount)];
        }
    }

    private Task GetDone(Outgoing outgoing)
    {
        lock (routerLock)
        {
            return outgoing.Done;
        }
    }

    private async Task SendLineAsync()
    {
        var isFlowing = true;
        while (isFlowing && GetWindow() is { Count: > 0 } window)
        {
            var received = await Task.WhenAll(window.Select(outgoing => TryDeliverAsync(outgoing.Delivery)));
            for (var i = 0; i < received.Length; i++)
            {
                isFlowing &= received[i];
                if (received[i])
                {
                    Complete(window[i]);
                }
            }
        }
    }

    private void Complete(Outgoing outgoing)
    {
        lock (routerLock)
        {
            // Sent twice, it may have two receipts.
            if (outgoing.Node is { List: not null } node)
            {
                _unreceived.Remove(node);
                Gateway.GiveBack(outgoing.ReservedBytes);
                outgoing.Complete();
                channel.Settle(outgoing.Routed);
            }
        }
    }

    private async Task<bool> TryDeliverAsync(ChannelDelivery delivery)
    {
        var beginning = Volatile.Read(ref _beginning);
        try
        {
            if (beginning is not { IsCompletedSuccessfully: true })
            {
                beginning = BeginAsync();
                await beginning;
            }

            switch (await Gateway.DeliverAsync(channelHash, delivery))
            {
                case DeliveryReceipt.Received:
                    Gateway.IsSuspect = false;
                    return true;

                case DeliveryReceipt.ReceivedWithoutRoom:
                    Gateway.IsSuspect = false;
                    await Gateway.WaitForRoomAsync(channelHash);
                    return true;

                case DeliveryReceipt.Superseded:
                    channel.Supersede();
                    return false;

                default:
                    // It has forgotten the channel: the next attempt begins anew, unless another delivery has done so already.
                    _ = Interlocked.CompareExchange(ref _beginning, null, beginning);
                    return false;
            }
        }
        catch (Exception e)
        {
            // A time-out, a connection that broke, a silo on the way that died: all are tried again until the lease runs out.
            LogDeliveryFailed(logger, e, Gateway.Id, channel.Key);
            return false;
        }
    }

    [LoggerMessage(110, LogLevel.Warning, "Gateway {Gateway} gave no receipt in time. Channels do not wait for it until it does, or its lease runs out.")]
    private static partial void LogSuspect(ILogger logger, Guid gateway);

    [LoggerMessage(111, LogLevel.Debug, "A call of gateway {Gateway} about {Channel} failed; it is repeated.")]
    private static partial void LogDeliveryFailed(ILogger logger, Exception exception, Guid gateway, string channel);

    private sealed class Outgoing(ChannelDelivery delivery, RoutedBatch routed, int reservedBytes)
    {
        private TaskCompletionSource? _done;
        private bool _isDone;

        public ChannelDelivery Delivery { get; } = delivery;

        public RoutedBatch Routed { get; } = routed;

        public int ReservedBytes { get; } = reservedBytes;

        public LinkedListNode<Outgoing>? Node { get; set; }

        public Task Done => _isDone ? Task.CompletedTask : (_done ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        public void Complete()
        {
            _isDone = true;
            _done?.TrySetResult();
        }
    }
}

/// <summary>A batch on its way to all gateways of a channel.</summary>
/// <param name="sequence">Its place in the order.</param>
/// <param name="gatewayCount">How many gateways it goes to.</param>
/// <param name="stableBefore">What is stable while it is the first that some gateway lacks; in the numbers of the activation that sent it first.</param>
/// <param name="isShared">Whether more than one gateway has it or gets it.</param>
internal sealed class RoutedBatch(long sequence, int gatewayCount, long stableBefore, bool isShared)
{
    /// <summary>Its place in the order.</summary>
    public long Sequence { get; } = sequence;

    /// <summary>The sequence up to which everything is stable while this is not.</summary>
    public long StableBefore { get; } = stableBefore;

    /// <summary>Whether gateways keep it for each other.</summary>
    public bool IsShared { get; } = isShared;

    /// <summary>How many gateways lack it.</summary>
    public int LackingCount { get; set; } = gatewayCount;
}
