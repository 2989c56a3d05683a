using Fanfare.Broker.Channels;

namespace Fanfare.Broker.Gateways;

/// <summary>Deliveries of this silo's channels to one observer of a gateway: those of several channels share messages.</summary>
/// <remarks>
/// On behalf of the silo, not of the grain that delivers. Orleans sends an observer's answer to where the observer's own silo believes
/// the calling grain to be; where that is out of date, the answer is lost, each time. A silo is always found.
/// </remarks>
internal sealed class GatewayOutbox(IGatewayObserver observer, BrokerMetrics metrics) : CallBatcher<ChannelDelivery, DeliveryReceipt>
{
    /// <inheritdoc/>
    protected override int GetBytes(ChannelDelivery request) => request.Batch.Events.Length;

    /// <inheritdoc/>
    protected override Task<DeliveryReceipt[]> CallAsync(ChannelDelivery[] requests)
    {
        metrics.DeliveryCalls.Add(1);
        return observer.DeliverAsync(requests);
    }
}
