using Fanfare.Broker.Channels;
using Orleans.Concurrency;
using Orleans.Placement;

namespace Fanfare.Broker.Silos;

/// <inheritdoc cref="ISiloChannelsGrain"/>
[Reentrant]
[SiloPlacement]
[Immovable]
internal sealed class SiloChannelsGrain(LocalChannels channels) : Grain, ISiloChannelsGrain
{
    /// <inheritdoc/>
    // Not in turns: channels have locks, and calls of several gateways need not wait for each other.
    public Task<PublishOutcome[]> PublishAsync(ChannelPublish[] publishes) => Task.Run(() => channels.PublishAsync(publishes));
}
