using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>What RFC 6455 allows a client to do. What it forbids is in <see cref="FramingViolationTests"/>.</summary>
public sealed class FramingTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(125)]
    public async Task Ping_is_answered_with_its_payload(int length)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var payload = Enumerable.Range(0, length).Select(index => (byte)(index * 7)).ToArray();

        await socket.SendBytesAsync(WireFrame.Encode(Opcode.Ping, payload));

        var pong = await NextAsync(socket, "pong");
        Assert.Equal((Opcode.Pong, true, 0), (pong.Opcode, pong.IsFinal, pong.Reserved));
        Assert.Equal(payload, pong.Payload);
    }

    [Fact]
    public async Task Ping_burst_keeps_the_connection_alive()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(Enumerable.Range(0, 100).SelectMany(_ => WireFrame.Encode(Opcode.Ping, "x"u8)).ToArray());

        // A server may answer only the latest of several pings (RFC 6455 §5.5.3), so pongs are not counted.
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Unasked_pong_is_ignored()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(WireFrame.Encode(Opcode.Pong, "x"u8));

        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData(1000, "")]
    [InlineData(1000, "bye")]
    [InlineData(1001, "")]
    [InlineData(3000, "")]
    [InlineData(3001, "amplify")]
    [InlineData(4999, "")]
    public async Task Close_is_answered_with_a_close(int code, string reason)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(WireFrame.EncodeClose(code, reason));

        var close = await NextAsync(socket, "close");
        Assert.Equal(Opcode.Close, close.Opcode);
        Assert.Equal(code, close.CloseCode);
        await socket.Connection.ReadToEndAsync();
    }

    [Fact]
    public async Task Close_without_a_code_is_answered()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(WireFrame.Encode(Opcode.Close, []));

        var close = await NextAsync(socket, "close");
        Assert.Equal(Opcode.Close, close.Opcode);
        Assert.Contains(close.CloseCode, (int[])[1000, 1005]);
        await socket.Connection.ReadToEndAsync();
    }

    [Fact]
    public async Task Frames_after_a_close_are_ignored()
    {
        await using var witness = await gateway.Server.ConnectAsync();
        await witness.SubscribeAsync("s", "/default/closed");
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(
            (byte[])[.. WireFrame.EncodeClose(1000), .. WireFrame.EncodeText(Messages.Publish("p", "/default/closed", "1"))]);
        var close = await NextAsync(socket, "close");
        Assert.Equal(Opcode.Close, close.Opcode);
        await socket.Connection.ReadToEndAsync();

        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/closed", "2");
        Assert.Equal("2", await witness.NextEventAsync("s"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(17)]
    public async Task Fragmented_text_is_put_together(int bytesEach)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        // Fragments may cut a character in two; only the whole must be UTF-8.
        await socket.SendBytesAsync(Fragments("""{"type":"unsubscribe","id":"frag","x":"é😀"}""", bytesEach, between: []));

        WireError.AssertReply(await socket.NextAsync(), "unsubscribe_error", "frag", "UnknownOperationError");
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Ping_between_fragments_is_answered_before_the_message()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(
            Fragments(Messages.Unsubscribe("frag"), 20, between: WireFrame.Encode(Opcode.Ping, "mid"u8)));

        var pong = await NextAsync(socket, "pong");
        Assert.Equal((Opcode.Pong, "mid"), (pong.Opcode, pong.Text));
        await socket.NextAsync("unsubscribe_error", "frag");
    }

    [Fact]
    public async Task Empty_fragments_are_allowed()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync((byte[])
        [
            .. WireFrame.Encode(Opcode.Text, [], isFinal: false),
            .. WireFrame.Encode(Opcode.Continuation, [], isFinal: false),
            .. WireFrame.Encode(Opcode.Continuation, Encoding.UTF8.GetBytes(Messages.Unsubscribe("a")), isFinal: false),
            .. WireFrame.Encode(Opcode.Continuation, []),
        ]);

        await socket.NextAsync("unsubscribe_error", "a");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Hundred_thousand_fragments_make_one_message(int bytesEach)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var fragment = WireFrame.Encode(Opcode.Continuation, new string(' ', bytesEach).Select(c => (byte)c).ToArray(), isFinal: false);

        await socket.SendBytesAsync((byte[])
        [
            .. WireFrame.Encode(Opcode.Text, Encoding.UTF8.GetBytes(Messages.Unsubscribe("a")), isFinal: false),
            .. Enumerable.Repeat(fragment, 100_000).SelectMany(bytes => bytes),
            .. WireFrame.Encode(Opcode.Continuation, []),
        ]);

        await socket.NextAsync("unsubscribe_error", "a");
    }

    [Fact]
    public async Task Close_in_the_middle_of_a_fragmented_message_is_answered()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(
            (byte[])[.. WireFrame.Encode(Opcode.Text, "{\"ty"u8, isFinal: false), .. WireFrame.EncodeClose(1000)]);

        var close = await NextAsync(socket, "close");
        Assert.Equal((Opcode.Close, 1000), (close.Opcode, close.CloseCode));
    }

    [Fact]
    public async Task Message_may_be_cut_at_every_byte()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var other = await gateway.Server.ConnectAsync();

        for (var cut = 1; ; cut++)
        {
            var frame = WireFrame.EncodeText(Messages.Subscribe($"cut{cut}", "/default/cut"));
            if (cut == frame.Length)
            {
                break;
            }

            await socket.SendBytesAsync(frame.AsMemory(0, cut));
            await other.AssertNothingElseAsync(); // gives the server time to see the first part alone
            await socket.SendBytesAsync(frame.AsMemory(cut));
            await socket.NextAsync("subscribe_success", $"cut{cut}");
            await socket.UnsubscribeAsync($"cut{cut}");
        }
    }

    [Fact]
    public async Task Upgrade_may_be_cut_at_every_byte()
    {
        await using var other = await gateway.Server.ConnectAsync();
        var request = Handshake.WithKey().ToBytes(gateway.Server.EndPoint.ToString());

        for (var cut = 1; cut < request.Length; cut += 7)
        {
            await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
            await connection.SendAsync(request.AsMemory(0, cut));
            await other.AssertNothingElseAsync();
            await connection.SendAsync(request.AsMemory(cut));
            Assert.Equal(101, (await connection.ReadHeadAsync()).Status);
        }
    }

    [Theory]
    [InlineData(125)]
    [InlineData(126)]
    [InlineData(127)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(1_000_000)]
    public async Task Message_of_each_length_encoding_is_read(int length)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Unsubscribe("a").PadRight(length));

        await socket.NextAsync("unsubscribe_error", "a");
    }

    [Fact]
    public async Task Many_messages_in_one_segment_are_all_read()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(
            Enumerable.Range(0, 1000).SelectMany(n => WireFrame.EncodeText(Messages.Unsubscribe($"m{n}"))).ToArray());

        for (var n = 0; n < 1000; n++)
        {
            await socket.NextAsync("unsubscribe_error", $"m{n}");
        }
    }

    [Fact]
    public async Task Offered_compression_is_declined_or_works()
    {
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithKey() with { Headers = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")] });

        // Uncompressed frames stay legal either way.
        await socket.SendAsync(Messages.Init);
        Assert.NotNull(await NextAsync(socket, "connection_ack"));
    }

    private static byte[] Fragments(string text, int bytesEach, byte[] between)
    {
        var parts = Encoding.UTF8.GetBytes(text).Chunk(bytesEach).ToList();
        return parts.SelectMany((part, index) => (byte[])
        [
            .. index > 0 ? between : [],
            .. WireFrame.Encode(
                index == 0 ? Opcode.Text : Opcode.Continuation, part, isFinal: index == parts.Count - 1),
        ]).ToArray();
    }

    private static async Task<WireFrame> NextAsync(RawWebSocket socket, string missing) =>
        await socket.NextFrameAsync(missing) ?? throw new EndOfStreamException($"The connection ended; missing: {missing}.");
}
