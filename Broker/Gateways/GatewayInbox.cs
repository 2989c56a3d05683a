using Fanfare.Broker.Channels;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;

namespace Fanfare.Broker.Gateways;

/// <summary>Where channels deliver to in this gateway: puts deliveries in order, drops what it has had, and hands the rest to the fan-out.</summary>
/// <remarks>
/// Of each channel it keeps how far it has come: which activation sends, the last sequence, and the number of each publishing
/// gateway's last batch, by which it knows a batch that comes again by way of another activation. A channel without deliveries is
/// forgotten after a while; its activation then begins anew.
/// </remarks>
internal sealed partial class GatewayInbox : IGatewayObserver, IDisposable
{
    /// <summary>How many channels are remembered; the one that was longest without a delivery is forgotten for another.</summary>
    private const int ChannelsMax = 65_536;

    /// <summary>How many bytes of one channel are kept because other gateways may have missed them; the oldest go first.</summary>
    private const long UnstableBytesMax = 16 * 1024 * 1024;

    private static readonly TimeSpan s_checkInterval = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Inflow> _inflows = new(StringComparer.Ordinal);
    // The longest without a delivery first.
    private readonly LinkedList<Inflow> _recency = new();
    private readonly HashSet<Inflow> _waiting = [];
    private readonly IDeliverySink _sink;
    private readonly BrokerMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<GatewayInbox> _logger;
    private readonly ITimer _timer;

    public GatewayInbox(IDeliverySink sink, BrokerMetrics metrics, TimeProvider timeProvider, ILogger<GatewayInbox> logger)
    {
        (_sink, _metrics, _timeProvider, _logger) = (sink, metrics, timeProvider, logger);
        _timer = timeProvider.CreateTimer(static state => ((GatewayInbox)state!).Check(), this, s_checkInterval, s_checkInterval);
    }

    /// <inheritdoc/>
    public Task<ChannelPosition> BeginAsync(string channel, Guid activation, long position)
    {
        lock (_lock)
        {
            var inflow = _inflows.GetValueOrDefault(channel) ?? Add(channel);
            Touch(inflow);
            // A call may come late, when the activation has long begun by another, or has been followed by the next one.
            if (inflow.Activation == activation || inflow.HasLeft(activation))
            {
                return Task.FromResult(inflow.GetPosition());
            }

            inflow.GiveUpHeld();
            _waiting.Remove(inflow);
            var answer = inflow.GetPosition();
            inflow.Begin(activation, position);
            return Task.FromResult(answer);
        }
    }

    /// <inheritdoc/>
    public Task<DeliveryReceipt[]> DeliverAsync(ChannelDelivery[] deliveries) => Task.FromResult(Array.ConvertAll(deliveries, Deliver));

    /// <summary>Takes a delivery into memory.</summary>
    public DeliveryReceipt Deliver(ChannelDelivery delivery)
    {
        lock (_lock)
        {
            if (!_inflows.TryGetValue(delivery.Channel, out var inflow))
            {
                return DeliveryReceipt.Unknown;
            }

            if (inflow.Activation != delivery.Activation)
            {
                return DeliveryReceipt.Superseded;
            }

            Touch(inflow);
            inflow.Settle(delivery.Stable);
            if (delivery.Sequence <= inflow.Sequence)
            {
                _metrics.DuplicateDeliveries.Add(1);
            }
            else if (delivery.Previous <= inflow.Sequence)
            {
                Accept(inflow, delivery);
                Flush(inflow);
            }
            else if (inflow.TryHold(delivery))
            {
                // One before it is on its way; the channel sends it again until it has a receipt.
                inflow.HeldSince = _waiting.Add(inflow) ? _timeProvider.GetTimestamp() : inflow.HeldSince;
            }
            else
            {
                _metrics.DuplicateDeliveries.Add(1);
            }
        }

        return _sink.HasRoom ? DeliveryReceipt.Received : DeliveryReceipt.ReceivedWithoutRoom;
    }

