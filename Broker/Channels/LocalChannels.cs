using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Fanfare.Gateway.Channels;

namespace Fanfare.Broker.Channels;

/// <summary>The channels active in this process, for gateways that go past their grains. Safe for concurrent use.</summary>
/// <remarks>
/// In a node that is silo and gateway, a publish to a channel that lives here need not become a message, wait for a turn of the grain and
/// be answered by another message: the gateway takes the way that the grain itself takes. Gateways elsewhere publish to many of a silo's
/// channels with one message.
/// </remarks>
internal sealed class LocalChannels : IDisposable
{
    private static readonly Task<PublishOutcome> s_unknown = Task.FromResult(PublishOutcome.Unknown);

    private readonly ConcurrentDictionary<ChannelKey, ChannelRouter> _routers = new();
    private readonly TimeProvider _timeProvider;
    private readonly ITimer _timer;
    private int _period;

    public LocalChannels(TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        _timer = timeProvider.CreateTimer(
            static state => Interlocked.Increment(ref ((LocalChannels)state!)._period), this, Timing.DirectPublishPeriod, Timing.DirectPublishPeriod);
    }

    /// <summary>Which <see cref="Timing.DirectPublishPeriod"/> this is: a clock that costs a publish nothing.</summary>
    public int Period => Volatile.Read(ref _period);

    /// <summary>A channel was activated here.</summary>
    public void Add(ChannelRouter router) => _routers[router.Channel] = router;

    /// <summary>A channel's activation ends.</summary>
    public void Remove(ChannelRouter router) => _routers.TryRemove(new(router.Channel, router));

    /// <summary>Finds a channel's router; <see langword="false"/> where the channel is not active here.</summary>
    public bool TryFind(ChannelKey channel, [NotNullWhen(true)] out ChannelRouter? router) => _routers.TryGetValue(channel, out router);

    /// <summary>Publishes to several channels; see <see cref="Silos.ISiloChannelsGrain.PublishAsync"/>.</summary>
    public async Task<PublishOutcome[]> PublishAsync(ChannelPublish[] publishes)
    {
        var publishing = new Task<PublishOutcome>[publishes.Length];
        var areCompleted = true;
        for (var i = 0; i < publishes.Length; i++)
        {
            var (channel, batch) = publishes[i];
            publishing[i] = (TryFind(ChannelKey.FromValue(channel), out var router) ? router.TryPublishHereAsync(batch) : null) ?? s_unknown;
            areCompleted &= publishing[i].IsCompleted;
        }

        if (!areCompleted)
        {
            // One that waits for a gateway without receipts must not hold the others up for as long.
            Task all = Task.WhenAll(publishing);
            await all.WaitAsync(Timing.JoinedPublishTimeout, _timeProvider).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return Array.ConvertAll(
            publishing, static publish => publish.IsCompletedSuccessfully ? publish.GetAwaiter().GetResult() : PublishOutcome.Unknown);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();
}
