using Fanfare.Broker.Gateways;
using Fanfare.Broker.Wildcards;
using Orleans.Concurrency;

namespace Fanfare.Broker.Silos;

/// <summary>Passes what other silos' grains say on to this silo's caches.</summary>
[Reentrant]
internal sealed class SiloService(
    GrainId id, Silo silo, ILoggerFactory loggerFactory, InterestCache interests, GatewayRegistry gateways, SiloBroadcast silos)
    : GrainService(id, silo, loggerFactory), ISiloService
{
    /// <inheritdoc/>
    public Task UpdateWildcardAsync(string wildcard, WildcardInterest interest) => interests.UpdateAsync(wildcard, interest);

    /// <inheritdoc/>
    public Task EnsureMembershipAsync(long membershipVersion) => silos.EnsureKnowsAsync(membershipVersion).AsTask();

    /// <inheritdoc/>
    public Task UpdateGatewaysAsync() => gateways.RefreshAsync();
}
