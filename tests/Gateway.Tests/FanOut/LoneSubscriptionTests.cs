using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>
/// A connection's only subscription is served at the end of a round, several are served event by event. Nobody can tell from the events:
/// none is lost, doubled or out of its place, whatever comes and goes beside them.
/// </summary>
public sealed class LoneSubscriptionTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Events_are_complete_while_subscriptions_come_and_go(int seed)
    {
        const int Publishers = 3, Events = 1200;
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:PendingBytesMax=67108864");
        await using var whole = await server.ConnectAsync();
        await whole.SubscribeAsync("all", "/default/lone/*");
        await using var changing = await server.ConnectAsync();
        await changing.SubscribeAsync("kept", "/default/lone/a");
        var publishing = Enumerable.Range(0, Publishers).Select(publisher => PublishAsync(server, publisher, Events)).ToList();

        var wholeSeen = ReadEventsAsync(whole, Publishers * Events);
        var changingSeen = ChangeAsync(changing, new Random(seed), Publishers * Events);
        await Deadline.WaitAsync(Task.WhenAll([.. publishing, wholeSeen, changingSeen]), "all events", TimeSpan.FromMinutes(1));

        // The connection with one subscription and the one with many saw the same order, and each publisher's own.
        Assert.Equal(await wholeSeen, await changingSeen);
        for (var publisher = 0; publisher < Publishers; publisher++)
        {
            var own = (await wholeSeen).Where(text => text.StartsWith($"{publisher} ", StringComparison.Ordinal));
            Assert.Equal(Enumerable.Range(0, Events).Select(number => $"{publisher} {number}"), own);
        }
    }

    [Fact]
    public async Task A_publisher_that_subscribes_to_its_channel_sees_its_event_before_the_answer()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();
        await socket.SubscribeAsync("s", "/default/own");
        for (var number = 0; number < 300; number++)
        {
            await socket.SendAsync(Messages.Publish($"p{number}", "/default/own", $"{number}"));
        }

        for (var number = 0; number < 300; number++)
        {
            Assert.Equal($"{number}", await socket.NextEventAsync("s"));
            await socket.NextAsync("publish_success", $"p{number}");
        }

        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Nothing_comes_before_the_subscription_or_behind_its_end_even_within_one_write()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var socket = await server.ConnectAsync();
        var messages = new List<string>();
        var expected = new List<string>();
        for (var round = 0; round < 100; round++)
        {
            messages.AddRange([
                Publish("before", round), Messages.Subscribe("s", "/default/edge"), Publish("within", round),
                Messages.Unsubscribe("s"), Publish("after", round)]);
            expected.AddRange([
                "publish_success before", "subscribe_success s", "data s", "publish_success within", "unsubscribe_success s", "publish_success after"]);
        }

        await socket.SendBytesAsync(messages.SelectMany(WireFrame.EncodeText).ToArray());

        foreach (var one in expected)
        {
            var message = await socket.NextAsync(one);
            Assert.Equal(one, $"{message["type"]} {message["id"]}");
        }

        static string Publish(string id, int round) => Messages.Publish(id, "/default/edge", $"\"{id} {round}\"");
    }

    [Theory]
    [InlineData(10)]
    [InlineData(60)]
    [InlineData(70)]
    [InlineData(80)]
    [InlineData(90)]
    [InlineData(65_480)]
    [InlineData(65_500)]
    [InlineData(200_000)]
    public async Task Ids_of_all_lengths_and_events_of_all_sizes_arrive_whole(int length)
    {
        await using var server = await GatewayServer.StartAsync();
        var ids = new[] { "a", "b", new string('c', 17), new string('d', 17), new string('e', 100), "f" };
        var sockets = new List<RawWebSocket>();
        foreach (var id in ids)
        {
            var socket = await server.ConnectAsync();
            await socket.SubscribeAsync(id, "/default/sizes");
            sockets.Add(socket);
        }

        await using var publisher = await server.ConnectAsync();
        for (var number = 0; number < 5; number++)
        {
            await publisher.PublishAsync("/default/sizes", Messages.EventOf(length + number), $"{number}");
        }

        for (var i = 0; i < ids.Length; i++)
        {
            for (var number = 0; number < 5; number++)
            {
                Assert.Equal(Messages.EventOf(length + number), await sockets[i].NextEventAsync(ids[i]));
                Assert.Equal($"{number}", await sockets[i].NextEventAsync(ids[i]));
            }

            await sockets[i].AssertNothingElseAsync();
            await sockets[i].DisposeAsync();
        }
    }

    [Fact]
    public async Task A_slow_reader_gets_every_byte_in_its_place()
    {
        const int Events = 600;
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:PendingBytesMax=67108864");
        await using var slow = await RawWebSocket.ConnectAsync(server.EndPoint, receiveBufferBytes: 2048);
        await slow.SubscribeAsync("s", "/default/slow");
        await using var quick = await server.ConnectAsync();
        await quick.SubscribeAsync("q", "/default/slow");
        await using var publisher = await server.ConnectAsync();

        // More than the kernel takes, so that writes end anywhere in a frame, and replies and pongs come in between.
        for (var number = 0; number < Events; number++)
        {
            await publisher.PublishAsync("/default/slow", Text(number));
            Assert.Equal(Text(number), await quick.NextEventAsync("q"));
            if (number % 50 == 0)
            {
                await slow.SendBytesAsync(WireFrame.Encode(TestKit.Opcode.Ping, Encoding.ASCII.GetBytes($"{number}")));
            }
        }

        var (received, pongs) = (0, 0);
        while (received < Events || pongs < Events / 50)
        {
            var frame = (await slow.NextFrameAsync($"event {received}"))!;
            if (frame.Opcode == TestKit.Opcode.Pong)
            {
                Assert.Equal($"{50 * pongs++}", frame.Text);
            }
            else
            {
                Assert.Equal(Text(received), (string?)JsonNode.Parse(frame.Text)!["event"]);
                received++;
            }
        }

        static string Text(int number) => $"\"{number} {new string((char)('a' + (number % 26)), 1000 + (number * 37 % 20_000))}\"";
    }

    private static async Task PublishAsync(GatewayServer server, int publisher, int count)
    {
        await using var socket = await server.ConnectAsync();
        for (var from = 0; from < count; from += 40)
        {
            var burst = Enumerable.Range(from, 40).Select(number => Messages.Publish("p", "/default/lone/a", $"\"{publisher} {number}\""));
            await socket.SendBytesAsync(burst.SelectMany(WireFrame.EncodeText).ToArray());
            for (var i = 0; i < 40; i++)
            {
                await socket.NextAsync("publish_success", "p");
            }
        }
    }

    private static async Task<List<string>> ReadEventsAsync(RawWebSocket socket, int count)
    {
        var seen = new List<string>(count);
        while (seen.Count < count)
        {
            seen.Add(Unquote(await socket.NextEventAsync("all")));
        }

        return seen;
    }

    // Keeps one subscription, and adds and removes a second and a third for as long as events come.
    private static async Task<List<string>> ChangeAsync(RawWebSocket socket, Random random, int count)
    {
        var seen = new List<string>(count);
        var live = new HashSet<string>();
        string? asked = null;
        var next = 0;
        while (seen.Count < count)
        {
            if (asked is null && seen.Count < count - 100)
            {
                asked = live.Count > 0 && random.Next(2) == 0 ? live.First() : $"more-{next++}";
                var isLive = live.Contains(asked);
                await socket.SendAsync(isLive
                    ? Messages.Unsubscribe(asked)
                    : Messages.Subscribe(asked, random.Next(2) == 0 ? "/default/lone/a" : "/default/*"));
            }

            var message = await socket.NextAsync($"event {seen.Count}");
            var id = (string)message["id"]!;
            switch ((string)message["type"]!)
            {
                case "data" when id == "kept":
                    seen.Add(Unquote((string)message["event"]!));
                    break;
                case "data":
                    Assert.Contains(id, live);
                    break;
                case "subscribe_success":
                    Assert.Equal(asked, id);
                    live.Add(id);
                    asked = null;
                    break;
                case "unsubscribe_success":
                    Assert.Equal(asked, id);
                    live.Remove(id);
                    asked = null;
                    break;
                default:
                    Assert.Fail($"unexpected {message.ToJsonString()}");
                    break;
            }
        }

        return seen;
    }

    private static string Unquote(string text) => text.Trim('"');
}
