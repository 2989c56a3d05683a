using System.Runtime.CompilerServices;
using Fanfare.Broker.Gateways;
using Fanfare.Broker.Silos;
using Fanfare.Broker.Wildcards;
using Fanfare.Gateway.Channels;
using Orleans.Concurrency;
using Orleans.Placement;
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
[HashBasedPlacement]
[CollectionAgeLimit(Minutes = 2)]
internal sealed partial class ChannelGrain : Grain, IChannelGrain
{
    private static readonly Task<PublishOutcome> s_accepted = Task.FromResult(PublishOutcome.Accepted);
    private static readonly TimeSpan s_deactivationTimeout = TimeSpan.FromSeconds(5);

    private readonly InterestSet _interest;
    private readonly InterestCache _cache;
    private readonly GatewayRegistry _gateways;
    private readonly SiloEnd _end;
    private readonly BrokerMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<ChannelGrain> _logger;
    private readonly List<CachedWildcard> _wildcards = new(4);
    private readonly List<GatewayLink> _links = [];
    private readonly Dictionary<Guid, LastBatch> _lastBatches = [];
    private readonly Queue<RoutedBatch> _unstable = [];

    // What the links were made of; compared by reference, since each is replaced when it changes.
    private readonly List<IReadOnlyList<GatewayHandle>> _linkSources = [];
    private IReadOnlyList<GatewayHandle> _own = [];
    private int _registryVersion = -1;

    private uint _channelHash;
    private long _sequence;
    private Task? _recovery;
    private TaskCompletionSource? _allReceived;
    private bool _isSuperseded;

    /// <summary>Called by Orleans.</summary>
    public ChannelGrain(
        [PersistentState("channel")] IPersistentState<StoredInterest> storage, InterestCache cache, GatewayRegistry gateways,
        SiloEnd end, BrokerMetrics metrics, TimeProvider timeProvider, ILogger<ChannelGrain> logger)
    {
        (_interest, _cache, _gateways, _end) = (new InterestSet(storage), cache, gateways, end);
        (_metrics, _timeProvider, _logger) = (metrics, timeProvider, logger);
    }

    /// <inheritdoc/>
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        Key = this.GetPrimaryKeyString();
        _channelHash = this.GetGrainId().GetUniformHashCode();
        _interest.Load();
        var finding = _interest.PruneAsync(_gateways);
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
        if (_wildcards.Count == 0 && Key.Length == 0)
        {
            return;
        }

        // What was sent to several gateways is kept by those that have it, for the next activation to send to those that lack it. What
        // was sent to one alone, and accepted without its receipt, is only here.
        if (_unstable.Any(routed => !routed.IsShared))
        {
            _allReceived = new TaskCompletionSource();
            await Task.WhenAny(_allReceived.Task, Task.Delay(s_deactivationTimeout, _timeProvider, cancellationToken));
        }

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

