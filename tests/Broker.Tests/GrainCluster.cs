using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Tests.TestKit;
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
        // Nothing of the machine's: the builder's own ports are found with named mutexes, which need a folder that every user may
        // write, and its log goes to files.
        builder.Options.ConfigureFileLogging = false;
        _cluster = new InProcessTestCluster(builder.Options, new MadeUpPorts());
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

    /// <summary>Publishes as a gateway does: an attempt without an answer is repeated.</summary>
    internal static Task<PublishAnswer> PublishAsync(IChannelGrain channel, PublishBatch batch) => Deadline.WaitAsync(
        async token =>
        {
            while (true)
            {
                try
                {
                    return await channel.PublishAsync(batch);
                }
                catch (TimeoutException)
                {
                    token.ThrowIfCancellationRequested();
                }
            }
        },
        "the outcome of a publish");

    /// <summary>Numbers that tell silos apart: what they send stays in memory, so that no port is ever opened.</summary>
    private sealed class MadeUpPorts : ITestClusterPortAllocator
    {
        private const int First = 20_000;
        private static int s_handedOut;

        public (int, int) AllocateConsecutivePortPairs(int numPorts)
        {
            var first = First + Interlocked.Add(ref s_handedOut, 2 * numPorts) - (2 * numPorts);
            return (first, first + numPorts);
        }

        public void Dispose()
        {
        }
    }
}
