using System.Runtime.CompilerServices;
using Fanfare.Broker.Gateways;
using Fanfare.Broker.Silos;
using Fanfare.Broker.Wildcards;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;

namespace Fanfare.Broker.Channels;

/// <summary>The order of one channel during one activation of its grain, and its ways to the interested gateways. Safe for concurrent use.</summary>
/// <remarks>
/// <para>
/// Publishes come by calls of the grain, or past it from <see cref="LocalChannels"/>. Each gets its place
/// and is sent to all gateways under one lock, and only its receipts are waited for, so publishes of many gateways are under way at once.
/// The publisher is answered when all gateways have received the batch. That is why an accepted publish survives this silo: nothing of
/// it is here alone.
/// </para>
/// <para>
/// An activation that follows one that died first asks the gateways how far they have come (<see cref="RecoverAsync"/>). What one
/// of them received and another did not is sent to the latter, in the order it had, before anything new. What was under way at
/// the death is sent again by its publishing gateway, and known by its number where it had arrived.
/// </para>
/// </remarks>
internal sealed partial class ChannelRouter
{
    private static readonly Task<PublishOutcome> s_accepted = Task.FromResult(PublishOutcome.Accepted);
    private static readonly Task<PublishOutcome> s_retry = Task.FromResult(PublishOutcome.Retry);
    private static readonly TimeSpan s_closeTimeout = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly uint _channelHash;
    private readonly IReadOnlyList<CachedWildcard> _wildcards;
    private readonly GatewayRegistry _gateways;
    private readonly LocalChannels _local;
    private readonly SiloEnd _end;
    private readonly BrokerMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly Action _deactivate;

    // Guarded by the lock, as all that follows.
    private readonly List<GatewayLink> _links = [];
    private readonly Dictionary<Guid, LastBatch> _lastBatches = [];
    private readonly Queue<RoutedBatch> _unstable = [];

    // What the links were made of; compared by reference, since each is replaced when it changes.
    private readonly List<IReadOnlyList<GatewayHandle>> _linkSources = [];
    private IReadOnlyList<GatewayHandle> _own;
    private int _registryVersion = -1;

    private long _sequence;
    private int _calledIn;
    private Task? _recovery;
    private TaskCompletionSource? _allReceived;
    private bool _isSuperseded;
    private bool _isClosed;

    /// <param name="key">The channel's key.</param>
    /// <param name="channelHash">Chooses among the observers of a gateway.</param>
    /// <param name="own">The gateways interested in the channel itself.</param>
    /// <param name="wildcards">The wildcards above it.</param>
    /// <param name="gateways">The gateways that the silo knows.</param>
    /// <param name="local">The channels active in this process.</param>
    /// <param name="end">Says when the silo begins to stop.</param>
    /// <param name="metrics">What is counted.</param>
    /// <param name="timeProvider">The clock.</param>
    /// <param name="logger">The grain's.</param>
    /// <param name="deactivate">Ends the activation.</param>
    public ChannelRouter(
        string key, uint channelHash, IReadOnlyList<GatewayHandle> own, IReadOnlyList<CachedWildcard> wildcards, GatewayRegistry gateways,
        LocalChannels local, SiloEnd end, BrokerMetrics metrics, TimeProvider timeProvider, ILogger logger, Action deactivate)
    {
        (Key, Channel, _channelHash, _own, _wildcards, _gateways) = (key, ChannelKey.FromValue(key), channelHash, own, wildcards, gateways);
        (_local, _end, _metrics, _timeProvider, _logger, _deactivate) = (local, end, metrics, timeProvider, logger, deactivate);
    }

    /// <summary>The channel's key as text.</summary>
    public string Key { get; }

    /// <summary>The channel.</summary>
    public ChannelKey Channel { get; }

    /// <summary>The activation's id.</summary>
    public Guid Activation { get; } = Guid.NewGuid();