        // Last, and from what is stored by now.
        _own = await _interest.PruneAsync(_gateways);
    }

    /// <inheritdoc/>
    public async Task<PublishOutcome> PublishAsync(PublishBatch batch)
    {
        if (_recovery is not { IsCompletedSuccessfully: true } && !await TryRecoverAsync())
        {
            return PublishOutcome.Retry;
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
        if (_isSuperseded || _end.Begun.IsCancellationRequested)
        {
            return Task.FromResult(PublishOutcome.Retry);
        }

        UpdateLinks();
        if (_links.Count == 0)
        {
            return s_accepted;
        }

        _metrics.DeliveriesSent.Add(_links.Count);
        var routed = Route(_links.Count, stableBefore: _sequence, isShared: _links.Count > 1);
        if (_links.Count == 1)
        {
            return AwaitReceiptAsync(_links[0].SendAsync(batch, routed));
        }

        var receipts = new Task[_links.Count];
        for (var i = 0; i < receipts.Length; i++)
        {
            receipts[i] = _links[i].SendAsync(batch, routed);
        }

        return AwaitReceiptAsync(Task.WhenAll(receipts));
    }

    private async Task<PublishOutcome> AwaitReceiptAsync(Task received)
    {
        await WaitUntilEndAsync(received);
        return _isSuperseded || !received.IsCompleted ? PublishOutcome.Retry : PublishOutcome.Accepted;
    }

    // Returns when the task has ended, or the silo begins to.
    private ConfiguredTaskAwaitable WaitUntilEndAsync(Task task) => task.WaitAsync(_end.Begun)
        .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    /// <summary>The channel's key.</summary>
    internal string Key { get; private set; } = "";

    /// <summary>This activation's id.</summary>
    internal Guid Activation { get; } = Guid.NewGuid();

    /// <summary>All gateways have what is up to this sequence. The rest must be kept, for an activation that may follow.</summary>
    internal long StableSequence => _unstable.TryPeek(out var first) ? first.StableBefore : _sequence;

    /// <summary>Whether deliveries by a link still make sense.</summary>
    internal bool Uses(GatewayLink link) => link.Gateway.IsAlive && !_isSuperseded && _links.Contains(link);

    /// <summary>Another activation has taken the channel over.</summary>
    internal void Supersede()
    {
        _isSuperseded = true;
        DeactivateOnIdle();
    }

    /// <summary>One gateway less lacks a batch: it has received it, or is gone.</summary>
    internal void Settle(RoutedBatch routed)
    {
        routed.LackingCount--;
        while (_unstable.TryPeek(out var first) && first.LackingCount == 0)
        {
            _unstable.Dequeue();
        }

        if (_unstable.Count == 0)
        {
            _allReceived?.TrySetResult();
        }
    }

    private RoutedBatch Route(int gatewayCount, long stableBefore, bool isShared)
    {
        var routed = new RoutedBatch(++_sequence, gatewayCount, stableBefore, isShared);
        _unstable.Enqueue(routed);
        return routed;
    }

    private async Task<bool> TryRecoverAsync()
    {
        if (_recovery is null or { IsFaulted: true } or { IsCanceled: true })
        {
            _recovery = RecoverAsync();
        }

        var recovery = _recovery;
        await WaitUntilEndAsync(recovery);
        if (!recovery.IsCompleted)
        {
            return false;
        }

        await recovery;
        return true;
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
        await Task.WhenAll(links.Select(async (link, index) => positions[index] = await TryBeginAsync(link)));

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
            var lacking = links.Where((_, index) => positions[index]?.Includes(delivery.Batch) != true).ToList();
            if (lacking.Count > 0)
            {
                _metrics.RecoveredDeliveries.Add(lacking.Count);
                var routed = Route(lacking.Count, stableBefore: delivery.Sequence - 1, isShared: true);
                await Task.WhenAll(lacking.Select(link => link.SendAsync(delivery.Batch, routed)));
            }

            NoteAccepted(new BatchNumber(delivery.Batch.Gateway, delivery.Batch.Number));
        }
    }

    // A gateway that cannot be reached at once may only have lost the silo that it was connected to. One that cannot be reached for
    // longer may be dead: its lease decides, and what it has received before is not known to the others.
    private async Task<ChannelPosition?> TryBeginAsync(GatewayLink link)
    {
        var began = _timeProvider.GetTimestamp();
        var retry = new RetryDelay(_timeProvider);
        while (true)
        {
            try
            {
                return await link.BeginAsync();
            }
            catch (Exception e)
            {
                LogBeginFailed(_logger, e, link.Gateway.Id, Key);
                if (link.Gateway.IsSuspect || !link.Gateway.IsAlive || _timeProvider.GetElapsedTime(began) > Timing.ReceiptTimeout)
                {
                    link.Gateway.IsSuspect = true;
                    return null;
                }

                await retry.WaitAsync();
            }
        }
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

        if (_registryVersion != _gateways.Version)
        {
            _registryVersion = _gateways.Version;
            foreach (var (gateway, last) in _lastBatches)
            {
                if (last.Outcome.IsCompleted && !_gateways.Knows(gateway))
                {
                    _lastBatches.Remove(gateway);
                }
            }
        }

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
                _links.Add(known.GetValueOrDefault(gateway)
                    ?? new GatewayLink(this, gateway, _channelHash, _metrics, _timeProvider, _logger));
            }
        }
    }

    private List<string> GetWildcards()
    {
        var channel = ChannelKey.FromValue(Key);
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

    [LoggerMessage(112, LogLevel.Debug, "Gateway {Gateway} could not be asked how far it has come in {Channel}.")]
    private static partial void LogBeginFailed(ILogger logger, Exception exception, Guid gateway, string channel);

    private readonly record struct LastBatch(long Number, Task<PublishOutcome> Outcome);
}
