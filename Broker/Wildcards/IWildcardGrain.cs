using Fanfare.Broker.Channels;

namespace Fanfare.Broker.Wildcards;

/// <summary>The gateways interested in a wildcard, as one activation of its grain has them.</summary>
/// <param name="Activation">The activation.</param>
/// <param name="Version">Counts that activation's changes.</param>
/// <param name="Gateways">The gateways.</param>
[GenerateSerializer, Immutable, Alias("fanfare.wildcard-interest")]
public readonly record struct WildcardInterest(
    [property: Id(0)] Guid Activation, [property: Id(1)] long Version, [property: Id(2)] Guid[] Gateways);

/// <summary>
/// The owner of one wildcard: its interested gateways. Its key is <see cref="Fanfare.Gateway.Channels.PatternKey.Value"/>.
/// </summary>
/// <remarks>It is not on the path of a publish: when its set changes it tells every silo, whose <see cref="InterestCache"/> keeps it.</remarks>
[Alias("fanfare.wildcard")]
public interface IWildcardGrain : IGrainWithStringKey
{
    /// <summary>Notes a gateway's interest, or its end; returns when it is stored and every silo knows.</summary>
    [ResponseTimeout(Timing.InterestCall)]
    Task ChangeInterestAsync(InterestChange change);

    /// <summary>Returns the interested gateways to a silo, which is told of every later change.</summary>
    /// <param name="membershipVersion">The version of the cluster's membership that the silo knows itself to be in.</param>
    [ResponseTimeout(Timing.ShortCall)]
    Task<WildcardInterest> GetAsync(long membershipVersion);
}
