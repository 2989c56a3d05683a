using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>A subscriber that does not read is cut off by pending bytes; nobody else waits for it (§3.7).</summary>
public sealed class SlowSubscriberTests
{
    private const int TryAgainLater = 1013;
    private const int EventBytes = 200_000;

    // More than the kernel keeps for a socket on either side, and the gateway's own bound on top.
    private const int EventCount = 100;

    [Fact]
    public async Task Slow_subscriber_is_closed_while_others_receive_everything()
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:PendingBytesMax=1000000");
        await using var slow = await RawWebSocket.ConnectAsync(server.EndPoint, receiveBufferBytes: 64 * 1024);
        await slow.SubscribeAsync("s", "/default/flood");
        await using var quick = await server.ConnectAsync();
        await quick.SubscribeAsync("q", "/default/flood");
        await using var publisher = await server.ConnectAsync();

        for (var index = 0; index < EventCount; index++)
        {
            var text = NumberedEvent(index);
            await publisher.PublishAsync("/default/flood", text);
            Assert.Equal(text, await quick.NextEventAsync("q"));
        }

        var received = 0;
        while (true)
        {
            var frame = await slow.NextFrameAsync($"event {received} or close {TryAgainLater}")
                ?? throw new EndOfStreamException($"The connection ended without close {TryAgainLater}.");
            if (frame.Opcode == Opcode.Close)
            {
                Assert.Equal(TryAgainLater, frame.CloseCode);
                break;
            }

            // What does arrive has no gap: events are lost with the connection, not before.
            Assert.Equal($$"""{"type":"data","id":"s","event":{{Quoted(NumberedEvent(received))}}}""", frame.Text);
            received++;
        }

        Assert.InRange(received, 0, EventCount - 1);
        await slow.SendBytesAsync(WireFrame.EncodeClose(TryAgainLater));
        await slow.Connection.ReadToEndAsync();
    }

    [Fact]
    public async Task Slow_subscriber_that_never_reads_again_is_dropped_and_its_subscription_ends()
    {
        await using var server = await GatewayServer.StartAsync(
            "--Fanfare:Limits:PendingBytesMax=100000", "--Fanfare:Limits:WriteTimeout=00:00:01");
        await using var slow = await RawWebSocket.ConnectAsync(server.EndPoint, receiveBufferBytes: 64 * 1024);
        await slow.SubscribeAsync("s", "/default/dead");
        await using var publisher = await server.ConnectAsync();
        for (var index = 0; index < EventCount; index++)
        {
            await publisher.PublishAsync("/default/dead", NumberedEvent(index));
        }

        // A fresh subscriber is served as if the other had never been.
        await using var fresh = await server.ConnectAsync();
        await fresh.SubscribeAsync("f", "/default/dead");
        await publisher.PublishAsync("/default/dead", "1");
        Assert.Equal("1", await fresh.NextEventAsync("f"));
        Assert.DoesNotContain(server.Log.Lines, line => line.Level >= Microsoft.Extensions.Logging.LogLevel.Error);
    }

    [Fact]
    public async Task Burst_below_the_bound_is_kept_for_a_subscriber_that_reads_later()
    {
        await using var server = await GatewayServer.StartAsync();
        await using var late = await RawWebSocket.ConnectAsync(server.EndPoint, receiveBufferBytes: 64 * 1024);
        await late.SubscribeAsync("s", "/default/late");
        await using var publisher = await server.ConnectAsync();
        for (var index = 0; index < 15; index++)
        {
            await publisher.PublishAsync("/default/late", NumberedEvent(index));
        }

        for (var index = 0; index < 15; index++)
        {
            Assert.Equal(NumberedEvent(index), await late.NextEventAsync("s"));
        }
    }

    [Fact]
    public async Task What_broken_subscribers_were_being_sent_no_longer_counts()
    {
        await using var server = await GatewayServer.StartAsync(
            "--Fanfare:Limits:PendingBytesTotalMax=3000000", "--Fanfare:Limits:PublishTimeout=00:00:05");
        await using var publisher = await server.ConnectAsync();
        for (var round = 0; round < 6; round++)
        {
            var slow = await RawWebSocket.ConnectAsync(server.EndPoint, receiveBufferBytes: 4096);
            await slow.SubscribeAsync("s", "/default/broken");
            for (var index = 0; index < 25; index++)
            {
                await publisher.PublishAsync("/default/broken", NumberedEvent(index));
            }

            slow.Connection.Abort();
            await Metrics.WaitAsync(server, 1, "fanfare_connections_active");
        }

        var fanOut = server.Services.GetRequiredService<Gateway.FanOut.LocalFanOut>();
        Assert.True(fanOut.HasRoom);
        await publisher.PublishAsync("/default/broken", "1");
    }

    [Theory]
    [InlineData("requests")]
    [InlineData("pings")]
    public async Task Client_that_does_not_read_its_answers_stops_only_itself(string what)
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:PendingBytesMax=100000");
        await using var witness = await server.ConnectAsync();
        await witness.SubscribeAsync("w", "/default/witness");
        await using var deaf = await RawWebSocket.ConnectAsync(server.EndPoint, receiveBufferBytes: 64 * 1024);
        var request = what == "pings"
            ? WireFrame.Encode(Opcode.Ping, new byte[125])
            : WireFrame.EncodeText(Messages.Unsubscribe(new string('i', 120)));
        var burst = Enumerable.Repeat(request, 500).SelectMany(bytes => bytes).ToArray();
        var flooding = FloodAsync(deaf, burst);

        await using var publisher = await server.ConnectAsync();
        for (var index = 0; index < 200; index++)
        {
            await publisher.PublishAsync("/default/witness", $"{index}");
            Assert.Equal($"{index}", await witness.NextEventAsync("w"));
        }

        await deaf.DisposeAsync();
        await flooding;
    }

    private static string NumberedEvent(int index) => $"\"{index} {new string('x', EventBytes)}\"";

    private static string Quoted(string text) => "\"" + text.Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";

    private static async Task FloodAsync(RawWebSocket socket, byte[] burst)
    {
        try
        {
            // Ends when the server reads no more and the test hangs up, or when the server hangs up first.
            while (true)
            {
                await socket.SendBytesAsync(burst);
            }
        }
        catch (Exception exception) when (exception is System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            // Either way the flood is over.
        }
    }
}
