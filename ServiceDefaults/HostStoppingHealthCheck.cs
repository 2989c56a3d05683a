using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Fanfare.ServiceDefaults;

/// <summary>Turns the process unready as soon as the host begins to stop, while it still answers.</summary>
/// <remarks>
/// A load balancer needs a few probes to notice, so whatever drains connections should do so while this is failing: in
/// <see cref="IHostedLifecycleService.StoppingAsync"/>, which runs before the server stops listening. A signal and
/// <see cref="IHostApplicationLifetime.StopApplication"/> turn this check first; a bare <see cref="IHost.StopAsync"/> drains
/// first.
/// </remarks>
internal sealed class HostStoppingHealthCheck(IHostApplicationLifetime lifetime) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(lifetime.ApplicationStopping.IsCancellationRequested
            ? HealthCheckResult.Unhealthy("The process is stopping.")
            : HealthCheckResult.Healthy());
}
