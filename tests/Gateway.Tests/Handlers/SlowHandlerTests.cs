using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>A handler that takes its time holds up what must come behind it, and nothing else of its connection.</summary>
public sealed class SlowHandlerTests
{
    [Fact]
    public async Task A_slow_publish_holds_up_neither_other_channels_nor_the_connection()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using var socket = await fixture.ConnectAsync();

        await socket.SendAsync(Messages.Publish("slow", "/chat/a", "1"));
        await slow.CalledAsync();
        await socket.SendBytesAsync(WireFrame.Encode(Opcode.Ping, "still there"u8.ToArray()));
        Assert.Equal(Opcode.Pong, (await socket.NextFrameAsync("a pong"))!.Opcode);
        await socket.SubscribeAsync("s", "/other/a");
        Assert.Equal("publish_success", (string?)(await PublishAsync(socket, "quick", "/other/b"))["type"]);
        await socket.UnsubscribeAsync("s");

        slow.Release();
        await socket.NextAsync("publish_success", "slow");
    }

    [Fact]
    public async Task Publishes_to_one_channel_keep_their_order()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using var subscriber = await fixture.ConnectAsync();
        slow.Release();
        await subscriber.SubscribeAsync("s", "/chat/*");
        await slow.CalledAsync();
        await using var socket = await fixture.ConnectAsync();

        // The second is the same channel in another spelling; the third is another one.
        await socket.SendAsync(Messages.Publish("1", "/chat/a", "1"));
        await slow.CalledAsync();
        await socket.SendAsync(Messages.Publish("2", "chat/a/", "2"));
        await socket.SendAsync(Messages.Publish("3", "/chat/b", "3"));
        slow.ReleaseAll();

        Assert.Equal(["1", "2", "3"], await IdsAsync(socket, 3));
        var events = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            events.Add(await subscriber.NextEventAsync("s"));
        }

        Assert.Equal(["1", "2"], events.Where(text => text != "3"));
    }

    [Fact]
    public async Task What_has_the_id_of_a_subscribe_under_way_waits_for_it()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using var socket = await fixture.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", "/chat/a"));
        await slow.CalledAsync();
        await socket.SendAsync(Messages.Unsubscribe("s"));
        slow.Release();

        await socket.NextAsync("subscribe_success", "s");
        await socket.NextAsync("unsubscribe_success", "s");
        Assert.Equal(200, (await fixture.PostAsync("/other/x", "1")).Status);
        slow.ReleaseAll();
        Assert.Equal(200, (await fixture.PostAsync("/chat/a", "1")).Status);
        await fixture.AssertDeliveredAsync(socket, "s");
    }

    [Fact]
    public async Task A_publish_behind_a_subscribe_of_its_namespace_is_heard_by_it()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using var socket = await fixture.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", "/chat/*"));
        await socket.SendAsync(Messages.Publish("p", "/chat/a", "1"));
        slow.ReleaseAll();

        await socket.NextAsync("subscribe_success", "s");
        var (one, other) = (await socket.NextAsync(), await socket.NextAsync());
        Assert.Equal(["data", "publish_success"], new[] { (string)one["type"]!, (string)other["type"]! }.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Subscribes_under_way_count_against_the_limit()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow, "--Fanfare:Limits:SubscriptionsPerConnectionMax=3");
        await using var socket = await fixture.ConnectAsync();
        for (var i = 0; i < 5; i++)
        {
            await socket.SendAsync(Messages.Subscribe($"{i}", $"/chat/{i}"));
        }

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "3", "MaxSubscriptionsReachedError");
        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "4", "MaxSubscriptionsReachedError");
        slow.ReleaseAll();
        Assert.Equal(["0", "1", "2"], await IdsAsync(socket, 3));
    }

    [Fact]
    public async Task More_requests_than_may_be_under_way_wait_and_are_all_answered()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using var socket = await fixture.ConnectAsync();
        for (var i = 0; i < 100; i++)
        {
            await socket.SendAsync(Messages.Publish($"{i}", $"/chat/{i}", "1"));
        }

        for (var i = 0; i < 32; i++)
        {
            await slow.CalledAsync();
        }

        slow.ReleaseAll();
        Assert.Equal(100, (await IdsAsync(socket, 100)).Distinct().Count());
    }

    [Fact]
    public async Task A_stop_waits_for_the_answers_of_all_requests_under_way()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using var socket = await fixture.ConnectAsync();
        await socket.SendAsync(Messages.Publish("1", "/chat/a", "1"));
        await socket.SendAsync(Messages.Publish("2", "/chat/b", "1"));
        await slow.CalledAsync();
        await slow.CalledAsync();

        var stop = fixture.Server.StopAsync();
        slow.ReleaseAll();

        Assert.Equal(["1", "2"], await IdsAsync(socket, 2));
        Assert.Equal(Opcode.Close, (await socket.NextFrameAsync("a close frame"))!.Opcode);
        await socket.DisposeAsync();
        await stop;
    }

    [Fact]
    public async Task A_connection_that_ends_while_a_subscribe_is_under_way_leaves_nothing_behind()
    {
        await using var slow = await SlowFunction.StartAsync();
        await using var fixture = await StartAsync(slow);
        await using (var socket = await fixture.ConnectAsync())
        {
            await socket.SendAsync(Messages.Subscribe("s", "/chat/a"));
            await slow.CalledAsync();
        }

        slow.ReleaseAll();
        await Deadline.WaitAsync(
            async token =>
            {
                while (!await HasEndedAsync(fixture))
                {
                    await Task.Delay(10, token); // metrics tell nobody that they changed
                }
            },
            "the end of connection and subscription");
    }

    private static async Task<bool> HasEndedAsync(HandlerFixture fixture)
    {
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(fixture.Server.Address, "/metrics"), TestContext.Current.CancellationToken);
        return metrics.Split('\n')
            .Where(line => line.StartsWith("fanfare_connections_active", StringComparison.Ordinal)
                || line.StartsWith("fanfare_subscriptions_active", StringComparison.Ordinal))
            .All(line => line.EndsWith(" 0", StringComparison.Ordinal));
    }

    private static Task<HandlerFixture> StartAsync(SlowFunction slow, params string[] arguments) =>
        HandlerFixture.StartDirectAsync(slow.Address, HandlerFixture.Direct, arguments);

    private static Task<JsonObject> PublishAsync(RawWebSocket socket, string id, string channel) =>
        HandlerFixture.PublishAsync(socket, id, channel, "1");

    private static async Task<List<string>> IdsAsync(RawWebSocket socket, int count)
    {
        var ids = new List<string>();
        while (ids.Count < count)
        {
            var message = await socket.NextAsync();
            Assert.EndsWith("_success", (string)message["type"]!, StringComparison.Ordinal);
            ids.Add((string)message["id"]!);
        }

        return [.. ids.Order(StringComparer.Ordinal)];
    }

    /// <summary>A function that answers when it is told to, and then lets everything through.</summary>
    private sealed class SlowFunction : IAsyncDisposable
    {
        private readonly SemaphoreSlim _mayAnswer = new(0);
        private FakeLambda? _lambda;

        public Uri Address => new(_lambda!.Address, "/2015-03-31/functions/worker/invocations");

        public static async Task<SlowFunction> StartAsync()
        {
            var slow = new SlowFunction();
            slow._lambda = await FakeLambda.StartAsync(async call =>
            {
                await slow._mayAnswer.WaitAsync(call.Aborted);
                await call.ReturnAsync(call.Json["events"] is { } events ? new JsonObject { ["events"] = events.DeepClone() }.ToJsonString() : "null");
            });
            return slow;
        }

        public Task CalledAsync() => _lambda!.NextCallAsync();

        public void Release() => _mayAnswer.Release();

        public void ReleaseAll() => _mayAnswer.Release(10_000);

        public async ValueTask DisposeAsync()
        {
            await _lambda!.DisposeAsync();
            _mayAnswer.Dispose();
        }
    }
}
