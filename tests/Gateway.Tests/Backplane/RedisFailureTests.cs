using Fanfare.Gateway.Backplane.Redis;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>What clients and operators see while Redis is away, silent, restarted or wrong.</summary>
public sealed class RedisFailureTests
{
    private static readonly TimeSpan s_recovery = TimeSpan.FromSeconds(40);

    [Fact]
    public async Task While_Redis_is_away_publishes_and_subscribes_are_refused_at_once_and_connections_stay()
    {
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(2, redis, redis.Arguments);
        await using var socket = await fleet[0].ConnectAsync();
        await socket.SubscribeAsync("s", "/default/a");
        Assert.Equal(200, await GetStatusAsync(fleet[0], "/health"));

        await redis.KillAsync();
        await WaitForHealthAsync(fleet[0], 503);

        Assert.Equal(200, await GetStatusAsync(fleet[0], "/alive"));
        (await HttpPublisher.PostAsync(fleet[0], Messages.HttpBody("/default/a", "1"))).AssertError(503, "ServiceUnavailableException");
        await socket.SendAsync(Messages.Publish("p", "/default/a", "1"));
        WireError.AssertReply(await socket.NextAsync("an answer to the publish"), "publish_error", "p", "ServiceUnavailableException");
        await socket.SendAsync(Messages.Subscribe("t", "/default/b"));
        WireError.AssertReply(await socket.NextAsync("an answer to the subscribe"), "subscribe_error", "t", "SubscriptionProcessingError");
        await socket.AssertNothingElseAsync();
        await socket.UnsubscribeAsync("s");
        await Metrics.WaitAsync(fleet[0], 1, "fanfare_backplane_disconnects_total", "reason=\"closed\"");
        await Metrics.WaitAsync(fleet[0], 0, "fanfare_backplane_connected");
        // Once per episode.
        Assert.Single(fleet[0].Log.Lines, line => line.Level >= LogLevel.Warning && line.Text.Contains("Redis was lost", StringComparison.Ordinal));
    }

    [Fact]
    public async Task After_a_restart_of_Redis_what_is_accepted_for_a_healthy_gateway_reaches_it_with_no_doing_of_its_clients()
    {
        const int Wanted = 200;
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(2, redis, redis.Arguments);
        await using var subscriber = await fleet[1].ConnectAsync();
        await subscriber.SubscribeAsync("exact", "/default/a/b");
        await subscriber.SubscribeAsync("wildcard", "/default/*");
        await using var publisher = await fleet[0].ConnectAsync();
        await redis.KillAsync();
        await WaitForHealthAsync(fleet[0], 503);
        await WaitForHealthAsync(fleet[1], 503);

        // Publishing goes on all the while; what is promised begins when the subscriber's gateway says that it is healthy.
        var restart = redis.RestartAsync();
        var promised = new List<string>();
        await Deadline.WaitAsync(
            async token =>
            {
                for (var i = 0; promised.Count < Wanted; i++)
                {
                    token.ThrowIfCancellationRequested();
                    var isPromised = await GetStatusAsync(fleet[1], "/health") == 200;
                    await publisher.SendAsync(Messages.Publish($"{i}", "/default/a/b", $"{i}"));
                    var answer = await publisher.NextAsync("an answer to the publish");
                    if ((string?)answer["type"] != "publish_success")
                    {
                        WireError.AssertReply(answer, "publish_error", $"{i}", "ServiceUnavailableException");
                    }
                    else if (isPromised)
                    {
                        promised.Add($"{i}");
                    }
                }
            },
            "publishes that are accepted again",
            s_recovery);
        await restart;

        // Each subscription has them all, once and in order; before them there may be what was accepted a moment earlier.
        var received = new Dictionary<string, List<string>> { ["exact"] = [], ["wildcard"] = [] };
        while (received.Values.Any(events => events.LastOrDefault() != promised[^1]))
        {
            var message = await subscriber.NextAsync("a delivery");
            received[(string)message["id"]!].Add((string)message["event"]!);
        }

        Assert.All(received.Values, events => Assert.Equal(promised, events.SkipWhile(text => text != promised[0])));
        await subscriber.AssertNothingElseAsync();
    }

