using System.Diagnostics.Metrics;

namespace Fanfare.Broker;

/// <summary>What the cluster counts, beside what gateways count.</summary>
internal sealed class BrokerMetrics : IDisposable
{
    private readonly Meter _meter;
    private int _activeChannels;
    private int _rememberedChannels;

    /// <summary>Makes the instruments.</summary>
    public BrokerMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("Fanfare.Broker");
        _meter.CreateObservableUpDownCounter(
            "fanfare.cluster.channels.active", () => Volatile.Read(ref _activeChannels), description: "Channel grains active on this silo.");
        _meter.CreateObservableUpDownCounter(
            "fanfare.cluster.channels.remembered", () => Volatile.Read(ref _rememberedChannels),
            description: "Channels of which this gateway remembers how far it has come.");
        DeliveriesSent = _meter.CreateCounter<long>(
            "fanfare.cluster.deliveries", description: "Batches that channels of this silo sent, one for each interested gateway.");
        DeliveryCalls = _meter.CreateCounter<long>(
            "fanfare.cluster.delivery.calls", description: "Calls of gateways in other processes by this silo, each with one batch or more.");
        RepeatedDeliveries = _meter.CreateCounter<long>(
            "fanfare.cluster.deliveries.repeated", description: "Batches sent again, because a gateway gave no receipt.");
        LostDeliveries = _meter.CreateCounter<long>(
            "fanfare.cluster.deliveries.lost", description: "Batches not sent to a gateway for which too many wait already.");
        RecoveredDeliveries = _meter.CreateCounter<long>(
            "fanfare.cluster.deliveries.recovered", description: "Batches that a channel's next activation sent to gateways that had missed them.");
        RepeatedBatches = _meter.CreateCounter<long>(
            "fanfare.cluster.batches.repeated", description: "Batches that channels knew already.");
        PublishCalls = _meter.CreateCounter<long>(
            "fanfare.cluster.publish.calls", description: "Calls of silos by this gateway, each with publishes to one channel or more.");
        PublishRetries = _meter.CreateCounter<long>(
            "fanfare.cluster.publish.retries", description: "Attempts to publish to a channel that failed and were repeated.");
        DuplicateDeliveries = _meter.CreateCounter<long>(
            "fanfare.cluster.deliveries.duplicate", description: "Batches that this gateway had already and dropped.");
        Gaps = _meter.CreateCounter<long>(
            "fanfare.cluster.gaps", description: "Deliveries that never came to this gateway: subscribers missed events.");
        LeaseLosses = _meter.CreateCounter<long>(
            "fanfare.cluster.lease.losses", description: "Times that this gateway's lease ran out: subscribers may have missed events.");
    }

    /// <summary>Batches sent by channels of this silo.</summary>
    public Counter<long> DeliveriesSent { get; }

    /// <summary>Calls of gateways by this silo.</summary>
    public Counter<long> DeliveryCalls { get; }

    /// <summary>Batches sent again.</summary>
    public Counter<long> RepeatedDeliveries { get; }

    /// <summary>Batches given up.</summary>
    public Counter<long> LostDeliveries { get; }

    /// <summary>Batches sent by an activation's successor.</summary>
    public Counter<long> RecoveredDeliveries { get; }

    /// <summary>Batches that channels knew already.</summary>
    public Counter<long> RepeatedBatches { get; }

    /// <summary>Calls of silos by this gateway.</summary>
    public Counter<long> PublishCalls { get; }

    /// <summary>Publishes to a channel that were repeated.</summary>
    public Counter<long> PublishRetries { get; }

    /// <summary>Batches that this gateway had already.</summary>
    public Counter<long> DuplicateDeliveries { get; }

    /// <summary>Deliveries that never came.</summary>
    public Counter<long> Gaps { get; }

    /// <summary>Leases that ran out.</summary>
    public Counter<long> LeaseLosses { get; }

    /// <summary>How many channels this node keeps something of: those active on its silo, and those its gateway remembers.</summary>
    public int ChannelCount => Volatile.Read(ref _activeChannels) + Volatile.Read(ref _rememberedChannels);

    /// <summary>A channel's grain was activated on this silo.</summary>
    public void ChannelActivated() => Interlocked.Increment(ref _activeChannels);

    /// <summary>A channel's grain was deactivated on this silo.</summary>
    public void ChannelDeactivated() => Interlocked.Decrement(ref _activeChannels);

    /// <summary>This gateway has begun to remember a channel.</summary>
    public void ChannelRemembered() => Interlocked.Increment(ref _rememberedChannels);

    /// <summary>This gateway has forgotten a channel.</summary>
    public void ChannelForgotten() => Interlocked.Decrement(ref _rememberedChannels);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
