using Fanfare.Broker.Channels;

namespace Fanfare.Broker.Silos;

/// <summary>The channels active on one silo, for gateways that publish to several of them at once. Its key is the silo's address.</summary>
[Alias("fanfare.silo-channels")]
public interface ISiloChannelsGrain : IGrainWithStringKey
{
    /// <summary>Publishes as <see cref="IChannelGrain.PublishAsync"/> does, to any number of channels.</summary>
    /// <returns>
    /// What became of each: <see cref="PublishOutcome.Unknown"/> where the channel is not active on the silo, its grain has to be called, or
    /// there is no outcome yet. The same batch is to be sent to the channel's grain then.
    /// </returns>
    [ResponseTimeout(Timing.PublishCall)]
    Task<PublishOutcome[]> PublishAsync(ChannelPublish[] publishes);
}
