using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>The limits of a publish over WebSocket at n−1, n and n+1 (§7).</summary>
public sealed class PublishLimitsTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const int EventBytesMax = 245_760;

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(5, true)]
    [InlineData(6, false)]
    [InlineData(100, false)]
    public async Task Publish_carries_one_to_five_events(int count, bool isAccepted)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p", "/default/count", [.. Enumerable.Range(0, count).Select(n => $"{n}")]));

        if (isAccepted)
        {
            var message = await socket.NextAsync("publish_success", "p");
            Assert.Equal(count, message["successful"]!.AsArray().Count);
        }
        else
        {
            var error = WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "InvalidInputError");
            Assert.True(count == 0 || error.Message == "input exceeded 5 event limit", error.Message);
        }
    }

    [Theory]
    [InlineData(EventBytesMax - 1, true)]
    [InlineData(EventBytesMax, true)]
    [InlineData(EventBytesMax + 1, false)]
    [InlineData(300 * 1024, false)]
    public async Task Event_above_240_kilobytes_fails_on_its_own(int bytes, bool isAccepted)
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/size");
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p", "/default/size", "1", Messages.EventOf(bytes), "3"));

        var message = await socket.NextAsync("publish_success", "p");
        AssertOutcome(message, isAccepted ? [0, 1, 2] : [0, 2], isAccepted ? [] : [1]);
        Assert.Equal("1", await subscriber.NextEventAsync("s"));
        if (isAccepted)
        {
            Assert.Equal(bytes, (await subscriber.NextEventAsync("s")).Length);
        }

        Assert.Equal("3", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Publish_succeeds_even_when_every_event_fails()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p", "/default/size", Messages.EventOf(EventBytesMax + 1)));

        AssertOutcome(await socket.NextAsync("publish_success", "p"), [], [0]);
    }

    [Theory]
    [InlineData("é", 2)]
    [InlineData("€", 3)]
    [InlineData("😀", 4)]
    public async Task Event_size_counts_bytes_of_utf8(string character, int bytesEach)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var count = (EventBytesMax - 2) / bytesEach;
        var most = "\"" + string.Concat(Enumerable.Repeat(character, count)) + "\"";
        var pad = new string('x', EventBytesMax - 2 - (count * bytesEach));

        await socket.SendAsync(Messages.Publish("p", "/default/size", most.Insert(1, pad), most.Insert(1, pad + "x")));

        AssertOutcome(await socket.NextAsync("publish_success", "p"), [0], [1]);
    }

    [Fact]
    public async Task Event_size_counts_the_text_unescaped_from_the_message()
    {
        // Each quote inside costs two bytes in the event's text and four in the message.
        await using var socket = await gateway.Server.ConnectAsync();
        var fits = "\"" + string.Concat(Enumerable.Repeat("\\\"", (EventBytesMax - 2) / 2)) + "\"";
        await socket.SendAsync(Messages.PublishRaw("p", "/default/size", new JsonArray(fits).ToJsonString()));
        AssertOutcome(await socket.NextAsync("publish_success", "p"), [0], []);

        // \u0061 in the message is one byte of the event.
        var escaped = "[\"\\\"" + string.Concat(Enumerable.Repeat("\\u0061", EventBytesMax - 2)) + "\\\"\"]";
        await socket.SendAsync(Messages.PublishRaw("p", "/default/size", escaped));
        AssertOutcome(await socket.NextAsync("publish_success", "p"), [0], []);
    }

    [Fact]
    public async Task Five_events_of_the_greatest_size_fit_one_publish()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/full");
        await using var socket = await gateway.Server.ConnectAsync();
        var full = Messages.EventOf(EventBytesMax);

        await socket.SendAsync(Messages.Publish("p", "/default/full", full, full, full, full, full));

        AssertOutcome(await socket.NextAsync("publish_success", "p"), [0, 1, 2, 3, 4], []);
        for (var index = 0; index < 5; index++)
        {
            Assert.Equal(full, await subscriber.NextEventAsync("s"));
        }
    }

    [Theory]
    [InlineData(999, true)]
    [InlineData(1000, true)]
    [InlineData(1001, false)]
    public async Task Events_together_have_a_limit_of_their_own(int bytes, bool isAccepted)
    {
        await using var server = await GatewayServer.StartAsync(
            "--Fanfare:Limits:PublishBytesMax=1000", "--Fanfare:Limits:EventBytesMax=900");
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p", "/default/a", Messages.EventOf(500), Messages.EventOf(bytes - 500)));

        var message = await socket.NextAsync();
        Assert.Equal(isAccepted ? "publish_success" : "publish_error", (string?)message["type"]);
        Assert.Equal("p", (string?)message["id"]);
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    public async Task Id_may_have_128_characters(int length)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var id = new string('p', length);

        await socket.SendAsync(Messages.Publish(id, "/default/a", "1"));

        await socket.NextAsync("publish_success", id);
    }

    [Fact]
    public async Task Event_may_nest_as_deep_as_its_size_allows_or_is_refused_cleanly()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        foreach (var depth in (int[])[32, 63, 64, 65, 500, 100_000])
        {
            await socket.SendAsync(Messages.Publish($"d{depth}", "/default/a", new string('[', depth) + new string(']', depth)));
            var message = await socket.NextAsync();
            Assert.Equal($"d{depth}", (string?)message["id"]);
            var isAccepted = (string?)message["type"] == "publish_success";
            Assert.True(isAccepted || (string?)message["type"] == "publish_error", message.ToJsonString());
            Assert.True(isAccepted || depth > 60, $"depth {depth} is nothing unusual");
        }

        await socket.AssertNothingElseAsync();
    }

    internal static void AssertOutcome(JsonObject message, int[] successful, int[] failed)
    {
        Assert.Equal(successful, message["successful"]!.AsArray().Select(item => (int)item!["index"]!));
        Assert.Equal(failed, message["failed"]!.AsArray().Select(item => (int)item!["index"]!));
        Assert.All(message["failed"]!.AsArray(), item =>
        {
            Assert.Equal(["code", "identifier", "index", "message"], item!.AsObject().Select(member => member.Key).Order());
            Assert.Equal("EventTooLargeException", (string?)item["code"]);
            Assert.Equal("Transformed event is larger than 240KB", (string?)item["message"]);
            Assert.True(Guid.TryParseExact((string?)item["identifier"], "D", out _));
        });
    }
}
