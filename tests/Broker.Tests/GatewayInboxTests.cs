using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fanfare.Broker.Tests;

/// <summary>How a gateway puts deliveries in order, and what it does with those it has had.</summary>
public sealed class GatewayInboxTests : IDisposable
{
    private const string Channel = "api/default/a";
    private readonly ManualTimeProvider _clock = new();
    private readonly RecordingSink _sink = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly GatewayInbox _inbox;
    private readonly Guid _activation = Guid.NewGuid();
    private readonly Guid _publisher = Guid.NewGuid();

    public GatewayInboxTests() => _inbox = new GatewayInbox(
        _sink, new BrokerMetrics(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>()), _clock, NullLogger<GatewayInbox>.Instance);

    public void Dispose()
    {
        _inbox.Dispose();
        _services.Dispose();
    }

    [Fact]
    public async Task Deliveries_that_overtake_each_other_are_put_in_order()
    {
        await BeginAsync(_activation);

        await AssertReceivedAsync(Delivery(3, previous: 2), Delivery(2, previous: 1));
        Assert.Empty(_sink.Texts);
        await AssertReceivedAsync(Delivery(1, previous: 0));

        Assert.Equal(["1", "2", "3"], _sink.Texts);
    }

    [Fact]
    public async Task A_delivery_that_comes_again_has_a_receipt_and_no_effect()
    {
        await BeginAsync(_activation);

        await AssertReceivedAsync(Delivery(1, previous: 0), Delivery(1, previous: 0), Delivery(3, previous: 2), Delivery(3, previous: 2));
        await AssertReceivedAsync(Delivery(2, previous: 1), Delivery(2, previous: 1));

        Assert.Equal(["1", "2", "3"], _sink.Texts);
    }

    [Fact]
    public async Task A_batch_that_comes_by_another_activation_is_dropped()
    {
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(1, previous: 0));
        var next = Guid.NewGuid();

        var position = await BeginAsync(next);
        await AssertReceivedAsync(Delivery(2, previous: 0, number: 1, activation: next), Delivery(3, previous: 2, number: 2, activation: next));

