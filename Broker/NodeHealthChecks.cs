using Fanfare.Broker.Gateways;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Fanfare.Broker;

/// <summary>Whether this node's silo takes part in the cluster.</summary>
internal sealed class SiloHealthCheck(ILocalSiloDetails silo, IClusterMembershipService membership) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var status = membership.CurrentSnapshot.GetSiloStatus(silo.SiloAddress);
        return Task.FromResult(status == SiloStatus.Active
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy($"The silo is {status}."));
    }
}

/// <summary>Whether the cluster counts this node's gateway as alive.</summary>
internal sealed class LeaseHealthCheck(GatewayLease lease) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(lease.IsHeld ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The lease is not renewed."));
}
