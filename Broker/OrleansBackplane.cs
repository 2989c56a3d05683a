using System.Collections.Concurrent;
using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Microsoft.Extensions.Options;

namespace Fanfare.Broker;

/// <summary>The backplane of a gateway in a cluster: publishes go to the channels' grains, deliveries come to <see cref="GatewayInbox"/>.</summary>
/// <remarks>
/// <para>
/// A call that fails is repeated until <see cref="BrokerClusterOptions.PublishTimeout"/> has passed: silos die, and others take
/// over. It carries the same number each time, so it is published once. Where all attempts failed, the publisher is told that the
/// service is unavailable; the publish may have happened all the same.
/// </para>
/// </remarks>
internal sealed partial class OrleansBackplane(
    IGrainFactory grains, LocalChannels local, ChannelLocations locations, IDeliverySink sink, GatewayLease lease, BrokerMetrics metrics,
    IOptions<BrokerOptions> options, TimeProvider timeProvider, ILogger<OrleansBackplane> logger) : IBackplane
{
    private readonly BrokerClusterOptions _options = options.Value.Cluster;
    private readonly ConcurrentDictionary<ChannelKey, ChannelPublisher> _publishers = new();
    private GrainReference? _anyChannel;
    private long _lastBatchNumber;
    private long _pendingBytes;

    /// <inheritdoc/>
    public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken)
    {
        isPlaced = sink.HasRoom;
        if (!isPlaced)
        {
            return AwaitRoomAsync(channel, events, cancellationToken);
        }

        return Publish(channel, events, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken) =>
        new(lease.AddInterestAsync(pattern, cancellationToken));

    /// <inheritdoc/>
    public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken) =>
        new(lease.RemoveInterestAsync(pattern, cancellationToken));

    /// <summary>Publishes what a channel's publisher has joined, as often as it takes.</summary>
    /// <param name="channel">The channel's key.</param>
    /// <param name="events">The events, encoded.</param>
    /// <param name="began">When the first of the publishes came, as a time stamp.</param>
    internal async Task<PublishStatus> PublishBatchAsync(ChannelKey channel, byte[] events, long began)
    {
        var batch = new PublishBatch { Gateway = lease.GatewayId, Number = Interlocked.Increment(ref _lastBatchNumber), Events = events };
        var retry = new RetryDelay(timeProvider);
        do
        {
            try
            {
                if (await CallAsync(channel, batch) == PublishOutcome.Accepted)
                {
                    return PublishStatus.Accepted;
                }
            }
            catch (ObjectDisposedException)
            {
                // This process ends.
                return PublishStatus.Unavailable;
            }
            catch (Exception e)
            {
                // A silo that died, that stops, or that does not hold the channel any more; a time-out.
                LogPublishFailed(logger, e, channel.Value);
            }

            metrics.PublishRetries.Add(1);
            await retry.WaitAsync(CancellationToken.None);
        }
        while (timeProvider.GetElapsedTime(began) < _options.PublishTimeout);
        return PublishStatus.Unavailable;
    }

    /// <summary>Forgets a channel's publisher that has ended.</summary>
    internal void Forget(ChannelPublisher publisher) => _publishers.TryRemove(new(publisher.Channel, publisher));

    /// <summary>Bytes of publishes wait no longer.</summary>
    internal void GiveBack(long bytes) => Interlocked.Add(ref _pendingBytes, -bytes);

    private async ValueTask<PublishStatus> AwaitRoomAsync(ChannelKey channel, EventBatch events, CancellationToken cancellationToken) =>
        await sink.WaitForRoomAsync(cancellationToken)
            ? await Publish(channel, events, cancellationToken)
            : PublishStatus.Overloaded;

    private Task<PublishOutcome> CallAsync(ChannelKey channel, PublishBatch batch) =>
        (local.TryFind(channel, out var router) ? router.TryPublishHereAsync(batch) : null)
            ?? (locations.TryFind(channel, out var silo) ? CallSiloAsync(silo, channel, batch) : CallGrainAsync(channel, batch));

    private async Task<PublishOutcome> CallSiloAsync(SiloOutbox silo, ChannelKey channel, PublishBatch batch)
    {
        var outcome = await silo.SendAsync(new ChannelPublish(channel.Value, batch)).ConfigureAwait(false);
        if (outcome == PublishOutcome.Accepted)
        {
            return outcome;
        }

        // The channel is elsewhere by now, or waits for a gateway, for which others need not wait with it: the next publish goes alone too.
        locations.Forget(channel);
        if (outcome == PublishOutcome.Unknown)
        {
            outcome = (await AskGrainAsync(channel, batch).ConfigureAwait(false)).Outcome;
        }

        return outcome;
    }

    private async Task<PublishOutcome> CallGrainAsync(ChannelKey channel, PublishBatch batch)
    {
        var answer = await AskGrainAsync(channel, batch).ConfigureAwait(false);
        if (answer.Outcome == PublishOutcome.Accepted && !local.TryFind(channel, out _))
        {
            locations.Note(channel, answer.Silo);
        }

        return answer.Outcome;
    }

    private Task<PublishAnswer> AskGrainAsync(ChannelKey channel, PublishBatch batch)
    {
        metrics.PublishCalls.Add(1);
        return GetGrain(channel.Value).PublishAsync(batch);
    }

    // Orleans looks the attributes of the interface up each time that it is asked for a grain by it.
    private IChannelGrain GetGrain(string channel)
    {
        if (Volatile.Read(ref _anyChannel) is { } known)
        {
            return (IChannelGrain)grains.GetGrain(GrainId.Create(known.GrainId.Type, channel), known.InterfaceType);
        }

        var grain = grains.GetGrain<IChannelGrain>(channel);
        Volatile.Write(ref _anyChannel, (GrainReference)grain);
        return grain;
    }

    private ValueTask<PublishStatus> Publish(ChannelKey channel, EventBatch events, CancellationToken cancellationToken)
    {
        if (events.AcceptedCount == 0)
        {
            return new(PublishStatus.Accepted);
        }

        // Not past those that came before and wait.
        if (local.TryFind(channel, out var router) && !_publishers.ContainsKey(channel) && router.TryPublishHere(events))
        {
            return new(PublishStatus.Accepted);
        }

        var bytes = events.EncodedBytes;
        if (Interlocked.Add(ref _pendingBytes, bytes) > _options.PendingBytesMax)
        {
            GiveBack(bytes);
            return new(PublishStatus.Overloaded);
        }

        events.AddReference();
        var publish = new PendingPublish(events, timeProvider.GetTimestamp());
        while (!_publishers.GetOrAdd(channel, static (key, backplane) => new ChannelPublisher(backplane, key), this).TryAdd(publish))
        {
            // It ended just now; its place is free, or soon will be.
        }

        return new(cancellationToken.CanBeCanceled ? publish.Outcome.WaitAsync(cancellationToken) : publish.Outcome);
    }

    [LoggerMessage(130, LogLevel.Debug, "A publish to {Channel} failed; it is repeated.")]
    private static partial void LogPublishFailed(ILogger logger, Exception exception, string channel);
}