    /// <summary>Whether another activation has taken the channel over.</summary>
    public bool IsSuperseded
    {
        get
        {
            lock (_lock)
            {
                return _isSuperseded;
            }
        }
    }

    /// <summary>All gateways have what is up to this sequence. The rest must be kept, for an activation that may follow.</summary>
    internal long StableSequence => _unstable.TryPeek(out var first) ? first.StableBefore : _sequence;

    /// <summary>Gives the batch its place in the order and hands it to every interested gateway; see <see cref="IChannelGrain"/>.</summary>
    /// <remarks>On the grain's turns.</remarks>
    public Task<PublishOutcome> PublishAsync(PublishBatch batch)
    {
        lock (_lock)
        {
            _calledIn = _local.Period;
            if (_recovery is { IsCompletedSuccessfully: true })
            {
                return RouteOnceAsync(batch);
            }
        }

        return RecoverAndRouteAsync(batch);
    }

    /// <summary>Publishes for the gateway in this process, where nobody but that gateway is interested, or nobody at all.</summary>
    /// <returns>Whether it is published, and the gateway has it; where it is not, the grain must be called.</returns>
    /// <remarks>
    /// The events pass as they are: what is never in another process needs no number by which it would be known again, and no copy.
    /// </remarks>
    public bool TryPublishHere(EventBatch events)
    {
        lock (_lock)
        {
            if (!IsOpenHere)
            {
                return false;
            }

            UpdateLinks();
            if (_links.Count == 0)
            {
                return true;
            }

            if (_links.Count > 1 || !_links[0].TryDeliverHere(_sequence + 1, StableSequence, events))
            {
                return false;
            }

            _sequence++;
        }

        _metrics.DeliveriesSent.Add(1);
        return true;
    }

    /// <summary>Publishes as a call of the grain does; <see langword="null"/> where that must be made.</summary>
    public Task<PublishOutcome>? TryPublishHereAsync(PublishBatch batch)
    {
        lock (_lock)
        {
            return IsOpenHere ? RouteOnceAsync(batch) : null;
        }
    }

    /// <summary>The gateways interested in the channel itself have changed; what is published from now on reaches them.</summary>
    public void SetOwn(IReadOnlyList<GatewayHandle> own)
    {
        lock (_lock)
        {
            _own = own;
        }
    }

    /// <summary>Takes nothing any more; returns when nothing is here alone, or too much time has passed.</summary>
    public async Task CloseAsync(CancellationToken cancellationToken)
    {
        Task received;
        lock (_lock)
        {
            _isClosed = true;
            // What was sent to several gateways is kept by those that have it, for the next activation to send to those that lack it.
            // What was sent to one alone, and accepted without its receipt, is only here.
            if (_unstable.All(routed => routed.IsShared))
            {
                return;
            }

            _allReceived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            received = _allReceived.Task;
        }

        await Task.WhenAny(received, Task.Delay(s_closeTimeout, _timeProvider, cancellationToken));
    }

    /// <summary>Whether deliveries by a link still make sense.</summary>
    internal bool Uses(GatewayLink link)
    {
        lock (_lock)
        {
            return link.Gateway.IsAlive && !_isSuperseded && _links.Contains(link);
        }
    }

    /// <summary>Another activation has taken the channel over.</summary>
    internal void Supersede()
    {
        lock (_lock)
        {
            _isSuperseded = true;
        }

        _deactivate();
    }

    /// <summary>One gateway less lacks a batch: it has received it, or is gone. Under the lock.</summary>
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

    // Orleans counts calls, and ends activations that have none: now and then one must be made. It also finds out what has become of the
    // activation, should this silo have lost sight of the others.
    private bool IsOpenHere =>
        !_isClosed && !_isSuperseded && _recovery is { IsCompletedSuccessfully: true } && !_end.Begun.IsCancellationRequested
        && _local.Period - _calledIn <= 1;

