using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>
/// Many publishers, many subscribers, exact channels and wildcards at every level: each delivery is checked for
/// completeness, for being the only one, and for its place in the channel's order.
/// </summary>
[Collection(nameof(HeavyLoad))]
public sealed class OrderTests
{
    private const int SubscriberCount = 200;
    private const int PublisherCount = 8;
    private const int EventsPerPublisherAndChannel = 40;
    private const int BatchSize = 5;
    private const int DeliveriesMin = 100_000;

    private static readonly string[] s_channels =
    [
        "/default", "/default/a", "/default/a/b", "/default/a/b/c", "/default/a/b/c/d",
        "/default/a/x", "/default/ab", "/default/z", "/default/z/b/c", "/default/z/y/x/w",
    ];

    private static readonly string[] s_patterns =
    [
        "/default/*", "/default/a", "/default/a/*", "/default/a/b/*", "/default/a/b/c/*", "/default/a/b/c/d",
        "/default/z/*", "/default", "/default/a/b", "/default/ab/*", "/default/z/y/*", "/default/ab", "/default/a/x",
    ];

    [Fact]
    public async Task Every_subscriber_sees_every_event_once_and_in_the_order_of_all_others()
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:PendingBytesMax=67108864");
        var subscribers = await OpenSubscribersAsync(server);
        var expected = subscribers.Sum(subscriber => subscriber.ExpectedCount);
        Assert.True(expected >= DeliveriesMin, $"only {expected} deliveries are expected");

        var reading = subscribers.Select(subscriber => subscriber.ReadAsync()).ToList();
        var publishing = Enumerable.Range(0, PublisherCount).Select(publisher => publisher % 2 == 0
            ? PublishOverWebSocketAsync(server, publisher)
            : PublishOverHttpAsync(server, publisher)).ToList();
        await Deadline.WaitAsync(Task.WhenAll(publishing), "the answers to all publishes", TimeSpan.FromMinutes(2));
        await Deadline.WaitAsync(Task.WhenAll(reading), "all deliveries", TimeSpan.FromMinutes(2));

        AssertSameOrderEverywhere(subscribers);
        foreach (var subscriber in subscribers)
        {
            await subscriber.Socket.AssertNothingElseAsync();
            await subscriber.Socket.DisposeAsync();
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{expected} deliveries checked");
    }

    private static async Task<List<Subscriber>> OpenSubscribersAsync(GatewayServer server)
    {
        var subscribers = new List<Subscriber>();
        for (var index = 0; index < SubscriberCount; index++)
        {
            var socket = await server.ConnectAsync();
            // One pattern each, and a second, often overlapping one for every third connection.
            var first = s_patterns[index % s_patterns.Length];
            string[] patterns = index % 3 == 0 ? [first, s_patterns[(index * 5) % s_patterns.Length]] : [first];
            for (var subscription = 0; subscription < patterns.Length; subscription++)
            {
                await socket.SubscribeAsync($"s{subscription}", patterns[subscription]);
            }

            subscribers.Add(new Subscriber(socket, patterns));
        }

        return subscribers;
    }

    /// <summary>Sends everything without waiting for answers, so that order rests on the gateway alone.</summary>
    private static async Task PublishOverWebSocketAsync(GatewayServer server, int publisher)
    {
        await using var socket = await server.ConnectAsync();
        var batches = Batches(publisher).ToList();
        var sending = Task.Run(async () =>
        {
            foreach (var (channel, events) in batches)
            {
                await socket.SendAsync(Messages.Publish("p", s_channels[channel], events));
            }
        });
        for (var index = 0; index < batches.Count; index++)
        {
            await socket.NextAsync("publish_success", "p");
        }

        await sending;
    }

    private static async Task PublishOverHttpAsync(GatewayServer server, int publisher)
    {
        foreach (var (channel, events) in Batches(publisher))
        {
            var answer = await HttpPublisher.PostAsync(server, Messages.HttpBody(s_channels[channel], events));
            Assert.True(answer.Status == 200, answer.Body);
        }
    }