    [Fact]
    public async Task A_break_of_the_listening_connections_alone_is_noticed_and_mended()
    {
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(2, redis, redis.Arguments);
        await using var subscriber = await fleet[1].ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/a/*");
        await using var publisher = await fleet[0].ConnectAsync();
        for (var round = 1; round <= 5; round++)
        {
            await redis.SendAsync("CLIENT KILL TYPE pubsub");
            await Metrics.WaitAsync(fleet[1], round, "fanfare_backplane_disconnects_total");
            await WaitForHealthAsync(fleet[1], 200);
            await WaitForHealthAsync(fleet[0], 200);

            await publisher.PublishAsync("/default/a/b", $"{round}");
            Assert.Equal($"{round}", await subscriber.NextEventAsync("s"));
        }
    }

    [Fact]
    public async Task A_break_of_the_publishing_connections_alone_is_noticed_and_mended()
    {
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(1, redis, redis.Arguments);
        await using var subscriber = await fleet[0].ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/a/*");
        await redis.SendAsync("CLIENT KILL TYPE normal");
        await Metrics.WaitAsync(fleet[0], 1, "fanfare_backplane_disconnects_total");
        await WaitForHealthAsync(fleet[0], 200);

        await using var publisher = await fleet[0].ConnectAsync();
        await publisher.PublishAsync("/default/a/b", "1");
        Assert.Equal("1", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task A_Redis_that_falls_silent_is_noticed_within_seconds_and_a_publish_under_way_is_answered()
    {
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(1, redis, redis.Arguments);
        await using var publisher = await fleet[0].ConnectAsync();

        await redis.SignalAsync("STOP");
        await publisher.SendAsync(Messages.Publish("p", "/default/a", "1"));
        WireError.AssertReply(await publisher.NextAsync("an answer to the publish"), "publish_error", "p", "ServiceUnavailableException");
        Assert.Equal(503, await GetStatusAsync(fleet[0], "/health"));
        await Metrics.WaitAsync(fleet[0], 1, "fanfare_backplane_disconnects_total", "reason=\"silent\"");

        await redis.SignalAsync("CONT");
        await WaitForHealthAsync(fleet[0], 200);
        await publisher.PublishAsync("/default/a", "1");
    }

    [Fact]
    public async Task A_gateway_that_cannot_keep_up_gives_up_at_a_bound_delivers_what_it_has_and_begins_anew()
    {
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(
            2, redis,
            [
                .. redis.Arguments, "--Fanfare:Limits:PendingBytesTotalMax=1000000", "--Fanfare:Limits:PendingBytesMax=100000000",
                "--Fanfare:Limits:WriteTimeout=00:10:00",
            ]);
        await using var stuck = await RawWebSocket.ConnectAsync(fleet[1].EndPoint, receiveBufferBytes: 4096);
        await stuck.SubscribeAsync("s", "/default/flood");
        await using var publisher = await fleet[0].ConnectAsync();
        var published = 0;
        while ((await Metrics.ReadAsync(fleet[1])).Sum("fanfare_backplane_disconnects_total", "reason=\"overrun\"") == 0)
        {
            Assert.True(published < 100, "100 MB were taken for a subscriber that reads nothing.");
            var text = Messages.EventOf(200_000);
            await publisher.PublishAsync("/default/flood", $"{published++}", text, text, text, text);
        }

        var pending = (await Metrics.ReadAsync(fleet[1])).Sum("fanfare_backplane_pending_bytes");
        Assert.InRange(pending, RedisInbox.BytesMax / 2, RedisInbox.BytesMax + 2_000_000);
        Assert.Equal(503, await GetStatusAsync(fleet[1], "/health"));

        // What the gateway has, without a gap. It is fewer than were published by those that came after the bound. The next publish
        // ends it, beside the reading, since the gateway may have begun anew before or after the last event was read.
        var received = 0;
        var after = PublishAfterAsync();
        while (await stuck.NextEventAsync("s") is var text && text != "\"after\"")
        {
            if (text.Length < 10)
            {
                Assert.Equal($"{received++}", text);
            }
        }

        await after;
        Assert.InRange(received, 20, published);

        async Task PublishAfterAsync()
        {
            await WaitForHealthAsync(fleet[1], 200);
            await publisher.PublishAsync("/default/flood", "\"after\"");
        }
    }

    [Fact]
    public async Task A_gateway_starts_without_Redis_and_works_once_it_is_there()
    {
        var redis = RedisServer.Reserve();
        await using var fleet = await TestFleet.StartAsync(1, redis, redis.Arguments);
        Assert.Equal(503, await GetStatusAsync(fleet[0], "/health"));
        (await HttpPublisher.PostAsync(fleet[0], Messages.HttpBody("/default/a", "1"))).AssertError(503, "ServiceUnavailableException");

        await redis.RestartAsync();
        await WaitForHealthAsync(fleet[0], 200);

        await using var socket = await fleet[0].ConnectAsync();
        await socket.SubscribeAsync("s", "/default/a");
        Assert.Equal(200, (await HttpPublisher.PostAsync(fleet[0], Messages.HttpBody("/default/a", "1"))).Status);
        Assert.Equal("1", await socket.NextEventAsync("s"));
    }

    [Theory]
    [InlineData("correct-horse-1", true)]
    [InlineData("wrong-horse-2", false)]
    public async Task The_password_opens_Redis_and_is_in_no_log(string password, bool isRight)
    {
        var redis = await RedisServer.StartAsync("correct-horse-1");
        await using var fleet = await TestFleet.StartAsync(
            1, redis, "--backplane", "redis", $"--ConnectionStrings:redis=127.0.0.1:{redis.Port},password={password}",
            "--Logging:LogLevel:Default=Trace");
        Assert.Equal(isRight ? 200 : 503, await GetStatusAsync(fleet[0], "/health"));
        var answer = await HttpPublisher.PostAsync(fleet[0], Messages.HttpBody("/default/a", "1"));
        Assert.Equal(isRight ? 200 : 503, answer.Status);
        if (isRight)
        {
            await redis.KillAsync();
            await WaitForHealthAsync(fleet[0], 503);
        }

        // Health turns a moment before the log says why.
        await Deadline.WaitAsync(
            async token =>
            {
                while (!fleet[0].Log.Lines.Any(line => line.Level == LogLevel.Warning && line.Text.Contains("Redis", StringComparison.Ordinal)))
                {
                    token.ThrowIfCancellationRequested();
                    await Task.Yield();
                }
            },
            "a warning");
        Assert.DoesNotContain(fleet[0].Log.Entries, line => (line.Text + line.Values).Contains("horse", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("redis://:horse@localhost:6379")]
    [InlineData("localhost:6379,passwort=horse")]
    [InlineData("localhost:6379,password=a,horse=b")]
    [InlineData("localhost:6379,password=horse,ssl=maybe")]
    [InlineData("password=horse")]
    [InlineData("  ")]
    public void A_connection_string_that_is_none_is_refused_without_being_repeated(string text)
    {
        var refusal = Assert.Throws<GatewayStartException>(() => RedisEndpoint.Parse(text));

        Assert.Contains("ConnectionStrings:redis", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("horse", refusal.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prefix_in_the_connection_string_keeps_installations_apart()
    {
        await using var redis = await RedisServer.StartAsync();
        using var folder = new TemporaryFolder();
        string[] arguments = [.. redis.Arguments, $"--Fanfare:Data={folder.Path}"];
        await using var plain = await GatewayServer.StartAsync(arguments);
        await using var prefixed = await GatewayServer.StartAsync([.. arguments, $"--ConnectionStrings:redis={redis.ConnectionString},channelPrefix=blue:"]);
        await using var socket = await prefixed.ConnectAsync();
        await socket.SubscribeAsync("s", "/default/*");

        Assert.Equal(200, (await HttpPublisher.PostAsync(plain, Messages.HttpBody("/default/a", "1"))).Status);
        Assert.Equal(200, (await HttpPublisher.PostAsync(prefixed, Messages.HttpBody("/default/a", "2"))).Status);

        Assert.Equal("2", await socket.NextEventAsync("s"));
        Assert.Equal("*1", (await redis.SendAsync("PUBSUB CHANNELS blue:fanfare:*"))[0]);
    }

    [Fact]
    public async Task What_is_no_publish_is_dropped_and_counted_and_logged_once()
    {
        var redis = await RedisServer.StartAsync();
        await using var fleet = await TestFleet.StartAsync(1, redis, redis.Arguments);
        await using var socket = await fleet[0].ConnectAsync();
        await socket.SubscribeAsync("s", "/default/a");
        await socket.SubscribeAsync("w", "/default/b/*");
        var names = (await redis.SendAsync("PUBSUB CHANNELS fanfare:*")).Where(line => line.StartsWith("fanfare:", StringComparison.Ordinal)).ToList();
        Assert.Equal(2, names.Count);

        foreach (var name in names)
        {
            foreach (var message in new[] { "x", "\\x00\\x00", "\\xff\\xff", "\\x03\\x00a/b\\x01\\x00\\x00\\x00", "nonsense" })
            {
                await redis.SendAsync($"PUBLISH {name} \"{message}\"");
            }
        }

        await Metrics.WaitAsync(fleet[0], 10, "fanfare_backplane_malformed_total");
        Assert.Single(fleet[0].Log.Lines, line => line.Text.Contains("is no publish", StringComparison.Ordinal));
        await using var publisher = await fleet[0].ConnectAsync();
        await publisher.PublishAsync("/default/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("s"));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task A_graceful_stop_leaves_nothing_subscribed()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var gateway = await GatewayServer.StartAsync(redis.Arguments);
        var sockets = new List<RawWebSocket>();
        for (var i = 0; i < 20; i++)
        {
            sockets.Add(await gateway.ConnectAsync());
            await sockets[i].SubscribeAsync("s", $"/default/{i % 7}/*");
            await sockets[i].SubscribeAsync("t", $"/default/{i}");
        }

        Assert.Equal(["*27"], (await redis.SendAsync("PUBSUB CHANNELS fanfare:*")).Take(1));
        var stop = gateway.StopAsync();
        foreach (var socket in sockets)
        {
            await socket.AssertClosedAsync(1001);
            await socket.DisposeAsync();
        }

        await stop;
        Assert.Equal(["*0"], await redis.SendAsync("PUBSUB CHANNELS fanfare:*"));
    }

    private static async Task<int> GetStatusAsync(GatewayServer gateway, string path) =>
        (await HttpPublisher.SendAsync(gateway, HttpMethod.Get, path, null)).Status;

    private static Task WaitForHealthAsync(GatewayServer gateway, int status) => Deadline.WaitAsync(
        async token =>
        {
            while (await GetStatusAsync(gateway, "/health") != status)
            {
                token.ThrowIfCancellationRequested();
            }
        },
        $"{status} from /health",
        s_recovery);
}
