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
        using var lifetime = new StoppableLifetime();
        using var gateway = await JoinAsync(lifetime);
        var publisher = Guid.NewGuid();

        // As if what was stored had been lost.
        await gateway.Channel.ChangeInterestAsync(new InterestChange(gateway.Lease.GatewayId, 1, IsInterested: false));
        await gateway.Channel.PublishAsync(FakeGateway.Batch(publisher, 1, "lost"));
        gateway.Clock.Advance(TimeSpan.FromHours(7));

        await Deadline.WaitAsync(
            async token =>
            {
                for (var number = 2; gateway.Sink.Texts.Count == 0; number++)
                {
                    token.ThrowIfCancellationRequested();
                    await gateway.Channel.PublishAsync(FakeGateway.Batch(publisher, number, "found"));
                }
            },
            "a publish that reaches the gateway again");
        Assert.Equal("found", gateway.Sink.Texts[0]);
        await gateway.Lease.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_gateway_that_stops_withdraws_nothing_singly()
    {
        using var lifetime = new StoppableLifetime();
        using var gateway = await JoinAsync(lifetime);

        lifetime.StopApplication();
        await gateway.Lease.RemoveInterestAsync(gateway.Pattern, TestContext.Current.CancellationToken);
        await gateway.Channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "while it drains"));
        await gateway.Lease.StopAsync(TestContext.Current.CancellationToken);
        await gateway.Channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "after"));

        Assert.Equal(["while it drains"], gateway.Sink.Texts);
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
        await Deadline.WaitAsync(
            async token =>
            {
                while (!lease.IsHeld)
                {
                    await Task.Delay(10, token); // health asks for it too
                }
            },
            "all interests under the new lease");
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

    // A lease by itself, with an interest in one channel, on a clock of the test's own.
    private async Task<JoinedGateway> JoinAsync(IHostApplicationLifetime lifetime)
    {
        var services = new ServiceCollection().AddMetrics().AddSingleton<BrokerMetrics>().BuildServiceProvider();
        var (clock, sink) = (new ManualTimeProvider(), new RecordingSink());
        var lease = new GatewayLease(
            grains.Client, new LocalGateway(), sink, services.GetRequiredService<BrokerMetrics>(), Options.Create(new BrokerOptions()), clock, lifetime,
            NullLogger<GatewayLease>.Instance, NullLogger<GatewayInbox>.Instance);
        await lease.StartAsync(TestContext.Current.CancellationToken);
        var pattern = PatternKey.FromValue($"api/{Guid.NewGuid():N}/a");
        await lease.AddInterestAsync(pattern, TestContext.Current.CancellationToken);
        return new JoinedGateway(lease, pattern, grains.Client.GetGrain<IChannelGrain>(pattern.Value), sink, clock, services);
    }

    private sealed record JoinedGateway(
        GatewayLease Lease, PatternKey Pattern, IChannelGrain Channel, RecordingSink Sink, ManualTimeProvider Clock, ServiceProvider Services)
        : IDisposable
    {
        public void Dispose()
        {
            Lease.Dispose();
            Services.Dispose();
        }
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
