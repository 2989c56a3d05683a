namespace Fanfare.Broker.Gateways;

/// <summary>A gateway that may be delivered to.</summary>
/// <param name="Id">Its id: a new one at each start, and after each lease that ran out.</param>
/// <param name="Observers">Where deliveries go; a channel's hash chooses one.</param>
[GenerateSerializer, Immutable, Alias("fanfare.gateway-registration")]
public sealed record GatewayRegistration([property: Id(0)] Guid Id, [property: Id(1)] IGatewayObserver[] Observers);

/// <summary>Which gateways there are: one grain for the cluster, with the key 0.</summary>
/// <remarks>
/// Each gateway holds a lease, renewed in one place for all its interests. A gateway whose lease has run out is forgotten, its
/// interests count no more, and it gets another id if it comes back.
/// </remarks>
[Alias("fanfare.gateway-registry")]
public interface IGatewayRegistryGrain : IGrainWithIntegerKey
{
    /// <summary>Adds a gateway; its lease begins.</summary>
    [ResponseTimeout(Timing.InterestCall)]
    Task RegisterAsync(GatewayRegistration registration, TimeSpan leaseTime);

    /// <summary>Renews a lease.</summary>
    /// <returns><see langword="false"/> where it has run out.</returns>
    [ResponseTimeout(Timing.ShortCall)]
    Task<bool> RenewAsync(Guid gateway, TimeSpan leaseTime);

    /// <summary>Ends a lease: the gateway stops.</summary>
    [ResponseTimeout(Timing.ShortCall)]
    Task LeaveAsync(Guid gateway);

    /// <summary>All gateways whose lease has not run out.</summary>
    [ResponseTimeout(Timing.ShortCall)]
    Task<GatewayRegistration[]> GetAllAsync(long membershipVersion);
}
