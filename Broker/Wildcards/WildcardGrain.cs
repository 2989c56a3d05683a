using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Broker.Silos;
using Orleans.Concurrency;
using Orleans.Placement;
using Orleans.Storage;

namespace Fanfare.Broker.Wildcards;

/// <inheritdoc cref="IWildcardGrain"/>
[Reentrant]
[HashBasedPlacement]
[CollectionAgeLimit(Minutes = 2)]
internal sealed class WildcardGrain : Grain, IWildcardGrain
{
    private readonly Guid _activation = Guid.NewGuid();
    private readonly InterestSet _interest;
    private readonly SiloBroadcast _silos;
    private readonly GatewayRegistry _gateways;
    private long _version;

    /// <summary>Called by Orleans.</summary>
    public WildcardGrain([PersistentState("wildcard")] IPersistentState<StoredInterest> storage, SiloBroadcast silos, GatewayRegistry gateways) =>
        (_interest, _silos, _gateways) = (new InterestSet(storage), silos, gateways);

    /// <inheritdoc/>
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _interest.Load();
        await _interest.PruneAsync(_gateways);
    }

    /// <inheritdoc/>
    // What can't be stored now is seen and tried again by the next activation.
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) =>
        await _interest.SaveAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    /// <inheritdoc/>
    public async Task ChangeInterestAsync(InterestChange change)
    {
        await _interest.PruneAsync(_gateways);
        _interest.Apply(change);
        var version = ++_version;
        try
        {
            await _interest.SaveAsync();
        }
        catch (InconsistentStateException)
        {
            DeactivateOnIdle();
            throw;
        }

        var wildcard = this.GetPrimaryKeyString();
        // Also where nothing changed: the call before this one may have failed after it was stored.
        var interest = new WildcardInterest(_activation, version, [.. _interest.Gateways]);
        await _silos.TellAllAsync(silo => silo.UpdateWildcardAsync(wildcard, interest));
    }

    /// <inheritdoc/>
    public async Task<WildcardInterest> GetAsync(long membershipVersion)
    {
        await _silos.EnsureKnowsAsync(membershipVersion);
        return new WildcardInterest(_activation, _version, [.. _interest.Gateways]);
    }
}
