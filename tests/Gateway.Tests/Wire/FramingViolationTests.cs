using System.Buffers.Binary;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>What RFC 6455 forbids, with the close code that answers it. Nobody else may notice.</summary>
public sealed class FramingViolationTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const int ProtocolError = 1002;
    private const int UnsupportedData = 1003;
    private const int InvalidPayload = 1007;
    private const int TooBig = 1009;
    private const int MessageBytesMax = 3 * 1024 * 1024;

    private static readonly byte[] s_init = Encoding.UTF8.GetBytes(Messages.Init);

    /// <summary>What is wrong, the bytes, the close code.</summary>
    public static TheoryData<string, byte[], int> Violations
    {
        get
        {
            var rows = new TheoryData<string, byte[], int>
            {
                { "unmasked text", WireFrame.Encode(Opcode.Text, s_init, isMasked: false), ProtocolError },
                { "unmasked ping", WireFrame.Encode(Opcode.Ping, [], isMasked: false), ProtocolError },
                { "unmasked close", WireFrame.Encode(Opcode.Close, [3, 232], isMasked: false), ProtocolError },
                { "ping of 126 bytes", WireFrame.Encode(Opcode.Ping, new byte[126]), ProtocolError },
                { "pong of 126 bytes", WireFrame.Encode(Opcode.Pong, new byte[126]), ProtocolError },
                { "close of 126 bytes", WireFrame.Encode(Opcode.Close, [3, 232, .. new byte[124]]), ProtocolError },
                { "ping in fragments", WireFrame.Encode(Opcode.Ping, [], isFinal: false), ProtocolError },
                { "close in fragments", WireFrame.Encode(Opcode.Close, [3, 232], isFinal: false), ProtocolError },
                { "continuation without a start", WireFrame.Encode(Opcode.Continuation, s_init), ProtocolError },
                { "open continuation without a start", WireFrame.Encode(Opcode.Continuation, s_init, isFinal: false), ProtocolError },
                {
                    "text in the middle of fragments",
                    [.. WireFrame.Encode(Opcode.Text, "{"u8, isFinal: false), .. WireFrame.Encode(Opcode.Text, s_init)],
                    ProtocolError
                },
                { "close with one byte", WireFrame.Encode(Opcode.Close, [3]), ProtocolError },
                { "close with a reason that is not UTF-8", WireFrame.Encode(Opcode.Close, [3, 232, 0xff, 0xfe]), InvalidPayload },
                { "length with its highest bit set", [0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], ProtocolError },
                { "binary", WireFrame.Encode(Opcode.Binary, s_init), UnsupportedData },
                { "empty binary", WireFrame.Encode(Opcode.Binary, []), UnsupportedData },
                { "text above 3 MiB", WireFrame.EncodeText(new string(' ', MessageBytesMax + 1)), TooBig },
                { "told length of 2^40", [0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4], TooBig },
                { "told length of 2^63-1", [0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4], TooBig },
            };
            for (var reserved = 1; reserved < 8; reserved++)
            {
                rows.Add($"reserved bits {reserved}", WireFrame.Encode(Opcode.Text, s_init, reserved: reserved), ProtocolError);
                rows.Add($"reserved bits {reserved} on ping", WireFrame.Encode(Opcode.Ping, [], reserved: reserved), ProtocolError);
            }

            foreach (var opcode in (int[])[3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
            {
                rows.Add($"opcode {opcode}", WireFrame.Encode((Opcode)opcode, s_init), ProtocolError);
            }

            foreach (var code in (int[])[0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535])
            {
                rows.Add($"close code {code}", WireFrame.EncodeClose(code), ProtocolError);
            }

            return rows;
        }
    }

    /// <summary>Bytes that are not UTF-8, by what is wrong with them.</summary>
    public static TheoryData<string, byte[]> InvalidUtf8 => new()
    {
        { "a lone continuation byte", [0x80] },
        { "a byte that never occurs", [0xff] },
        { "a cut character", [0xc3] },
        { "a cut character of four bytes", [0xf0, 0x9f, 0x98] },
        { "a start followed by ASCII", [0xc3, 0x28] },
        { "an overlong slash", [0xc0, 0xaf] },
        { "an overlong null", [0xe0, 0x80, 0x80] },
        { "a surrogate", [0xed, 0xa0, 0x80] },
        { "a code point above the last", [0xf4, 0x90, 0x80, 0x80] },
    };

    [Theory]
    [MemberData(nameof(Violations))]
    public async Task Violation_is_answered_with_its_close_code(string what, byte[] bytes, int code)
    {
        await using var witness = await gateway.Server.ConnectAsync();
        await using var socket = await gateway.Server.ConnectAsync();
        Assert.NotNull(what);

        await SendUntilRefusedAsync(socket, bytes);

        await socket.AssertClosedAsync(code);
        await witness.AssertNothingElseAsync();
    }

    [Theory]
    [MemberData(nameof(InvalidUtf8))]
    public async Task Text_that_is_not_utf8_is_answered_with_1007(string what, byte[] bytes)
    {
        Assert.NotNull(what);
        foreach (var payload in (byte[][])
            [bytes, [.. "{\"type\":\"hello\",\"x\":\""u8, .. bytes, .. "\"}"u8], [.. "{\"type\":\"hello\"}"u8, .. bytes]])
        {
            await using var socket = await gateway.Server.ConnectAsync();
            await socket.SendBytesAsync(WireFrame.Encode(Opcode.Text, payload));
            await socket.AssertClosedAsync(InvalidPayload);
        }
    }

    [Fact]
    public async Task Fragments_that_are_not_utf8_together_are_answered_with_1007()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync((byte[])
        [
            .. WireFrame.Encode(Opcode.Text, [.. "{\"x\":\""u8, 0xf0, 0x9f], isFinal: false),
            .. WireFrame.Encode(Opcode.Continuation, "\"}"u8),
        ]);

        await socket.AssertClosedAsync(InvalidPayload);
    }

    [Theory]
    [InlineData(MessageBytesMax - 1)]
    [InlineData(MessageBytesMax)]
    public async Task Message_of_three_mebibytes_is_read(int length)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Unsubscribe("a").PadRight(length));

        await socket.NextAsync("unsubscribe_error", "a");
    }

    [Fact]
    public async Task Fragments_count_together_towards_the_limit()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var part = new byte[64 * 1024];
        part.AsSpan().Fill((byte)' ');
        var bytes = new List<byte>(WireFrame.Encode(Opcode.Text, part, isFinal: false));
        for (var sent = part.Length; sent <= MessageBytesMax; sent += part.Length)
        {
            bytes.AddRange(WireFrame.Encode(Opcode.Continuation, part, isFinal: false));
        }

        await SendUntilRefusedAsync(socket, [.. bytes]);

        await socket.AssertClosedAsync(TooBig);
    }

    [Fact]
    public async Task Limit_of_a_message_is_a_setting()
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:MessageBytesMax=2000");
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync(Messages.Unsubscribe("a").PadRight(2000));
        await socket.NextAsync("unsubscribe_error", "a");
        await socket.SendAsync(Messages.Unsubscribe("a").PadRight(2001));

        await socket.AssertClosedAsync(TooBig);
    }

    [Fact]
    public async Task Violator_loses_its_subscriptions_and_others_keep_theirs()
    {
        await using var violator = await gateway.Server.ConnectAsync();
        await violator.SubscribeAsync("s", "/default/violated");
        await using var witness = await gateway.Server.ConnectAsync();
        await witness.SubscribeAsync("s", "/default/violated");

        await violator.SendBytesAsync(WireFrame.Encode((Opcode)3, []));
        await violator.AssertClosedAsync(ProtocolError);

        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/violated", "1");
        Assert.Equal("1", await witness.NextEventAsync("s"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Violator_that_stays_is_hung_up_on(bool keepsSending)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(WireFrame.Encode((Opcode)3, []));
        var close = await socket.NextFrameAsync("close 1002");

        Assert.Equal((Opcode.Close, ProtocolError), (close!.Opcode, close.CloseCode));
        var sending = keepsSending ? SendUntilHungUpAsync(socket) : Task.CompletedTask;
        await socket.Connection.ReadToEndAsync();
        await socket.DisposeAsync();
        await sending;
    }

    [Fact]
    public async Task Operations_before_a_violation_are_answered()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync(
            (byte[])[.. WireFrame.EncodeText(Messages.Unsubscribe("a")), .. WireFrame.Encode(Opcode.Binary, [1])]);

        await socket.NextAsync("unsubscribe_error", "a");
        await socket.AssertClosedAsync(UnsupportedData);
    }

    [Fact]
    public async Task Continuation_after_the_last_fragment_is_a_violation()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendBytesAsync((byte[])
        [
            .. WireFrame.Encode(Opcode.Text, Encoding.UTF8.GetBytes(Messages.Unsubscribe("a")), isFinal: false),
            .. WireFrame.Encode(Opcode.Continuation, []),
            .. WireFrame.Encode(Opcode.Continuation, []),
        ]);

        await socket.NextAsync("unsubscribe_error", "a");
        await socket.AssertClosedAsync(ProtocolError);
    }

    [Fact]
    public async Task Masking_key_may_be_anything()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var payload = Encoding.UTF8.GetBytes(Messages.Unsubscribe("a"));
        var frame = WireFrame.Encode(Opcode.Text, payload);
        foreach (var key in (uint[])[0, 1, 0xffffffff, 0x7b7b7b7b])
        {
            var head = frame.Length - payload.Length;
            BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(head - 4), key);
            for (var index = 0; index < payload.Length; index++)
            {
                frame[head + index] = (byte)(payload[index] ^ frame[head - 4 + (index & 3)]);
            }

            await socket.SendBytesAsync(frame);
            await socket.NextAsync("unsubscribe_error", "a");
        }
    }

    private static async Task SendUntilHungUpAsync(RawWebSocket socket)
    {
        try
        {
            while (true)
            {
                await socket.SendAsync(Messages.Init);
            }
        }
        catch (Exception exception) when (exception is System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            // What the test waits for.
        }
    }

    private static async Task SendUntilRefusedAsync(RawWebSocket socket, byte[] bytes)
    {
        try
        {
            await socket.SendBytesAsync(bytes);
        }
        catch (System.Net.Sockets.SocketException)
        {
            // The server may hang up before it has read everything; the close frame it sent is still to be read.
        }
    }
}
