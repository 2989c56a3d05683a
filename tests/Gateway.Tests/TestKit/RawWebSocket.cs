using System.Buffers.Binary;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A WebSocket client over a bare socket, free to break every rule of RFC 6455 and of the protocol above it.</summary>
/// <remarks>One caller at a time reads, one at a time writes. Every wait has a deadline.</remarks>
public sealed class RawWebSocket : IAsyncDisposable
{
    private int _nextId;

    private RawWebSocket(RawConnection connection, ResponseHead response)
    {
        Connection = connection;
        Response = response;
    }

    /// <summary>The TCP connection below.</summary>
    public RawConnection Connection { get; }

    /// <summary>The answer to the upgrade request.</summary>
    public ResponseHead Response { get; }

    /// <summary>Whether <see cref="NextAsync(string)"/> passes over <c>ka</c>; on by default, since they come by the clock.</summary>
    public bool IgnoresKeepAlive { get; set; } = true;

    /// <summary>Sends an upgrade request and reads the response, whatever its status.</summary>
    public static async Task<RawWebSocket> OpenAsync(IPEndPoint endPoint, Handshake handshake, int receiveBufferBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentNullException.ThrowIfNull(handshake);
        var connection = await RawConnection.OpenAsync(endPoint, receiveBufferBytes);
        try
        {
            return await UpgradeAsync(connection, handshake.ToBytes(endPoint.ToString()));
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Sends an upgrade request, and whatever is behind it, on a connection that is open, and reads the response.</summary>
    public static async Task<RawWebSocket> UpgradeAsync(RawConnection connection, ReadOnlyMemory<byte> request)
    {
        ArgumentNullException.ThrowIfNull(connection);
        await connection.SendAsync(request);
        return new RawWebSocket(connection, await connection.ReadHeadAsync("an answer to the upgrade"));
    }

    /// <summary>Upgrades, and asserts that the server agreed.</summary>
    public static async Task<RawWebSocket> ConnectAsync(
        IPEndPoint endPoint, Handshake? handshake = null, int receiveBufferBytes = 0)
    {
        var socket = await OpenAsync(endPoint, handshake ?? Handshake.WithKey(), receiveBufferBytes);
        Assert.True(socket.Response.Status == 101, $"expected 101, got {socket.Response.Text}");
        return socket;
    }

    /// <summary>Sends a text message in one masked frame.</summary>
    public Task SendAsync(string text) => Connection.SendAsync(WireFrame.EncodeText(text));

    /// <summary>Sends bytes as they are.</summary>
    public Task SendBytesAsync(ReadOnlyMemory<byte> bytes) => Connection.SendAsync(bytes);

    /// <summary>Reads the next frame of any kind; <see langword="null"/> at the end of the connection.</summary>
    public Task<WireFrame?> NextFrameAsync(string missing, TimeSpan? limit = null) =>
        Deadline.WaitAsync(ReadFrameAsync, missing, limit);

    /// <summary>Reads the next text message, answering pings on the way, and fails on a close.</summary>
    public async Task<string> NextTextAsync(string missing)
    {
        while (true)
        {
            var frame = await NextFrameAsync(missing)
                ?? throw new EndOfStreamException($"The connection ended; missing: {missing}.");
            switch (frame.Opcode)
            {
                case Opcode.Ping:
                    await SendBytesAsync(WireFrame.Encode(Opcode.Pong, frame.Payload));
                    continue;
                case Opcode.Pong:
                    continue;
                case Opcode.Text when frame is { IsFinal: true, Reserved: 0 }:
                    return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(frame.Payload);
                default:
                    throw new InvalidOperationException($"Unexpected {frame}; missing: {missing}.");
            }
        }
    }

    /// <summary>Reads the next message as a JSON object.</summary>
    public async Task<JsonObject> NextAsync(string missing = "a message")
    {
        while (true)
        {
            var message = JsonNode.Parse(await NextTextAsync(missing))!.AsObject();
            if (!IgnoresKeepAlive || (string?)message["type"] != "ka")
            {
                return message;
            }
        }
    }

    /// <summary>Reads the next message and asserts its type.</summary>
    public async Task<JsonObject> NextAsync(string type, string? id)
    {
        var missing = id is null ? type : $"{type} for {id}";
        var message = await NextAsync(missing);
        Assert.True(
            type == (string?)message["type"] && id == (string?)message["id"],
            $"expected {missing}, got {Shorten(message.ToJsonString())}");
        return message;
    }

    /// <summary>Sends <c>connection_init</c> and asserts <c>connection_ack</c> and the first <c>ka</c>.</summary>
    public async Task InitAsync()
    {
        await SendAsync(Messages.Init);
        await NextAsync("connection_ack", id: null);
        Assert.Equal("""{"type":"ka"}""", await NextTextAsync("the first ka"));
    }

    /// <summary>Subscribes and asserts success.</summary>
    public async Task SubscribeAsync(string id, string channel)
    {
        await SendAsync(Messages.Subscribe(id, channel));
        await NextAsync("subscribe_success", id);
    }

    /// <summary>Unsubscribes and asserts success.</summary>
    public async Task UnsubscribeAsync(string id)
    {
        await SendAsync(Messages.Unsubscribe(id));
        await NextAsync("unsubscribe_success", id);
    }

    /// <summary>Publishes and asserts that the next message is success; not for a connection that receives its own events.</summary>
    public async Task<JsonObject> PublishAsync(string channel, params string[] events)
    {
        var id = $"publish-{Interlocked.Increment(ref _nextId)}";
        await SendAsync(Messages.Publish(id, channel, events));
        return await NextAsync("publish_success", id);
    }

    /// <summary>Asserts that the next message is <c>data</c> for a subscription, and returns its event.</summary>
    public async Task<string> NextEventAsync(string id)
    {
        var message = await NextAsync("data", id);
        Assert.Equal(["type", "id", "event"], message.Select(member => member.Key));
        return (string)message["event"]!;
    }

    /// <summary>Asserts that nothing was sent before the answer to a request sent now, and that the connection still works.</summary>
    public async Task AssertNothingElseAsync()
    {
        var id = $"marker-{Interlocked.Increment(ref _nextId)}";
        await SendAsync(Messages.Unsubscribe(id));
        await NextAsync("unsubscribe_error", id);
    }

    /// <summary>Reads up to a close frame, asserts its code, answers it and waits for the end of the TCP connection.</summary>
    public async Task<WireFrame> AssertClosedAsync(int code, TimeSpan? limit = null)
    {
        while (true)
        {
            var frame = await NextFrameAsync($"close {code}", limit)
                ?? throw new EndOfStreamException($"The connection ended without close {code}.");
            if (frame.Opcode != Opcode.Close)
            {
                var isExpected = frame.Opcode is Opcode.Ping or Opcode.Pong || frame.Text == """{"type":"ka"}""";
                Assert.True(isExpected, $"expected close {code}, got {frame}");
                continue;
            }

            Assert.True(frame.CloseCode == code, $"expected close {code}, got {frame}");
            try
            {
                await SendBytesAsync(WireFrame.EncodeClose(code));
                if (code is not (1000 or 1001))
                {
                    // A server that lost count of the frames cannot see the answer; it may wait for the client's end instead.
                    Connection.ShutdownSend();
                }
            }
            catch (System.Net.Sockets.SocketException)
            {
                // After a violation the server need not wait for an answer (RFC 6455 §7.1.7).
            }

            await Connection.ReadToEndAsync(limit);
            return frame;
        }
    }

    /// <summary>Drops the connection without a word.</summary>
    public ValueTask DisposeAsync() => Connection.DisposeAsync();

    /// <summary>Reads one frame; the server's frames must not be masked (RFC 6455 §5.1).</summary>
    public async ValueTask<WireFrame?> ReadFrameAsync(CancellationToken token)
    {
        if (!await Connection.FillAsync(2, token))
        {
            return null;
        }

        var (first, second) = (Connection.Buffered[0], Connection.Buffered[1]);
        Assert.True(second < 0x80, "A server's frame is masked.");
        var extended = second switch { 126 => 2, 127 => 8, _ => 0 };
        if (!await Connection.FillAsync(2 + extended, token))
        {
            return null;
        }

        var length = extended switch
        {
            2 => BinaryPrimitives.ReadUInt16BigEndian(Connection.Buffered[2..]),
            8 => checked((int)BinaryPrimitives.ReadInt64BigEndian(Connection.Buffered[2..])),
            _ => second,
        };
        if (!await Connection.FillAsync(2 + extended + length, token))
        {
            return null;
        }

        Connection.Take(2 + extended);
        return new WireFrame((first & 0x80) != 0, (first >> 4) & 7, (Opcode)(first & 0x0f), Connection.Take(length));
    }

    private static string Shorten(string text) => text.Length <= 400 ? text : text[..400] + "...";
}