    /// <summary>Takes a delivery of a channel in this process, if it is the next one.</summary>
    /// <returns><see langword="false"/> where it must come as any other; nothing has happened then.</returns>
    /// <remarks>
    /// It has no number: the publisher is this gateway too, and knows what became of it. A publisher is held back for the lack of room
    /// before this.
    /// </remarks>
    public bool TryDeliver(string channel, Guid activation, long sequence, long previous, long stable, EventBatch events)
    {
        lock (_lock)
        {
            if (!_inflows.TryGetValue(channel, out var inflow) || inflow.Activation != activation || previous > inflow.Sequence
                || sequence <= inflow.Sequence || inflow.IsHolding)
            {
                return false;
            }

            Touch(inflow);
            inflow.Settle(stable);
            _sink.Deliver(inflow.Channel, events);
            inflow.Sequence = sequence;
            return true;
        }
    }

    /// <inheritdoc/>
    public async Task<bool> WaitForRoomAsync() => await _sink.WaitForRoomAsync(CancellationToken.None);

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private Inflow Add(string channel)
    {
        if (_inflows.Count >= ChannelsMax)
        {
            Remove(_recency.First!.Value);
        }

        var inflow = new Inflow(ChannelKey.FromValue(channel));
        _inflows.Add(channel, inflow);
        _recency.AddLast(inflow.Node);
        _metrics.ChannelRemembered();
        return inflow;
    }

    private void Touch(Inflow inflow)
    {
        inflow.LastUsed = _timeProvider.GetTimestamp();
        _recency.Remove(inflow.Node);
        _recency.AddLast(inflow.Node);
    }

    private void Remove(Inflow inflow)
    {
        while (inflow.TryTakeFirstHeld() is { } delivery)
        {
            Accept(inflow, delivery);
        }

        _waiting.Remove(inflow);
        _recency.Remove(inflow.Node);
        _inflows.Remove(inflow.Channel.Value);
        _metrics.ChannelForgotten();
    }

    private void Accept(Inflow inflow, ChannelDelivery delivery)
    {
        inflow.Sequence = delivery.Sequence;
        if (delivery.LostCount > 0)
        {
            NoteGap(inflow, delivery.LostCount);
        }

        if (!inflow.TryNote(delivery))
        {
            _metrics.DuplicateDeliveries.Add(1);
            return;
        }

        while (inflow.UnstableBytes > UnstableBytesMax && inflow.DropOldest())
        {
            // A gateway has given no receipt for so long that its lease must be about to run out.
        }

        if (EventBatch.TryDecode(delivery.Batch.Events, out var events))
        {
            _sink.Deliver(inflow.Channel, events);
            events.Release();
        }
        else
        {
            LogDamaged(_logger, inflow.Channel.ToString());
        }
    }

    private void NoteGap(Inflow inflow, int count)
    {
        _metrics.Gaps.Add(count);
        LogGap(_logger, inflow.Channel.ToString());
    }

    private void Flush(Inflow inflow)
    {
        while (inflow.TryTakeNextHeld() is { } delivery)
        {
            Accept(inflow, delivery);
        }

        if (!inflow.IsHolding)
        {
            _waiting.Remove(inflow);
        }
    }

    private void Check()
    {
        lock (_lock)
        {
            foreach (var inflow in _waiting.Where(inflow => _timeProvider.GetElapsedTime(inflow.HeldSince) > Timing.GapTimeout).ToList())
            {
                NoteGap(inflow, 1);
                Accept(inflow, inflow.TryTakeFirstHeld()!);
                Flush(inflow);
                inflow.HeldSince = _timeProvider.GetTimestamp();
            }

            while (_recency.First is { } oldest && _timeProvider.GetElapsedTime(oldest.Value.LastUsed) > Timing.PositionLifetime)
            {
                Remove(oldest.Value);
            }
        }
    }

    [LoggerMessage(120, LogLevel.Warning, "Events of {Channel} never came to this gateway; its subscribers have missed them.")]
    private static partial void LogGap(ILogger logger, string channel);

    [LoggerMessage(121, LogLevel.Error, "A delivery of {Channel} could not be read.")]
    private static partial void LogDamaged(ILogger logger, string channel);

