using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Broker.Silos;
using Fanfare.Gateway.Channels;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Broker.Tests;

/// <summary>Publishes to several channels of one silo that share a message, and deliveries of several channels to one gateway.</summary>
public sealed class JoinedPublishTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private readonly string _root = $"api/{Guid.NewGuid():N}";
    private readonly Guid _publisher = Guid.NewGuid();

    [Fact]
    public async Task Channels_of_one_silo_take_publishes_together()
    {
        var gateway = await cluster.AddGatewayAsync();
        var (silo, channels) = await ActivateAsync(5, gateway);

        var outcomes = await GetSilo(silo).PublishAsync([.. channels.Select((channel, index) => Publish(channel, index + 2, $"{index}"))]);

        Assert.Equal(Enumerable.Repeat(PublishOutcome.Accepted, 5), outcomes);
        Assert.Equal(["0", "1", "2", "3", "4"], (await TakeAsync(gateway, 5)).Order());
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_batch_that_comes_again_is_published_once_whichever_way_it_comes()
    {
        var gateway = await cluster.AddGatewayAsync();
        var (silo, channels) = await ActivateAsync(1, gateway);
        var publish = Publish(channels[0], 2, "two");

        Assert.Equal([PublishOutcome.Accepted], await GetSilo(silo).PublishAsync([publish]));
        Assert.Equal([PublishOutcome.Accepted], await GetSilo(silo).PublishAsync([publish]));
        Assert.Equal(PublishOutcome.Accepted, (await GetChannel(channels[0]).PublishAsync(publish.Batch)).Outcome);

        Assert.Equal("two", await gateway.NextAsync());
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_channel_that_is_not_there_is_not_known_and_keeps_the_others_from_nothing()
    {
        var gateway = await cluster.AddGatewayAsync();
        var (silo, channels) = await ActivateAsync(1, gateway);
        var other = cluster.Cluster.Silos.Select(member => member.SiloAddress).First(address => !address.Equals(silo));

        Assert.Equal(
            [PublishOutcome.Unknown, PublishOutcome.Accepted],
            await GetSilo(silo).PublishAsync([Publish($"{_root}/never", 2, "lost"), Publish(channels[0], 2, "two")]));
        Assert.Equal([PublishOutcome.Unknown], await GetSilo(other).PublishAsync([Publish(channels[0], 3, "lost")]));

        Assert.Equal("two", await gateway.NextAsync());
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_channel_that_waits_for_a_gateway_does_not_hold_the_others_up_for_as_long()
    {
        var (mute, other) = (await cluster.AddGatewayAsync(), await cluster.AddGatewayAsync());
        var (silo, channels) = await ActivateAsync(2, other);
        await GetChannel(channels[0]).ChangeInterestAsync(mute.Change(true));
        mute.Receipt = _ => null;
        var slow = Publish(channels[0], 2, "slow");

        Assert.Equal(
            [PublishOutcome.Unknown, PublishOutcome.Accepted], await GetSilo(silo).PublishAsync([slow, Publish(channels[1], 2, "fast")]));
        // Its gateway turns into a suspect only now.
        Assert.Equal(PublishOutcome.Accepted, (await GrainCluster.PublishAsync(GetChannel(channels[0]), slow.Batch)).Outcome);

        Assert.Equal(["fast", "slow"], (await TakeAsync(other, 2)).Order());
        other.AssertNothingElse();
    }

    [Fact]
    public async Task Deliveries_of_several_channels_share_messages_while_others_are_under_way()
    {
        const int Count = 40;
        var gateway = await cluster.AddGatewayAsync();
        var (silo, channels) = await ActivateAsync(Count, gateway);
        var taken = gateway.Messages.Count;

        // All at once: by far not as many messages as deliveries, however the machine spreads them.
        var outcomes = await GetSilo(silo).PublishAsync([.. channels.Select((channel, index) => Publish(channel, 2, $"{index}"))]);

        Assert.All(outcomes, outcome => Assert.Equal(PublishOutcome.Accepted, outcome));
        Assert.Equal(Count, (await TakeAsync(gateway, Count)).Distinct().Count());
        Assert.InRange(gateway.Messages.Count - taken, 1, Count / 2);
    }

    [Fact]
    public async Task A_silo_that_is_gone_is_not_called_in_another_ones_place()
    {
        var gone = SiloAddress.New(System.Net.IPAddress.Loopback, 1, 1);

        await Assert.ThrowsAnyAsync<Exception>(() => GetSilo(gone).PublishAsync([Publish($"{_root}/a", 1, "one")]));
    }

    [Fact]
    public async Task A_gateway_goes_to_a_silo_until_a_call_has_failed()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var metrics = new BrokerMetrics(services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());
        var locations = new ChannelLocations(cluster.Client, metrics);
        var (silo, channels) = await ActivateAsync(1);
        var (here, nowhere) = (ChannelKey.FromValue(channels[0]), ChannelKey.FromValue($"{_root}/nowhere"));
        Assert.False(locations.TryFind(here, out _));
        locations.Note(here, silo);
        locations.Note(nowhere, SiloAddress.New(System.Net.IPAddress.Loopback, 1, 1));

        Assert.True(locations.TryFind(here, out var outbox));
        Assert.Equal(PublishOutcome.Accepted, await outbox.SendAsync(Publish(channels[0], 2, "two")));
        Assert.True(locations.TryFind(nowhere, out var failing));
        await Assert.ThrowsAnyAsync<Exception>(() => failing.SendAsync(Publish(channels[0], 3, "three")));

        Assert.False(locations.TryFind(nowhere, out _));
        Assert.True(locations.TryFind(here, out var again));
        Assert.Same(outbox, again);
        locations.Forget(nowhere);
        Assert.True(locations.TryFind(here, out _));
        locations.Forget(here);
        Assert.False(locations.TryFind(here, out _));
    }

    private static async Task<List<string>> TakeAsync(FakeGateway gateway, int count)
    {
        var texts = new List<string>(count);
        while (texts.Count < count)
        {
            texts.Add(await gateway.NextAsync());
        }

        return texts;
    }

    private IChannelGrain GetChannel(string key) => cluster.Client.GetGrain<IChannelGrain>(key);

    private ISiloChannelsGrain GetSilo(SiloAddress silo) => cluster.Client.GetGrain<ISiloChannelsGrain>(silo.ToParsableString());

    private ChannelPublish Publish(string channel, long number, string text) => new(channel, FakeGateway.Batch(_publisher, number, text));

    /// <summary>Makes channels of one silo active, and the gateways interested in them.</summary>
    private async Task<(SiloAddress Silo, List<string> Channels)> ActivateAsync(int count, params FakeGateway[] gateways)
    {
        SiloAddress? silo = null;
        var channels = new List<string>();
        for (var i = 0; channels.Count < count; i++)
        {
            var channel = $"{_root}/{i}";
            var answer = await GetChannel(channel).PublishAsync(FakeGateway.Batch(_publisher, 1, "first"));
            silo ??= answer.Silo;
            if (!answer.Silo.Equals(silo))
            {
                continue;
            }

            foreach (var gateway in gateways)
            {
                await GetChannel(channel).ChangeInterestAsync(gateway.Change(true));
            }

            channels.Add(channel);
        }

        return (silo!, channels);
    }
}
