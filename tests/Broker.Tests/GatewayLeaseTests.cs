using System.Diagnostics.Metrics;
using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Tests.Backplane;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fanfare.Broker.Tests;

/// <summary>What becomes of a gateway that the cluster has forgotten, and of one that stops.</summary>
public sealed class GatewayLeaseTests(GrainCluster grains) : IClassFixture<GrainCluster>
{
    [Fact]
    public async Task Interests_are_announced_again_before_what_is_stored_of_them_expires()
    {
        var clock = new ManualTimeProvider();
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var metrics = new BrokerMetrics(services.GetRequiredService<IMeterFactory>());
        var sink = new RecordingSink();
        using var lifetime = new StoppableLifetime();
        using var lease = new GatewayLease(
            grains.Client, sink, metrics, Options.Create(new BrokerOptions()), clock, lifetime,
            NullLogger<GatewayLease>.Instance, NullLogger<GatewayInbox>.Instance);
        await lease.StartAsync(TestContext.Current.CancellationToken);
        var key = $"api/{Guid.NewGuid():N}/a";
        await lease.AddInterestAsync(PatternKey.FromValue(key), TestContext.Current.CancellationToken);
        var channel = grains.Client.GetGrain<IChannelGrain>(key);
        var publisher = Guid.NewGuid();

        // As if what was stored had been lost.
        await channel.ChangeInterestAsync(new InterestChange(lease.GatewayId, 1, IsInterested: false));
        await channel.PublishAsync(FakeGateway.Batch(publisher, 1, "lost"));
        clock.Advance(TimeSpan.FromHours(7));

        await Deadline.WaitAsync(
            async token =>
            {
                for (var number = 2; sink.Texts.Count == 0; number++)
                {
                    token.ThrowIfCancellationRequested();
                    await channel.PublishAsync(FakeGateway.Batch(publisher, number, "found"));
                }
            },
            "a publish that reaches the gateway again");
        Assert.Equal("found", sink.Texts[0]);
        await lease.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_gateway_that_stops_withdraws_nothing_singly()
    {
        var clock = new ManualTimeProvider();
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var metrics = new BrokerMetrics(services.GetRequiredService<IMeterFactory>());
        var sink = new RecordingSink();
        using var lifetime = new StoppableLifetime();
        using var lease = new GatewayLease(
            grains.Client, sink, metrics, Options.Create(new BrokerOptions()), clock, lifetime,
            NullLogger<GatewayLease>.Instance, NullLogger<GatewayInbox>.Instance);
        await lease.StartAsync(TestContext.Current.CancellationToken);
        var key = $"api/{Guid.NewGuid():N}/a";
        await lease.AddInterestAsync(PatternKey.FromValue(key), TestContext.Current.CancellationToken);
        var channel = grains.Client.GetGrain<IChannelGrain>(key);

        lifetime.StopApplication();
        await lease.RemoveInterestAsync(PatternKey.FromValue(key), TestContext.Current.CancellationToken);
        await channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "while it drains"));
        await lease.StopAsync(TestContext.Current.CancellationToken);
        await channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "after"));

        Assert.Equal(["while it drains"], sink.Texts);
    }

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

    private sealed class StoppableLifetime : IHostApplicationLifetime, IDisposable
    {
        private readonly CancellationTokenSource _stopping = new();

        public CancellationToken ApplicationStarted => CancellationToken.None;

        public CancellationToken ApplicationStopping => _stopping.Token;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void StopApplication() => _stopping.Cancel();

        public void Dispose() => _stopping.Dispose();
    }
}