    /// <summary>How far this gateway has come in one channel. Guarded by the inbox's lock.</summary>
    private sealed class Inflow
    {
        /// <summary>How many publishing gateways of a channel are remembered.</summary>
        private const int PublishersMax = 1024;

        // The last few activations; calls of older ones have timed out long ago.
        private readonly Guid[] _left = new Guid[4];
        private readonly List<BatchNumber> _batches = new(1);
        private Queue<ChannelDelivery>? _unstable;
        private SortedList<long, ChannelDelivery>? _held;
        private uint _leftCount;

        public Inflow(ChannelKey channel)
        {
            Channel = channel;
            Node = new LinkedListNode<Inflow>(this);
        }

        public ChannelKey Channel { get; }

        public LinkedListNode<Inflow> Node { get; }

        public Guid Activation { get; private set; }

        public long Sequence { get; set; }

        public long LastUsed { get; set; }

        public long HeldSince { get; set; }

        /// <summary>The size of what is kept because others may have missed it.</summary>
        public long UnstableBytes { get; private set; }

        public bool IsHolding => _held is { Count: > 0 };

        public ChannelPosition GetPosition() => new()
        {
            Sequence = Math.Max(Sequence, _unstable is { Count: > 0 } ? _unstable.Max(delivery => delivery.Sequence) : 0),
            Batches = [.. _batches],
            Unstable = [.. _unstable ?? []],
        };

        public void Begin(Guid activation, long position)
        {
            if (Activation != default)
            {
                _left[_leftCount++ % _left.Length] = Activation;
            }

            Activation = activation;
            Sequence = position;
        }

        /// <summary>Whether an activation has been followed by another.</summary>
        public bool HasLeft(Guid activation) => _left.AsSpan().Contains(activation);

        /// <summary>Puts what is held with what others may have missed: it has a receipt, but its place is for the next activation to say.</summary>
        public void GiveUpHeld()
        {
            foreach (var delivery in _held?.Values ?? [])
            {
                (_unstable ??= []).Enqueue(delivery);
                UnstableBytes += delivery.Batch.Events.Length;
            }

            _held?.Clear();
        }

        /// <summary>Notes a batch; returns whether it is new.</summary>
        public bool TryNote(ChannelDelivery delivery)
        {
            var batch = new BatchNumber(delivery.Batch.Gateway, delivery.Batch.Number);
            var index = _batches.FindIndex(known => known.Gateway == batch.Gateway);
            if (index >= 0 && _batches[index].Number >= batch.Number)
            {
                return false;
            }

            // The latest last, so that those of gateways that are gone come to the front and are dropped.
            if (index >= 0)
            {
                _batches.RemoveAt(index);
            }
            else if (_batches.Count == PublishersMax)
            {
                _batches.RemoveAt(0);
            }

            _batches.Add(batch);
            if (delivery.IsShared)
            {
                (_unstable ??= []).Enqueue(delivery);
                UnstableBytes += delivery.Batch.Events.Length;
            }

            return true;
        }

        /// <summary>Forgets what all gateways have.</summary>
        public void Settle(long stable)
        {
            while (_unstable is { Count: > 0 } && _unstable.Peek().Sequence <= stable)
            {
                DropOldest();
            }
        }

        /// <summary>Forgets the oldest delivery that others may have missed; <see langword="false"/> where there is none.</summary>
        public bool DropOldest()
        {
            if (_unstable is not { Count: > 0 })
            {
                return false;
            }

            UnstableBytes -= _unstable.Dequeue().Batch.Events.Length;
            return true;
        }

        public bool TryHold(ChannelDelivery delivery) => (_held ??= []).TryAdd(delivery.Sequence, delivery);

        public ChannelDelivery? TryTakeNextHeld() =>
            _held is { Count: > 0 } && _held.Values[0].Previous <= Sequence ? TryTakeFirstHeld() : null;

        public ChannelDelivery? TryTakeFirstHeld()
        {
            if (_held is not { Count: > 0 })
            {
                return null;
            }

            var first = _held.Values[0];
            _held.RemoveAt(0);
            return first;
        }
    }
}
