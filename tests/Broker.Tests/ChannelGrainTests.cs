using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Broker.Wildcards;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Broker.Tests;

/// <summary>What a channel's grain does for gateways that behave, that die, and that come too late.</summary>
public sealed class ChannelGrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private readonly Guid _publisher = Guid.NewGuid();
    private readonly string _prefix = $"api/{Guid.NewGuid():N}/";

    [Fact]
    public async Task A_batch_that_is_sent_twice_is_published_once()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = await SubscribeAsync("a", gateway);

        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(1, "one")));
        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(1, "one")));
        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(2, "two")));

        Assert.Equal("one", await gateway.NextAsync());
        Assert.Equal("two", await gateway.NextAsync());
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_repeated_batch_waits_for_the_first_ones_outcome()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = await SubscribeAsync("a", gateway);
        var release = new TaskCompletionSource();
        gateway.Receipt = _ =>
        {
            release.Task.Wait(TimeSpan.FromSeconds(1));
            return DeliveryReceipt.Received;
        };

        var first = PublishAsync(channel, Batch(1, "one"));
        var second = PublishAsync(channel, Batch(1, "one"));
        Assert.False(first.IsCompleted || second.IsCompleted);
        release.SetResult();

        Assert.Equal(PublishOutcome.Accepted, await Deadline.WaitAsync(first, "the first outcome"));
        Assert.Equal(PublishOutcome.Accepted, await Deadline.WaitAsync(second, "the second outcome"));
        Assert.Equal("one", await gateway.NextAsync());
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task What_one_gateway_received_before_the_end_is_sent_to_the_others_in_its_order()
    {
        // As after the death of a silo: A had both batches, B only the first, and their publishers had no answer.
        var (a, b) = (await cluster.AddGatewayAsync(), await cluster.AddGatewayAsync());
        var channel = await SubscribeAsync("a", a, b);
        var (one, two) = (Delivery(1, Batch(1, "one")), Delivery(2, Batch(2, "two")));
        a.Position = new ChannelPosition { Sequence = 2, Batches = [new(_publisher, 2)], Unstable = [one, two] };
        b.Position = new ChannelPosition { Sequence = 1, Batches = [new(_publisher, 1)], Unstable = [one] };

        var other = Guid.NewGuid();
        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, FakeGateway.Batch(other, 1, "three")));
        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(2, "two")));

        Assert.Equal("three", await a.NextAsync());
        Assert.Equal("two", await b.NextAsync());
        Assert.Equal("three", await b.NextAsync());
        a.AssertNothingElse();
        b.AssertNothingElse();
    }

    [Fact]
    public async Task Every_activation_asks_the_gateways_how_far_they_have_come_before_it_sends()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = await SubscribeAsync("a", gateway);
        await PublishAsync(channel, Batch(1, "one"));
        gateway.Position = new ChannelPosition { Sequence = 1, Batches = [new(_publisher, 1)], Unstable = [] };

        await cluster.Cluster.DeactivateAsync(channel);
        // Its answer was lost with the activation.
        await PublishAsync(channel, Batch(1, "one"));
        await PublishAsync(channel, Batch(2, "two"));

        var (first, second) = (await gateway.NextDeliveryAsync(), await gateway.NextDeliveryAsync());
        Assert.Equal(("one", "two"), (FakeGateway.Read(first.Batch), FakeGateway.Read(second.Batch)));
        Assert.NotEqual(first.Activation, second.Activation);
        Assert.True(second.Sequence > first.Sequence);
        Assert.Equal([(first.Activation, 0L), (second.Activation, 0L)], gateway.Beginnings);
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task An_activation_that_was_superseded_ends_and_the_batch_goes_to_the_next_one()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = await SubscribeAsync("a", gateway);
        var refusals = 0;
        gateway.Receipt = _ => refusals++ == 0 ? DeliveryReceipt.Superseded : DeliveryReceipt.Received;

        Assert.Equal(PublishOutcome.Retry, await PublishAsync(channel, Batch(1, "one")));
        await cluster.Cluster.WaitForDeactivationAsync(channel);
        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(1, "one")));

        Assert.Equal("one", await gateway.NextAsync());
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_gateway_that_has_forgotten_the_channel_is_told_where_it_goes_on()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = await SubscribeAsync("a", gateway);
        await PublishAsync(channel, Batch(1, "one"));
        var refusals = 0;
        gateway.Receipt = _ => refusals++ == 0 ? DeliveryReceipt.Unknown : DeliveryReceipt.Received;

        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(2, "two")));

        Assert.Equal("one", await gateway.NextAsync());
        var second = await gateway.NextDeliveryAsync();
        Assert.Equal("two", FakeGateway.Read(second.Batch));
        Assert.Equal([0L, second.Previous], gateway.Beginnings.Select(beginning => beginning.Position));
        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_gateway_without_receipts_holds_a_channel_up_once_and_not_again()
    {
        var (mute, other) = (await cluster.AddGatewayAsync(), await cluster.AddGatewayAsync());
        var channel = await SubscribeAsync("a", mute, other);
        mute.Receipt = _ => null;

        Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(1, "one")));
        var began = TimeProvider.System.GetTimestamp();
        for (var i = 2; i <= 20; i++)
        {
            Assert.Equal(PublishOutcome.Accepted, await PublishAsync(channel, Batch(i, $"{i}")));
        }

        // Twenty time-outs would take half a minute.
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Equal("one", await other.NextAsync());
        for (var i = 2; i <= 20; i++)
        {
            Assert.Equal($"{i}", await other.NextAsync());
        }
    }

    [Fact]
    public async Task A_gateway_whose_lease_has_run_out_gets_nothing_more()
    {
        var (gone, other) = (await cluster.AddGatewayAsync(TimeSpan.FromSeconds(3)), await cluster.AddGatewayAsync());
        var channel = await SubscribeAsync("a", gone, other);
        await PublishAsync(channel, Batch(1, "one"));
        Assert.Equal("one", await gone.NextAsync());

        var registry = cluster.Client.GetGrain<IGatewayRegistryGrain>(0);
        await Deadline.WaitAsync(
            async token =>
            {
                while ((await registry.GetAllAsync(0)).Any(registration => registration.Id == gone.Id))
                {
                    await Task.Delay(50, token); // the lease is the cluster's own clock's matter
                }
            },
            "the end of the lease");
        Assert.False(await registry.RenewAsync(gone.Id, TimeSpan.FromSeconds(3)));
        await Deadline.WaitAsync(
            async token =>
            {
                // Silos are told at the same time as the registry forgets.
                for (var number = 2; ; number++)
                {
                    token.ThrowIfCancellationRequested();
                    var before = gone.Beginnings.Count;
                    await cluster.Cluster.DeactivateAsync(channel);
                    await PublishAsync(channel, Batch(number, $"{number}"));
                    if (gone.Beginnings.Count == before)
                    {
                        return;
                    }
                }
            },
            "a publish that leaves it out");
    }

    [Fact]
    public async Task A_change_of_interest_that_comes_late_does_not_undo_a_later_one()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = cluster.Client.GetGrain<IChannelGrain>(_prefix + "a");
        var wildcard = cluster.Client.GetGrain<IWildcardGrain>(_prefix);
        var (first, second) = (gateway.Change(true), gateway.Change(false));

        foreach (var change in new[] { first, second, first })
        {
            await channel.ChangeInterestAsync(change);
            await wildcard.ChangeInterestAsync(change);
        }

        await PublishAsync(channel, Batch(1, "one"));
        gateway.AssertNothingElse();
        Assert.Empty(gateway.Beginnings);
    }

    [Fact]
    public async Task Interest_outlives_the_activation_that_noted_it()
    {
        var (exact, wild) = (await cluster.AddGatewayAsync(), await cluster.AddGatewayAsync());
        var channel = await SubscribeAsync("a", exact);
        var wildcard = cluster.Client.GetGrain<IWildcardGrain>(_prefix);
        await wildcard.ChangeInterestAsync(wild.Change(true));

        await cluster.Cluster.DeactivateAsync(channel);
        await cluster.Cluster.DeactivateAsync(wildcard);
        await PublishAsync(channel, Batch(1, "one"));

        Assert.Equal("one", await exact.NextAsync());
        Assert.Equal("one", await wild.NextAsync());
    }

    [Fact]
    public async Task A_wildcards_interest_reaches_active_channels_on_every_silo_before_it_is_confirmed()
    {
        const int Channels = 40;
        var gateway = await cluster.AddGatewayAsync();
        var channels = Enumerable.Range(0, Channels)
            .Select(index => cluster.Client.GetGrain<IChannelGrain>($"{_prefix}deep/{index}"))
            .ToList();
        await Task.WhenAll(channels.Select(channel => PublishAsync(channel, Batch(1, "before"))));

        var wildcard = cluster.Client.GetGrain<IWildcardGrain>(_prefix);
        for (var round = 0; round < 5; round++)
        {
            await wildcard.ChangeInterestAsync(gateway.Change(true));
            await Task.WhenAll(channels.Select(channel => channel.PublishAsync(Batch(2 + (2 * round), "during"))));
            await wildcard.ChangeInterestAsync(gateway.Change(false));
            await Task.WhenAll(channels.Select(channel => channel.PublishAsync(Batch(3 + (2 * round), "after"))));
            // The next round is the next activation's.
            await cluster.Cluster.DeactivateAsync(wildcard);
        }

        for (var i = 0; i < 5 * Channels; i++)
        {
            Assert.Equal("during", await gateway.NextAsync());
        }

        gateway.AssertNothingElse();
    }

    [Fact]
    public async Task A_gateway_with_several_patterns_that_match_is_sent_one_delivery()
    {
        var gateway = await cluster.AddGatewayAsync();
        var channel = await SubscribeAsync("x/y/z", gateway);
        foreach (var prefix in new[] { _prefix, _prefix + "x/", _prefix + "x/y/" })
        {
            await cluster.Client.GetGrain<IWildcardGrain>(prefix).ChangeInterestAsync(gateway.Change(true));
        }

        await PublishAsync(channel, Batch(1, "one"));

        Assert.Equal("one", await gateway.NextAsync());
        gateway.AssertNothingElse();
    }

    private static async Task<PublishOutcome> PublishAsync(IChannelGrain channel, PublishBatch batch) =>
        (await GrainCluster.PublishAsync(channel, batch)).Outcome;

    private PublishBatch Batch(long number, string text) => FakeGateway.Batch(_publisher, number, text);

    private ChannelDelivery Delivery(long sequence, PublishBatch batch) => new()
    {
        Activation = Guid.NewGuid(),
        Channel = _prefix + "a",
        Sequence = sequence,
        Previous = sequence - 1,
        Stable = 0,
        IsShared = true,
        Batch = batch,
    };

    private async Task<IChannelGrain> SubscribeAsync(string name, params FakeGateway[] gateways)
    {
        var channel = cluster.Client.GetGrain<IChannelGrain>(_prefix + name);
        foreach (var gateway in gateways)
        {
            await channel.ChangeInterestAsync(gateway.Change(true));
        }

        return channel;
    }
}
