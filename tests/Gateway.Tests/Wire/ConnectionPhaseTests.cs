using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary><c>connection_init</c>, <c>ka</c> and the end of a connection's life.</summary>
public sealed class ConnectionPhaseTests
{
    private const string KeepAlive = """{"type":"ka"}""";

    [Fact]
    public async Task Init_is_acknowledged_and_followed_at_once_by_ka()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync(Messages.Init);

        Assert.Equal("""{"type":"connection_ack","connectionTimeoutMs":300000}""", await socket.NextTextAsync("connection_ack"));
        Assert.Equal(KeepAlive, await socket.NextTextAsync("the first ka"));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Init_may_carry_members_of_any_kind()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync("""{"payload":{"deep":[1,{"type":"x"}]},"id":7,"type":"connection_init","channel":null}""");

        await socket.NextAsync("connection_ack", id: null);
    }

    [Fact]
    public async Task Repeated_init_gets_another_acknowledgement()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();
        await socket.InitAsync();
        await socket.SubscribeAsync("a", "/default/a");

        await socket.SendAsync(Messages.Init);
        await socket.NextAsync("connection_ack", id: null);

        await using var publisher = await server.ConnectAsync();
        await publisher.PublishAsync("/default/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("a"));
    }

    [Fact]
    public async Task Timeout_that_clients_are_told_is_a_setting()
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:ConnectionTimeout=00:02:30");
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync(Messages.Init);

        Assert.Equal(150_000, (int)(await socket.NextAsync("connection_ack", id: null))["connectionTimeoutMs"]!);
    }

    [Fact]
    public async Task Operations_work_without_init_and_no_acknowledgement_comes()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();

        await socket.SubscribeAsync("a", "/default/a");
        await socket.PublishAsync("/default/b", "1");
        await socket.UnsubscribeAsync("a");
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Ka_comes_every_minute_after_init()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock);
        await using var socket = await server.ConnectAsync();
        socket.IgnoresKeepAlive = false;
        await socket.InitAsync();

        for (var minute = 0; minute < 3; minute++)
        {
            await socket.AssertNothingElseAsync();
            clock.Advance(TimeSpan.FromSeconds(50));
            await socket.AssertNothingElseAsync();
            clock.Advance(TimeSpan.FromSeconds(10));
            Assert.Equal(KeepAlive, await socket.NextTextAsync($"ka of minute {minute + 1}"));
        }

        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Ka_comes_whatever_else_is_sent()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock);
        await using var socket = await server.ConnectAsync();
        socket.IgnoresKeepAlive = false;
        await socket.InitAsync();
        await socket.SubscribeAsync("a", "/default/a");
        await using var publisher = await server.ConnectAsync();

        for (var second = 5; second < 60; second += 5)
        {
            clock.Advance(TimeSpan.FromSeconds(5));
            await publisher.PublishAsync("/default/a", "1");
            Assert.Equal("1", await socket.NextEventAsync("a"));
        }

        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(KeepAlive, await socket.NextTextAsync("ka"));
    }

    [Fact]
    public async Task Without_init_the_first_ka_comes_a_minute_after_the_upgrade()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock);
        await using var socket = await server.ConnectAsync();
        socket.IgnoresKeepAlive = false;

        await socket.SubscribeAsync("a", "/default/a");
        clock.Advance(TimeSpan.FromSeconds(50));
        await socket.AssertNothingElseAsync();
        clock.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(KeepAlive, await socket.NextTextAsync("the first ka"));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Ka_interval_is_a_setting()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:KeepAliveInterval=00:00:05");
        await using var socket = await server.ConnectAsync();
        socket.IgnoresKeepAlive = false;
        await socket.InitAsync();
        await socket.AssertNothingElseAsync();

        clock.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(KeepAlive, await socket.NextTextAsync("ka"));
    }

    [Fact]
    public async Task Connection_is_closed_as_going_away_after_a_day()
    {
        // The last step ends on the hour exactly: a longer one would also run out the time in which the close must be sent.
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:KeepAliveInterval=2.00:00:00");
        await using var socket = await server.ConnectAsync();
        await socket.InitAsync();
        await socket.AssertNothingElseAsync();

        clock.Advance(TimeSpan.FromHours(24) - TimeSpan.FromSeconds(10));
        await socket.AssertNothingElseAsync();
        clock.Advance(TimeSpan.FromSeconds(10));

        await socket.AssertClosedAsync(1001);
    }

    [Fact]
    public async Task Lifetime_of_a_connection_is_a_setting()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:ConnectionLifetime=00:00:30");
        await using var socket = await server.ConnectAsync();
        await socket.AssertNothingElseAsync();

        clock.Advance(TimeSpan.FromSeconds(30));

        await socket.AssertClosedAsync(1001);
    }

    [Fact]
    public async Task Connection_that_sends_nothing_more_lives_for_a_day_too()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock);
        await using var socket = await server.ConnectAsync();
        socket.IgnoresKeepAlive = false;
        await socket.SubscribeAsync("a", "/default/a");
        await using var publisher = await server.ConnectAsync();
        await publisher.AssertNothingElseAsync();

        for (var minute = 1; minute < 24 * 60; minute++)
        {
            clock.Advance(TimeSpan.FromMinutes(1));
            Assert.Equal(KeepAlive, await socket.NextTextAsync($"ka of minute {minute}"));
            Assert.Equal(KeepAlive, await publisher.NextTextAsync($"the publisher's ka of minute {minute}"));
        }

        await publisher.PublishAsync("/default/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("a"));
        clock.Advance(TimeSpan.FromMinutes(1));
        await socket.AssertClosedAsync(1001);
    }

    [Fact]
    public async Task Drain_closes_connections_as_going_away()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/a");

        var stop = server.StopAsync();
        await socket.AssertClosedAsync(1001);
        await stop;
    }
}
