using Fanfare.Broker.Gateways;
using Fanfare.Broker.Wildcards;
using Fanfare.Gateway.Channels;
using Orleans.Concurrency;
using Orleans.Storage;

namespace Fanfare.Broker.Channels;

/// <inheritdoc cref="IChannelGrain"/>
/// <remarks>
/// <para>
/// Calls interleave: a publish gets its place and is sent to all gateways without a pause, and only its receipts are waited for,
/// so publishes of many gateways are under way at once. The publisher is answered when all gateways have received the batch.
/// That is why an accepted publish survives this silo: nothing of it is here alone.
/// </para>
/// <para>
/// An activation that follows one that died first asks the gateways how far they have come (<see cref="RecoverAsync"/>). What one
/// of them received and another did not is sent to the latter, in the order it had, before anything new. What was under way at
/// the death is sent again by its publishing gateway, and known by its number where it had arrived.
/// </para>
/// </remarks>
[Reentrant]
[CollectionAgeLimit(Minutes = 2)]
internal sealed partial class ChannelGrain : Grain, IChannelGrain
{
    private static readonly Task<PublishOutcome> s_accepted = Task.FromResult(PublishOutcome.Accepted);
    private static readonly Task<bool> s_notWaitedFor = Task.FromResult(false);
    private static readonly TimeSpan s_deactivationTimeout = TimeSpan.FromSeconds(5);

    private readonly Guid _activation = Guid.NewGuid();
    private readonly InterestSet _interest;
    private readonly InterestCache _cache;
    private readonly GatewayRegistry _gateways;
    private readonly BrokerMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<ChannelGrain> _logger;
    private readonly List<CachedWildcard> _wildcards = new(4);
    private readonly List<GatewayLink> _links = [];
    private readonly Dictionary<Guid, LastBatch> _lastBatches = [];
    private readonly Queue<Routed> _unstable = [];

    // What the links were made of; compared by reference, since each is replaced when it changes.
    private readonly List<IReadOnlyList<GatewayHandle>> _linkSources = [];
    private IReadOnlyList<GatewayHandle> _own = [];
    private int _registryVersion = -1;

    private string _channel = "";
    private uint _channelHash;
    private long _sequence;
    private long _stable;
    private Task? _recovery;
    private bool _isSuperseded;

    /// <summary>Called by Orleans.</summary>
    public ChannelGrain(
        [PersistentState("channel")] IPersistentState<StoredInterest> storage, InterestCache cache, GatewayRegistry gateways,
        BrokerMetrics metrics, TimeProvider timeProvider, ILogger<ChannelGrain> logger)
    {
        (_interest, _cache, _gateways) = (new InterestSet(storage), cache, gateways);
        (_metrics, _timeProvider, _logger) = (metrics, timeProvider, logger);
    }

    /// <inheritdoc/>
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _channel = this.GetPrimaryKeyString();
        _channelHash = this.GetGrainId().GetUniformHashCode();
        _interest.Load();
        var finding = _gateways.FindAsync(_interest.Gateways);
        var acquiring = new List<Task<CachedWildcard>>(4);
        foreach (var wildcard in GetWildcards())
        {
            acquiring.Add(_cache.AcquireAsync(wildcard));
        }

        try
        {
            foreach (var wildcard in acquiring)
            {
                _wildcards.Add(await wildcard);
            }

            _own = await finding;
            // Stored with the next change, or at the end.
            _interest.Prune(gateway => !_own.Any(handle => handle.Id == gateway));
        }
        catch
        {
            await ReleaseAllAsync(acquiring);
            throw;
        }