    /// <summary>A publisher's events, five to a batch, going round the channels; each is <c>[channel,publisher,number]</c>.</summary>
    private static IEnumerable<(int Channel, string[] Events)> Batches(int publisher)
    {
        for (var number = 0; number < EventsPerPublisherAndChannel; number += BatchSize)
        {
            for (var step = 0; step < s_channels.Length; step++)
            {
                var channel = (step + publisher) % s_channels.Length;
                var from = number;
                yield return (
                    channel, [.. Enumerable.Range(from, BatchSize).Select(n => $"[{channel},{publisher},{n}]")]);
            }
        }
    }

    private static void AssertSameOrderEverywhere(List<Subscriber> subscribers)
    {
        var orders = new List<(int, int)>?[s_channels.Length];
        foreach (var subscriber in subscribers)
        {
            for (var subscription = 0; subscription < subscriber.Patterns.Length; subscription++)
            {
                for (var channel = 0; channel < s_channels.Length; channel++)
                {
                    var seen = subscriber.Received[subscription, channel];
                    if (!IsMatch(subscriber.Patterns[subscription], s_channels[channel]))
                    {
                        Assert.Empty(seen);
                        continue;
                    }

                    if (orders[channel] is null)
                    {
                        AssertCompleteAndInPublishersOrder(seen);
                        orders[channel] = seen;
                    }

                    Assert.Equal(orders[channel], seen);
                }
            }
        }

        Assert.DoesNotContain(null, orders);
    }

    private static void AssertCompleteAndInPublishersOrder(List<(int Publisher, int Number)> seen)
    {
        for (var publisher = 0; publisher < PublisherCount; publisher++)
        {
            Assert.Equal(
                Enumerable.Range(0, EventsPerPublisherAndChannel),
                seen.Where(one => one.Publisher == publisher).Select(one => one.Number));
        }

        Assert.Equal(PublisherCount * EventsPerPublisherAndChannel, seen.Count);
    }

    private static bool IsMatch(string pattern, string channel) =>
        pattern.EndsWith("/*", StringComparison.Ordinal)
            ? channel.StartsWith(pattern[..^1], StringComparison.Ordinal)
            : channel == pattern;

    private sealed class Subscriber
    {
        private readonly byte[] _prefix = Encoding.UTF8.GetBytes("{\"type\":\"data\",\"id\":\"s");
        private readonly byte[] _middle = Encoding.UTF8.GetBytes("\",\"event\":\"[");

        public Subscriber(RawWebSocket socket, string[] patterns)
        {
            (Socket, Patterns) = (socket, patterns);
            Received = new List<(int, int)>[patterns.Length, s_channels.Length];
            for (var subscription = 0; subscription < patterns.Length; subscription++)
            {
                for (var channel = 0; channel < s_channels.Length; channel++)
                {
                    Received[subscription, channel] = [];
                    ExpectedCount += IsMatch(patterns[subscription], s_channels[channel])
                        ? PublisherCount * EventsPerPublisherAndChannel
                        : 0;
                }
            }
        }

        public RawWebSocket Socket { get; }

        public string[] Patterns { get; }

        /// <summary>What came, by subscription and channel.</summary>
        public List<(int Publisher, int Number)>[,] Received { get; }

        public int ExpectedCount { get; }

        public async Task ReadAsync()
        {
            var token = TestContext.Current.CancellationToken;
            for (var count = 0; count < ExpectedCount; count++)
            {
                var frame = await Socket.ReadFrameAsync(token)
                    ?? throw new EndOfStreamException($"The connection ended after {count} of {ExpectedCount} deliveries.");
                Take(frame);
            }
        }

        private void Take(WireFrame frame)
        {
            ReadOnlySpan<byte> rest = frame.Payload;
            Assert.True(frame.Opcode == Opcode.Text && rest.StartsWith(_prefix), $"unexpected {frame}");
            var subscription = rest[_prefix.Length] - '0';
            rest = rest[(_prefix.Length + 1)..];
            Assert.True(rest.StartsWith(_middle), $"unexpected {frame}");
            var numbers = Encoding.ASCII.GetString(rest[_middle.Length..^3]).Split(',');
            Received[subscription, int.Parse(numbers[0])].Add((int.Parse(numbers[1]), int.Parse(numbers[2])));
        }
    }
}
