using Fanfare.Gateway.Tests.Backplane;

namespace Fanfare.Broker.Tests;

/// <summary>Gateways that are clients of two silos.</summary>
public sealed class OrleansBackplaneTests : BackplaneContract
{
    protected override async Task<TestFleet> StartAsync(int gateways, params string[] arguments)
    {
        var cluster = await RedisCluster.StartAsync(silos: 2);
        return await TestFleet.StartAsync(gateways, cluster, BrokerProgram.Node, _ => [.. cluster.GatewayArguments, .. arguments]);
    }
}

/// <summary>Nodes that are silo and gateway in one process.</summary>
public sealed class CoHostedBackplaneTests : BackplaneContract
{
    protected override async Task<TestFleet> StartAsync(int gateways, params string[] arguments)
    {
        var cluster = await RedisCluster.StartAsync(silos: 0);
        return await TestFleet.StartAsync(
            gateways, cluster, BrokerProgram.Node, _ => ["--roles", "Silo,Gateway", .. cluster.GetSiloArguments(), .. arguments]);
    }
}