        Assert.Equal(1, position.Sequence);
        Assert.Equal([new BatchNumber(_publisher, 1)], position.Batches);
        Assert.Equal(["1", "2"], _sink.Texts);
    }

    [Fact]
    public async Task An_activation_that_another_has_followed_is_refused()
    {
        await BeginAsync(_activation);
        await BeginAsync(Guid.NewGuid());

        Assert.Equal(DeliveryReceipt.Superseded, _inbox.Deliver(Delivery(1, previous: 0)));
        Assert.Empty(_sink.Texts);
    }

    [Fact]
    public async Task A_beginning_that_comes_late_changes_nothing()
    {
        var next = Guid.NewGuid();
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(1, previous: 0));
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(2, previous: 1));
        await BeginAsync(next);
        await AssertReceivedAsync(Delivery(3, previous: 0, activation: next));

        await BeginAsync(_activation);
        await BeginAsync(next);
        await AssertReceivedAsync(Delivery(4, previous: 3, activation: next));

        Assert.Equal(["1", "2", "3", "4"], _sink.Texts);
    }

    [Fact]
    public async Task A_channel_that_is_not_known_is_to_begin_first()
    {
        Assert.Equal(DeliveryReceipt.Unknown, _inbox.Deliver(Delivery(7, previous: 6)));
        await BeginAsync(_activation, position: 6);
        await AssertReceivedAsync(Delivery(7, previous: 6));

        Assert.Equal(["7"], _sink.Texts);
    }

    [Fact]
    public async Task Shared_deliveries_are_kept_until_all_gateways_have_them()
    {
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(1, previous: 0), Delivery(2, previous: 1), Delivery(3, previous: 2, stable: 1, isShared: false));
        var position = await BeginAsync(Guid.NewGuid());

        Assert.Equal([2L], position.Unstable.Select(delivery => delivery.Sequence));
        Assert.Equal([new BatchNumber(_publisher, 3)], position.Batches);
    }

    [Fact]
    public async Task A_delivery_that_waited_for_one_before_it_is_left_for_the_next_activation_to_place()
    {
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(2, previous: 1));
        var next = Guid.NewGuid();

        var position = await BeginAsync(next);
        Assert.Empty(position.Batches);
        Assert.Equal([2L], position.Unstable.Select(delivery => delivery.Sequence));
        await AssertReceivedAsync(Delivery(3, previous: 0, number: 1, activation: next), Delivery(4, previous: 3, number: 2, activation: next));

        Assert.Equal(["1", "2"], _sink.Texts);
    }

    [Fact]
    public async Task A_gap_that_is_never_filled_is_passed_over_in_the_end()
    {
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(1, previous: 0), Delivery(3, previous: 2), Delivery(4, previous: 3));

        _clock.Advance(Timing.GapTimeout - TimeSpan.FromSeconds(1));
        Assert.Equal(["1"], _sink.Texts);
        _clock.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(["1", "3", "4"], _sink.Texts);
        await AssertReceivedAsync(Delivery(2, previous: 1), Delivery(5, previous: 4));
        Assert.Equal(["1", "3", "4", "5"], _sink.Texts);
    }

    [Fact]
    public async Task A_channel_without_deliveries_is_forgotten()
    {
        await BeginAsync(_activation);
        await AssertReceivedAsync(Delivery(1, previous: 0));

        _clock.Advance(Timing.PositionLifetime + TimeSpan.FromSeconds(1));

        Assert.Equal(DeliveryReceipt.Unknown, _inbox.Deliver(Delivery(2, previous: 1)));
        Assert.Equal(0, (await BeginAsync(_activation, position: 1)).Sequence);
    }

    [Fact]
    public async Task Channels_beyond_the_limit_push_out_the_one_that_was_longest_without_a_delivery()
    {
        await BeginAsync(_activation);
        for (var i = 0; i < 65_536; i++)
        {
            await _inbox.BeginAsync($"api/default/{i}", _activation, 0);
        }

        Assert.Equal(DeliveryReceipt.Unknown, _inbox.Deliver(Delivery(1, previous: 0)));
    }

    [Fact]
    public async Task A_delivery_within_the_process_is_taken_in_its_turn_only()
    {
        Assert.False(Take(1, previous: 0));
        await BeginAsync(_activation);
        Assert.True(Take(1, previous: 0));
        Assert.False(Take(1, previous: 0));
        await AssertReceivedAsync(Delivery(3, previous: 2));
        Assert.False(Take(4, previous: 3));
        await AssertReceivedAsync(Delivery(2, previous: 1));
        Assert.True(Take(4, previous: 3));
        await BeginAsync(Guid.NewGuid());
        Assert.False(Take(5, previous: 4));

        Assert.Equal(["here", "2", "3", "here"], _sink.Texts);

        bool Take(long sequence, long previous)
        {
            var events = EventBatch.Rent(16);
            events.Add("\"here\""u8);
            var isTaken = _inbox.TryDeliver(Channel, _activation, sequence, previous, stable: 0, events);
            events.Release();
            return isTaken;
        }
    }

    [Fact]
    public async Task A_gateway_without_room_says_so_with_its_receipt()
    {
        await BeginAsync(_activation);
        _sink.HasRoom = false;

        Assert.Equal(DeliveryReceipt.ReceivedWithoutRoom, _inbox.Deliver(Delivery(1, previous: 0)));
        Assert.Equal(["1"], _sink.Texts);
    }

    private Task<ChannelPosition> BeginAsync(Guid activation, long position = 0) => _inbox.BeginAsync(Channel, activation, position);

    private async Task AssertReceivedAsync(params ChannelDelivery[] deliveries) =>
        Assert.Equal(Enumerable.Repeat(DeliveryReceipt.Received, deliveries.Length), await _inbox.DeliverAsync(deliveries));

    private ChannelDelivery Delivery(
        long sequence, long previous, long? number = null, Guid? activation = null, long stable = 0, bool isShared = true) => new()
    {
        Activation = activation ?? _activation,
        Channel = Channel,
        Sequence = sequence,
        Previous = previous,
        Stable = stable,
        IsShared = isShared,
        Batch = FakeGateway.Batch(_publisher, number ?? sequence, $"{number ?? sequence}"),
    };
}
