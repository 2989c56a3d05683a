using Fanfare.Broker.Channels;
using Fanfare.Broker.Silos;

namespace Fanfare.Broker.Gateways;

/// <summary>This gateway's publishes to channels on one silo: those to several channels share messages.</summary>
internal sealed class SiloOutbox(SiloAddress address, ISiloChannelsGrain silo, BrokerMetrics metrics) : CallBatcher<ChannelPublish, PublishOutcome>
{
    private volatile bool _hasFailed;

    /// <summary>The silo.</summary>
    public SiloAddress Address => address;

    /// <summary>Whether a call has failed, so that nothing is to be sent this way any more.</summary>
    public bool HasFailed => _hasFailed;

    /// <inheritdoc/>
    protected override int GetBytes(ChannelPublish request) => request.Batch.Events.Length;

    /// <inheritdoc/>
    protected override async Task<PublishOutcome[]> CallAsync(ChannelPublish[] requests)
    {
        metrics.PublishCalls.Add(1);
        try
        {
            return await silo.PublishAsync(requests).ConfigureAwait(false);
        }
        catch
        {
            _hasFailed = true;
            throw;
        }
    }
}
