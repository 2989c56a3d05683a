using Fanfare.Broker.Wildcards;
using Orleans.Services;

namespace Fanfare.Broker.Silos;

/// <summary>What a silo is told by grains elsewhere in the cluster.</summary>
[Alias("fanfare.silo-service")]
public interface ISiloService : IGrainService
{
    /// <summary>The gateways interested in a wildcard have changed; returns when the silo's channels act on it.</summary>
    [ResponseTimeout(Timing.ShortCall)]
    Task UpdateWildcardAsync(string wildcard, WildcardInterest interest);

    /// <summary>A silo has joined; returns when this one knows the membership that it is in.</summary>
    [ResponseTimeout(Timing.ShortCall)]
    Task EnsureMembershipAsync(long membershipVersion);

    /// <summary>A gateway came or went; returns when the silo knows all there are.</summary>
    [ResponseTimeout(Timing.ShortCall)]
    Task UpdateGatewaysAsync();
}
