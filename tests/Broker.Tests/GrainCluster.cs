using Fanfare.Broker.Gateways;
using Microsoft.Extensions.DependencyInjection;
using Orleans.TestingHost;

namespace Fanfare.Broker.Tests;

/// <summary>Two silos in the test's process that keep everything in memory, for tests of grains alone. Shared by the tests of a class.</summary>
public sealed class GrainCluster : IAsyncLifetime
{
    private InProcessTestCluster? _cluster;

    /// <summary>The cluster.</summary>
    public InProcessTestCluster Cluster => _cluster ?? throw new InvalidOperationException("The cluster has not started.");

    /// <summary>Grains as a gateway sees them.</summary>
    public IClusterClient Client => Cluster.Client;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        var builder = new InProcessTestClusterBuilder(2);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.Services.AddSingleton(TimeProvider.System);
            silo.AddMemoryGrainStorageAsDefault();
            ClusterHosting.ConfigureSilo(silo);
        });
        _cluster = builder.Build();
        await _cluster.DeployAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.StopAllSilosAsync();
            await _cluster.DisposeAsync();
        }
    }

    /// <summary>Adds a gateway that the test speaks for.</summary>
    internal async Task<FakeGateway> AddGatewayAsync(TimeSpan? leaseTime = null)
    {
        var gateway = new FakeGateway();
        var registration = new GatewayRegistration(gateway.Id, [Client.CreateObjectReference<IGatewayObserver>(gateway)]);
        await Client.GetGrain<IGatewayRegistryGrain>(0).RegisterAsync(registration, leaseTime ?? TimeSpan.FromMinutes(10));
        return gateway;
    }
}
