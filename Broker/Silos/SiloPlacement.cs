using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace Fanfare.Broker.Silos;

/// <summary>A grain is on the silo whose address is its key.</summary>
[GenerateSerializer, Immutable, SuppressReferenceTracking, Alias("fanfare.silo-placement")]
internal sealed class SiloPlacement : PlacementStrategy
{
    /// <summary>The only one.</summary>
    public static SiloPlacement Instance { get; } = new();
}

/// <summary>Puts the grains of a class on the silos that their keys name.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class SiloPlacementAttribute() : PlacementAttribute(SiloPlacement.Instance);

/// <summary>Finds the silo that a grain's key names.</summary>
internal sealed class SiloPlacementDirector : IPlacementDirector
{
    /// <inheritdoc/>
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var silo = SiloAddress.FromParsableString(target.GrainIdentity.Key.ToString()!);
        return context.GetCompatibleSilos(target).Contains(silo)
            ? Task.FromResult(silo)
            : throw new SiloUnavailableException($"There is no silo {silo} any more.");
    }
}
