using Fanfare.Broker.Channels;
using Orleans.Concurrency;

namespace Fanfare.Broker.Gateways;

/// <summary>A gateway as the channels see it. Each gateway has several, and a channel always uses the same one of them.</summary>
[Alias("fanfare.gateway-observer")]
public interface IGatewayObserver : IGrainObserver
{
    /// <summary>An activation takes a channel over. From now on, deliveries of any other one are refused.</summary>
    /// <param name="channel">The channel, as <see cref="Fanfare.Gateway.Channels.ChannelKey.Value"/>.</param>
    /// <param name="activation">The activation's own id.</param>
    /// <param name="position">The sequence after which the activation's deliveries go on; 0 where it has sent none yet.</param>
    /// <returns>How far this gateway has come, so that all gateways can be brought to the same point.</returns>
    [ResponseTimeout(Timing.DeliveryCall)]
    Task<ChannelPosition> BeginAsync(string channel, Guid activation, long position);

    /// <summary>Takes deliveries into memory.</summary>
    /// <param name="deliveries">Those of one channel are in its order.</param>
    /// <returns>A receipt for each.</returns>
    [ResponseTimeout(Timing.DeliveryCall)]
    Task<DeliveryReceipt[]> DeliverAsync(ChannelDelivery[] deliveries);

    /// <summary>Waits until the gateway has sent on enough to take more, or has waited long enough.</summary>
    /// <returns>Whether it can take more.</returns>
    [AlwaysInterleave]
    [ResponseTimeout(Timing.RoomCall)]
    Task<bool> WaitForRoomAsync();
}
