using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>How much one connection or API may ask for (§7). Sizes are with the operation they bound.</summary>
public sealed class LimitTests
{
    [Fact]
    public async Task Connection_holds_two_hundred_subscriptions_and_no_more()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();
        for (var index = 1; index <= 200; index++)
        {
            await socket.SubscribeAsync($"s{index}", index % 2 == 0 ? "/default/many" : $"/default/many-{index}");
        }

        await socket.SendAsync(Messages.Subscribe("s201", "/default/many"));
        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s201", "MaxSubscriptionsReachedError");

        // The limit is the connection's own, and a place that becomes free can be taken.
        await using var other = await server.ConnectAsync();
        await other.SubscribeAsync("s1", "/default/many");
        await socket.SubscribeAsync("s1", "/default/many-1");
        await socket.UnsubscribeAsync("s1");
        await socket.SubscribeAsync("s201", "/default/many-201");
        await socket.SendAsync(Messages.Subscribe("s202", "/default/many"));
        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s202", "MaxSubscriptionsReachedError");
    }

    [Fact]
    public async Task Refused_subscriptions_take_no_place()
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:SubscriptionsPerConnectionMax=2");
        await using var socket = await server.ConnectAsync();
        for (var index = 0; index < 5; index++)
        {
            await socket.SendAsync(Messages.Subscribe($"bad{index}", index % 2 == 0 ? "/nowhere/a" : "/default/*/a"));
            await socket.NextAsync("subscribe_error", $"bad{index}");
        }

        await socket.SubscribeAsync("a", "/default/a");
        await socket.SubscribeAsync("b", "/default/a");

        await socket.SendAsync(Messages.Subscribe("c", "/default/a"));
        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "c", "MaxSubscriptionsReachedError");
    }

    [Fact]
    public async Task Publishes_of_one_connection_are_limited_by_the_second_where_set()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:PublishesPerSecondPerConnection=25");
        await using var socket = await server.ConnectAsync();
        for (var second = 0; second < 3; second++)
        {
            for (var index = 0; index < 25; index++)
            {
                await socket.PublishAsync("/default/a", "1", "2");
            }

            await socket.SendAsync(Messages.Publish("over", "/default/a", "1"));
            WireError.AssertReply(await socket.NextAsync(), "publish_error", "over", "LimitExceededError");
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        await using var other = await server.ConnectAsync();
        await other.PublishAsync("/default/a", "1");
    }

    [Fact]
    public async Task Publishes_are_not_limited_by_default()
    {
        await using var server = await GatewayServer.StartAsync(new ManualTimeProvider());
        await using var socket = await server.ConnectAsync();

        for (var index = 0; index < 200; index++)
        {
            await socket.PublishAsync("/default/a", "1", "2", "3", "4", "5");
        }
    }

    [Fact]
    public async Task Events_of_an_api_are_limited_by_the_second_where_set()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:InboundEventsPerSecond=10");
        await using var socket = await server.ConnectAsync();
        await socket.PublishAsync("/default/a", "1", "2", "3", "4", "5");
        Assert.Equal(200, (await HttpPublisher.PostAsync(server, Messages.HttpBody("/default/a", "1", "2", "3", "4", "5"))).Status);

        await socket.SendAsync(Messages.Publish("over", "/default/a", "1"));
        WireError.AssertReply(await socket.NextAsync(), "publish_error", "over", "LimitExceededError");
        (await HttpPublisher.PostAsync(server, Messages.HttpBody("/default/a", "1")))
            .AssertError(429, "ThrottlingException", "Rate exceeded");

        clock.Advance(TimeSpan.FromSeconds(1));
        await socket.PublishAsync("/default/a", "1");
        Assert.Equal(200, (await HttpPublisher.PostAsync(server, Messages.HttpBody("/default/a", "1"))).Status);
    }

    [Fact]
    public async Task Throttled_publish_reaches_nobody()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:InboundEventsPerSecond=5");
        await using var subscriber = await server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/a");
        await using var socket = await server.ConnectAsync();
        await socket.PublishAsync("/default/a", "1", "2", "3", "4", "5");

        await socket.SendAsync(Messages.Publish("over", "/default/a", "6"));
        await socket.NextAsync("publish_error", "over");
        clock.Advance(TimeSpan.FromSeconds(1));
        await socket.PublishAsync("/default/a", "7");

        foreach (var text in (string[])["1", "2", "3", "4", "5", "7"])
        {
            Assert.Equal(text, await subscriber.NextEventAsync("s"));
        }
    }

    [Fact]
    public async Task New_connections_of_an_api_are_limited_by_the_second_where_set()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:ConnectsPerSecond=3");
        for (var index = 0; index < 3; index++)
        {
            await using var socket = await server.ConnectAsync();
            await socket.InitAsync();
        }

        await using (var refused = await server.ConnectAsync())
        {
            await refused.SendAsync(Messages.Init);
            var error = WireError.AssertReply(await refused.NextAsync(), "connection_error", null, "LimitExceededError");
            Assert.Equal(429, error.ErrorCode);
            await refused.AssertClosedAsync(1000);
        }

        clock.Advance(TimeSpan.FromSeconds(1));
        await using var again = await server.ConnectAsync();
        await again.InitAsync();
    }

    [Fact]
    public async Task Events_per_publish_and_their_size_are_settings()
    {
        await using var server = await GatewayServer.StartAsync(
            "--Fanfare:Limits:EventsPerPublishMax=2", "--Fanfare:Limits:EventBytesMax=10");
        await using var socket = await server.ConnectAsync();

        var message = await socket.PublishAsync("/default/a", Messages.EventOf(10), Messages.EventOf(11));

        Assert.Single(message["successful"]!.AsArray());
        Assert.Single(message["failed"]!.AsArray());
        await socket.SendAsync(Messages.Publish("three", "/default/a", "1", "2", "3"));
        WireError.AssertReply(await socket.NextAsync(), "publish_error", "three", "InvalidInputError");
        (await HttpPublisher.PostAsync(server, Messages.HttpBody("/default/a", "1", "2", "3"))).AssertError(400, "BadRequestException");
    }
}
