using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Tests.Backplane;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Broker.Tests;

/// <summary>What becomes of a gateway that the cluster has forgotten, and of one that stops.</summary>
public sealed class GatewayLeaseTests
{
    [Fact]
    public async Task A_gateway_whose_lease_was_lost_comes_back_and_announces_its_interests_anew()
    {
        await using var cluster = await RedisCluster.StartAsync(silos: 1);
        await using var fleet = await TestFleet.StartAsync(
            2, null, BrokerProgram.Node, _ => [.. cluster.GatewayArguments, "--Fanfare:Cluster:LeaseTime=00:00:03"]);
        await using var publisher = await fleet[0].ConnectAsync();
        await using var subscriber = await fleet[1].ConnectAsync();
        await subscriber.SubscribeAsync("exact", "/default/a");
        await subscriber.SubscribeAsync("wild", "/default/*");
        var lease = fleet[1].Services.GetRequiredService<GatewayLease>();
        var lost = lease.GatewayId;

        // As if it had run out.
        await fleet[0].Services.GetRequiredService<IGrainFactory>().GetGrain<IGatewayRegistryGrain>(0).LeaveAsync(lost);
        await Metrics.WaitAsync(fleet[1], 1, "fanfare_cluster_lease_losses_total");
        await Deadline.WaitAsync(
            async token =>
            {
                // Publishes that come before the interests are back pass it by; the first one that does not ends the wait.
                var received = subscriber.NextAsync("an event");
                for (var i = 0; !received.IsCompleted; i++)
                {
                    token.ThrowIfCancellationRequested();
                    await publisher.PublishAsync("/default/a", $"{i}");
                }

                await received;
            },
            "an event after the lease was lost");

        Assert.NotEqual(lost, lease.GatewayId);
        Assert.True(lease.IsHeld);
    }

    [Fact]
    public async Task A_gateway_that_stops_is_gone_from_the_registry_before_its_process_ends()
    {
        await using var cluster = await RedisCluster.StartAsync(silos: 1);
        await using var fleet = await TestFleet.StartAsync(2, null, BrokerProgram.Node, _ => cluster.GatewayArguments);
        await using var subscriber = await fleet[1].ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/a");
        var registry = fleet[0].Services.GetRequiredService<IGrainFactory>().GetGrain<IGatewayRegistryGrain>(0);
        Assert.Equal(2, (await registry.GetAllAsync(0)).Length);

        var stopping = fleet[1].StopAsync();
        await subscriber.AssertClosedAsync(1001);
        await stopping;

        var left = Assert.Single(await registry.GetAllAsync(0));
        Assert.Equal(fleet[0].Services.GetRequiredService<GatewayLease>().GatewayId, left.Id);
    }
}
