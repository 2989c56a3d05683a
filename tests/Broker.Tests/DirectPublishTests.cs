using System.Globalization;
using System.Text;
using Fanfare.Broker.Channels;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Tests.Backplane;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Broker.Tests;

/// <summary>When the gateway of a channel's own process may publish without a call of its grain.</summary>
public sealed class DirectPublishTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private readonly string _key = $"api/{Guid.NewGuid():N}/a";

    [Fact]
    public async Task A_channel_takes_publishes_directly_once_it_has_been_called()
    {
        var channel = cluster.Client.GetGrain<IChannelGrain>(_key);
        await channel.ChangeInterestAsync(new InterestChange(Guid.NewGuid(), 1, IsInterested: false));
        var (_, router) = FindRouter();

        Assert.False(Publish(router));
        await channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "one"));

        Assert.True(Publish(router));
    }

    [Fact]
    public async Task What_concerns_a_gateway_elsewhere_is_not_published_directly()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = cluster.Client.GetGrain<IChannelGrain>(_key);
        await channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "one"));
        var (_, router) = FindRouter();
        Assert.True(Publish(router));

        await channel.ChangeInterestAsync(gateway.Change(true));

        Assert.False(Publish(router));
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task An_activation_that_has_ended_takes_nothing()
    {
        var channel = cluster.Client.GetGrain<IChannelGrain>(_key);
        await channel.PublishAsync(FakeGateway.Batch(Guid.NewGuid(), 1, "one"));
        var (channels, router) = FindRouter();

        await cluster.Cluster.DeactivateAsync(channel);

        Assert.False(Publish(router));
        Assert.False(channels.TryFind(ChannelKey.FromValue(_key), out _));
    }

    [Fact]
    public async Task Direct_publishes_and_those_of_other_nodes_have_one_order_at_every_subscriber()
    {
        const int Count = 300;
        await using var redis = await RedisCluster.StartAsync(silos: 0);
        await using var fleet = await TestFleet.StartAsync(2, null, BrokerProgram.Node, _ => ["--roles", "Silo,Gateway", .. redis.GetSiloArguments()]);
        await using var first = await fleet[0].ConnectAsync();
        await using var second = await fleet[0].ConnectAsync();
        await using var late = await fleet[1].ConnectAsync();
        await first.SubscribeAsync("s", "/default/a");
        await second.SubscribeAsync("s", "/default/*");
        var publishing = Enumerable.Range(0, 4).Select(async index =>
        {
            await using var publisher = await fleet[index % 2].ConnectAsync();
            for (var i = 0; i < Count; i++)
            {
                await publisher.PublishAsync("/default/a", $"{(index * Count) + i}");
                if (index == 0 && i == Count / 2)
                {
                    // Until here the first node is interested alone.
                    await late.SubscribeAsync("s", "/default/a");
                }
            }
        });

        var readings = new[] { ReadAsync(first, 4 * Count), ReadAsync(second, 4 * Count) };
        await Deadline.WaitAsync(Task.WhenAll(publishing), "the answer to each publish", TimeSpan.FromSeconds(60));
        var (one, two) = (await readings[0], await readings[1]);

        Assert.Equal(one, two);
        Assert.Equal(Enumerable.Range(0, 4 * Count), one.Order());
        for (var index = 0; index < 4; index++)
        {
            var own = one.Where(number => number / Count == index).ToList();
            Assert.Equal(own.Order(), own);
        }

        var last = await ReadAsync(late, Count / 4);
        Assert.Equal(one.Skip(one.IndexOf(last[0])).Take(last.Count), last);
    }

    private static async Task<List<int>> ReadAsync(RawWebSocket socket, int count)
    {
        var numbers = new List<int>(count);
        while (numbers.Count < count)
        {
            numbers.Add(int.Parse((string)(await socket.NextAsync("an event"))["event"]!, CultureInfo.InvariantCulture));
        }

        return numbers;
    }

    private static bool Publish(ChannelRouter router)
    {
        var events = EventBatch.Rent(64);
        events.Add(Encoding.UTF8.GetBytes("\"direct\""));
        var isPublished = router.TryPublishHere(events);
        events.Release();
        return isPublished;
    }

    private (LocalChannels Channels, ChannelRouter Router) FindRouter()
    {
        foreach (var silo in cluster.Cluster.Silos)
        {
            var channels = silo.ServiceProvider.GetRequiredService<LocalChannels>();
            if (channels.TryFind(ChannelKey.FromValue(_key), out var router))
            {
                return (channels, router);
            }
        }

        throw new InvalidOperationException("The channel is active on no silo.");
    }
}
