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
/// What the cluster must agree on: where the channel lives, and which gateways are interested in it. What is done with its publishes
/// is its router's.
/// </remarks>
[Reentrant]
[HashBasedPlacement]
[CollectionAgeLimit(Minutes = 2)]
internal sealed class ChannelGrain : Grain, IChannelGrain
{
    private readonly InterestSet _interest;
    private readonly InterestCache _cache;
    private readonly GatewayRegistry _gateways;
    private readonly LocalChannels _local;
    private readonly SiloEnd _end;
    private readonly ILocalSiloDetails _silo;
    private readonly BrokerMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<ChannelGrain> _logger;
    private readonly List<CachedWildcard> _wildcards = new(4);
    private ChannelRouter? _router;

    /// <summary>Called by Orleans.</summary>
    public ChannelGrain(
        [PersistentState("channel")] IPersistentState<StoredInterest> storage, InterestCache cache, GatewayRegistry gateways,
        LocalChannels local, SiloEnd end, ILocalSiloDetails silo, BrokerMetrics metrics, TimeProvider timeProvider, ILogger<ChannelGrain> logger)
    {
        (_interest, _cache, _gateways, _local, _end, _silo) = (new InterestSet(storage), cache, gateways, local, end, silo);
        (_metrics, _timeProvider, _logger) = (metrics, timeProvider, logger);
    }

    private ChannelRouter Router => _router ?? throw new InvalidOperationException("The channel is not active.");

    /// <inheritdoc/>
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        var key = this.GetPrimaryKeyString();
        _interest.Load();
        var finding = _interest.PruneAsync(_gateways);
        var acquiring = new List<Task<CachedWildcard>>(4);
        foreach (var wildcard in GetWildcards(key))
        {
            acquiring.Add(_cache.AcquireAsync(wildcard));
        }

        IReadOnlyList<GatewayHandle> own;
        try
        {
            foreach (var wildcard in acquiring)
            {
                _wildcards.Add(await wildcard);
            }

            own = await finding;
        }
        catch
        {
            await ReleaseAllAsync(acquiring);
            throw;
        }

        _router = new ChannelRouter(
            key, this.GetGrainId().GetUniformHashCode(), own, _wildcards, _gateways, _local, _end, _metrics, _timeProvider, _logger,
            DeactivateOnIdle);
        _local.Add(_router);
        _metrics.ChannelActivated();
    }

    /// <inheritdoc/>
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        if (_router is null)
        {
            return;
        }

        // Before anything that takes time: until now there is no other activation, and afterwards there may be.
        _local.Remove(_router);
        await _router.CloseAsync(cancellationToken);
        if (!_router.IsSuperseded)
        {
            // What can't be stored now is seen and tried again by the next activation.
            await _interest.SaveAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        foreach (var wildcard in _wildcards)
        {
            _cache.Release(wildcard);
        }

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
        Router.SetOwn(await _interest.PruneAsync(_gateways));
    }

    /// <inheritdoc/>
    public async Task<PublishAnswer> PublishAsync(PublishBatch batch) => new(await Router.PublishAsync(batch), _silo.SiloAddress);

    private static List<string> GetWildcards(string key)
    {
        var channel = ChannelKey.FromValue(key);
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
}