        _metrics.ChannelActivated();
    }

    /// <inheritdoc/>
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        if (_wildcards.Count == 0 && _channel.Length == 0)
        {
            return;
        }

        // Publishers that wait for receipts get their answers first.
        var routing = Task.WhenAll(_lastBatches.Values.Select(last => last.Outcome));
        await Task.WhenAny(routing, Task.Delay(s_deactivationTimeout, _timeProvider, cancellationToken));
        _interest.Prune(gateway => _own.Any(handle => handle.Id == gateway && !handle.IsAlive));
        if (!_isSuperseded)
        {
            // What can't be stored now is seen and tried again by the next activation.
            await _interest.SaveAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        foreach (var wildcard in _wildcards)
        {
            _cache.Release(wildcard);
        }

        _wildcards.Clear();
        _metrics.ChannelDeactivated();
    }

    /// <inheritdoc/>
    public async Task ChangeInterestAsync(InterestChange change)
    {
        _interest.Apply(change);
        try
        {
            await _interest.SaveAsync();
        }
        catch (InconsistentStateException)
        {
            DeactivateOnIdle();
            throw;
        }

        // Last, and from what is stored by now: another change may have come in between.
        IReadOnlyList<Guid> gateways;
        IReadOnlyList<GatewayHandle> handles;
        do
        {
            gateways = _interest.Gateways;
            handles = await _gateways.FindAsync(gateways);
        }
        while (!_interest.Gateways.Equals(gateways));
        _own = handles;
    }

    /// <inheritdoc/>
    public async Task<PublishOutcome> PublishAsync(PublishBatch batch)
    {
        if (_recovery is not { IsCompletedSuccessfully: true })
        {
            await EnsureRecoveredAsync();
        }

        if (_lastBatches.TryGetValue(batch.Gateway, out var last) && batch.Number <= last.Number)
        {
            _metrics.RepeatedBatches.Add(1);
            // Nobody waits for the answer to one that is older than the last.
            return batch.Number == last.Number ? await last.Outcome : PublishOutcome.Accepted;
        }

        var outcome = RouteAsync(batch);
        _lastBatches[batch.Gateway] = new LastBatch(batch.Number, outcome);
        return await outcome;
    }

    private Task<PublishOutcome> RouteAsync(PublishBatch batch)
    {
        if (_isSuperseded)
        {
            return Task.FromResult(PublishOutcome.Retry);
        }

        UpdateLinks();
        if (_links.Count == 0)
        {
            return s_accepted;
        }

        var sequence = ++_sequence;
        _metrics.DeliveriesSent.Add(_links.Count);
        if (_links.Count == 1)
        {
            return RouteToOneAsync(_links[0], batch, sequence);
        }

        var receipts = new Task<bool>[_links.Count];
        for (var i = 0; i < receipts.Length; i++)
        {
            receipts[i] = SendAsync(_links[i], batch, sequence, isShared: true);
        }

        var routed = new Routed(sequence);
        _unstable.Enqueue(routed);
        return AwaitReceiptsAsync(receipts, routed);
    }

    private async Task<PublishOutcome> RouteToOneAsync(GatewayLink link, PublishBatch batch, long sequence) =>
        await SendAsync(link, batch, sequence, isShared: false) || !_isSuperseded ? PublishOutcome.Accepted : PublishOutcome.Retry;

    private async Task<PublishOutcome> AwaitReceiptsAsync(Task<bool>[] receipts, Routed routed)
    {
        foreach (var receipt in receipts)
        {
            await receipt;
        }

        routed.IsReceived = true;
        while (_unstable.TryPeek(out var first) && first.IsReceived)
        {
            _stable = first.Sequence;
            _unstable.Dequeue();
        }

        return _isSuperseded ? PublishOutcome.Retry : PublishOutcome.Accepted;
    }

    // Sends now, and returns when the gateway has received it or has had its time.
    private Task<bool> SendAsync(GatewayLink link, PublishBatch batch, long sequence, bool isShared)
    {
        var delivery = new ChannelDelivery
        {
            Activation = _activation,
            Channel = _channel,
            Sequence = sequence,
            Previous = link.LastSent,
            Stable = _stable,
            IsShared = isShared,
            Batch = batch,
        };
        link.LastSent = sequence;
        if (link.Unreceived.Count >= GatewayLink.UnreceivedCountMax && link.Gateway.IsSuspect)
        {
            // Its lease decides whether it is alive; if it is, it sees the gap.
            _metrics.UnreceivedDeliveries.Add(1);
            return s_notWaitedFor;
        }

        link.Unreceived.Add(delivery);
        var delivering = DeliverAsync(link, delivery);
        // One that has not answered before is sent to all the same, but not waited for.
        return link.Gateway.IsSuspect ? s_notWaitedFor : delivering;
    }

    private async Task<bool> DeliverAsync(GatewayLink link, ChannelDelivery delivery)
    {
        if (await TryDeliverAsync(link, delivery))
        {
            link.Unreceived.Remove(delivery);
            return true;
        }

        var repeating = RepeatAsync(link, delivery);
        if (link.Gateway.IsSuspect)
        {
            return false;
        }

        try
        {
            return await repeating.WaitAsync(Timing.ReceiptTimeout, _timeProvider);
        }
        catch (TimeoutException)
        {
            if (!link.Gateway.IsSuspect)
            {
                link.Gateway.IsSuspect = true;
                LogSuspect(_logger, link.Gateway.Id);
            }

            return false;
        }
    }

    private async Task<bool> RepeatAsync(GatewayLink link, ChannelDelivery delivery)
    {
        var retry = new RetryDelay(_timeProvider);
        while (link.Gateway.IsAlive && !_isSuperseded && _links.Contains(link))
        {
            await retry.WaitAsync();
            _metrics.RepeatedDeliveries.Add(1);
            if (await TryDeliverAsync(link, delivery))
            {
                link.Unreceived.Remove(delivery);
                return true;
            }
        }

        link.Unreceived.Remove(delivery);
        return false;
    }

    private async Task<bool> TryDeliverAsync(GatewayLink link, ChannelDelivery delivery)
    {
        var beginning = link.Beginning;
        try
        {
            if (beginning is not { IsCompletedSuccessfully: true })
            {
                beginning = BeginAsync(link);
                await beginning;
            }

            switch (await link.Observer.DeliverAsync(delivery))
            {
                case DeliveryReceipt.Received:
                    link.Gateway.IsSuspect = false;
                    return true;

                case DeliveryReceipt.ReceivedWithoutRoom:
                    link.Gateway.IsSuspect = false;
                    await link.Observer.WaitForRoomAsync();
                    return true;

                case DeliveryReceipt.Superseded:
                    _isSuperseded = true;
                    DeactivateOnIdle();
                    return false;

                default:
                    // It has forgotten the channel: the next attempt begins anew, unless another delivery has done so already.
                    if (link.Beginning == beginning)
                    {
                        link.Beginning = null;
                    }

                    return false;
            }
        }
        catch (Exception e)
        {
            // A time-out, a connection that broke, a silo on the way that died: all are tried again until the lease runs out.
            LogDeliveryFailed(_logger, e, link.Gateway.Id, _channel);
            return false;
        }
    }

    private Task<ChannelPosition> BeginAsync(GatewayLink link)
    {
        if (link.Beginning is null or { IsFaulted: true } or { IsCanceled: true })
        {
            link.Beginning = link.Observer.BeginAsync(_channel, _activation, link.Position);
        }

        return link.Beginning;
    }

    private Task EnsureRecoveredAsync()
    {
        if (_recovery is null or { IsFaulted: true } or { IsCanceled: true })
        {
            _recovery = RecoverAsync();
        }

        return _recovery;
    }

    private async Task RecoverAsync()
    {
        UpdateLinks();
        if (_links.Count == 0)
        {
            return;
        }

        var links = _links.ToArray();
        var positions = new ChannelPosition?[links.Length];
        await Task.WhenAll(links.Select(async (link, index) =>
        {
            try
            {
                positions[index] = await BeginAsync(link);
            }
            catch (Exception e)
            {
                // It may be dead. Its lease decides, and until then it is asked again before each delivery.
                LogDeliveryFailed(_logger, e, link.Gateway.Id, _channel);
            }
        }));

        foreach (var position in positions)
        {
            _sequence = Math.Max(_sequence, position?.Sequence ?? 0);
            foreach (var known in position?.Batches ?? [])
            {
                NoteAccepted(known);
            }
        }

        foreach (var delivery in GetUnstable(positions))
        {
            var sequence = ++_sequence;
            var sends = new List<Task<bool>>();
            for (var i = 0; i < links.Length; i++)
            {
                if (positions[i] is not { } position || !position.Includes(delivery.Batch))
                {
                    sends.Add(SendAsync(links[i], delivery.Batch, sequence, isShared: true));
                }
            }

            _metrics.RecoveredDeliveries.Add(sends.Count);
            await Task.WhenAll(sends);
            NoteAccepted(new BatchNumber(delivery.Batch.Gateway, delivery.Batch.Number));
        }

        _stable = _sequence;
    }

    private void NoteAccepted(BatchNumber batch)
    {
        if (!_lastBatches.TryGetValue(batch.Gateway, out var last) || last.Number < batch.Number)
        {
            _lastBatches[batch.Gateway] = new LastBatch(batch.Number, s_accepted);
        }
    }

    private static IEnumerable<ChannelDelivery> GetUnstable(ChannelPosition?[] positions) => positions
        .SelectMany(position => position?.Unstable ?? [])
        .DistinctBy(delivery => (delivery.Batch.Gateway, delivery.Batch.Number))
        .OrderBy(delivery => delivery.Sequence);

    // Every gateway that is interested in the channel or in a wildcard above it, once.
    private void UpdateLinks()
    {
        var isCurrent = _registryVersion == _gateways.Version && _linkSources.Count == _wildcards.Count + 1
            && ReferenceEquals(_linkSources[0], _own);
        for (var i = 0; isCurrent && i < _wildcards.Count; i++)
        {
            isCurrent = ReferenceEquals(_linkSources[i + 1], _wildcards[i].Gateways);
        }

        if (isCurrent)
        {
            return;
        }

        _registryVersion = _gateways.Version;
        _linkSources.Clear();
        _linkSources.Add(_own);
        foreach (var wildcard in _wildcards)
        {
            _linkSources.Add(wildcard.Gateways);
        }

        var known = _links.ToDictionary(link => link.Gateway);
        _links.Clear();
        foreach (var gateway in _linkSources.SelectMany(source => source).Distinct())
        {
            if (gateway.IsAlive)
            {
                _links.Add(known.GetValueOrDefault(gateway) ?? new GatewayLink(gateway, gateway.GetObserver(_channelHash)));
            }
        }
    }

    private List<string> GetWildcards()
    {
        var channel = ChannelKey.FromValue(_channel);
        var wildcards = new List<string>(4);
        var position = 0;
        while (channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            wildcards.Add(wildcard.ToString());
        }

        return wildcards;
    }

    private async Task ReleaseAllAsync(List<Task<CachedWildcard>> acquiring)
    {
        _wildcards.Clear();
        foreach (var wildcard in acquiring)
        {
            try
            {
                _cache.Release(await wildcard);
            }
            catch (Exception)
            {
                // The cache has none to give back; why the activation fails is told by the first of these.
            }
        }
    }

    [LoggerMessage(110, LogLevel.Warning, "Gateway {Gateway} gave no receipt in time. Channels do not wait for it until it does, or its lease runs out.")]
    private static partial void LogSuspect(ILogger logger, Guid gateway);

    [LoggerMessage(111, LogLevel.Debug, "A call of gateway {Gateway} about {Channel} failed; it is repeated.")]
    private static partial void LogDeliveryFailed(ILogger logger, Exception exception, Guid gateway, string channel);

    private readonly record struct LastBatch(long Number, Task<PublishOutcome> Outcome);

    private sealed class Routed(long sequence)
    {
        public long Sequence { get; } = sequence;

        public bool IsReceived { get; set; }
    }
}