    private async Task<PublishOutcome> RecoverAndRouteAsync(PublishBatch batch)
    {
        if (!await TryRecoverAsync())
        {
            return PublishOutcome.Retry;
        }

        Task<PublishOutcome> outcome;
        lock (_lock)
        {
            outcome = RouteOnceAsync(batch);
        }

        return await outcome;
    }

    private Task<PublishOutcome> RouteOnceAsync(PublishBatch batch)
    {
        if (_lastBatches.TryGetValue(batch.Gateway, out var last) && batch.Number <= last.Number)
        {
            _metrics.RepeatedBatches.Add(1);
            // Nobody waits for the answer to one that is older than the last.
            return batch.Number == last.Number ? last.Outcome : s_accepted;
        }

        var outcome = RouteAsync(batch);
        _lastBatches[batch.Gateway] = new LastBatch(batch.Number, outcome);
        return outcome;
    }

    private Task<PublishOutcome> RouteAsync(PublishBatch batch)
    {
        if (_isClosed || _isSuperseded || _end.Begun.IsCancellationRequested)
        {
            return s_retry;
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
        if (!received.IsCompleted)
        {
            await WaitUntilEndAsync(received);
        }

        return IsSuperseded || !received.IsCompleted ? PublishOutcome.Retry : PublishOutcome.Accepted;
    }

    // Returns when the task has ended, or the silo begins to.
    private ConfiguredTaskAwaitable WaitUntilEndAsync(Task task) =>
        task.WaitAsync(_end.Begun).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    private RoutedBatch Route(int gatewayCount, long stableBefore, bool isShared)
    {
        var routed = new RoutedBatch(++_sequence, gatewayCount, stableBefore, isShared);
        _unstable.Enqueue(routed);
        return routed;
    }

    private async Task<bool> TryRecoverAsync()
    {
        Task recovery;
        lock (_lock)
        {
            if (_recovery is null or { IsFaulted: true } or { IsCanceled: true })
            {
                _recovery = RecoverAsync();
            }

            recovery = _recovery;
        }

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
        GatewayLink[] links;
        lock (_lock)
        {
            UpdateLinks();
            links = [.. _links];
        }

        if (links.Length == 0)
        {
            return;
        }

        var positions = new ChannelPosition?[links.Length];
        await Task.WhenAll(links.Select(async (link, index) => positions[index] = await TryBeginAsync(link)));

        lock (_lock)
        {
            foreach (var position in positions)
            {
                _sequence = Math.Max(_sequence, position?.Sequence ?? 0);
                foreach (var known in position?.Batches ?? [])
                {
                    NoteAccepted(known);
                }
            }
        }

        foreach (var delivery in GetUnstable(positions))
        {
            var lacking = links.Where((_, index) => positions[index]?.Includes(delivery.Batch) != true).ToList();
            if (lacking.Count > 0)
            {
                await SendAgainAsync(delivery, lacking);
            }

            lock (_lock)
            {
                NoteAccepted(new BatchNumber(delivery.Batch.Gateway, delivery.Batch.Number));
            }
        }
    }

    private Task SendAgainAsync(ChannelDelivery delivery, List<GatewayLink> lacking)
    {
        _metrics.RecoveredDeliveries.Add(lacking.Count);
        lock (_lock)
        {
            var routed = Route(lacking.Count, stableBefore: delivery.Sequence - 1, isShared: true);
            return Task.WhenAll(lacking.ConvertAll(link => link.SendAsync(delivery.Batch, routed)));
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
                    ?? new GatewayLink(this, _lock, gateway, _channelHash, _metrics, _timeProvider, _logger));
            }
        }
    }

    [LoggerMessage(112, LogLevel.Debug, "Gateway {Gateway} could not be asked how far it has come in {Channel}.")]
    private static partial void LogBeginFailed(ILogger logger, Exception exception, Guid gateway, string channel);

    private readonly record struct LastBatch(long Number, Task<PublishOutcome> Outcome);
}
