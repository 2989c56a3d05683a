using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Hostile;

/// <summary>Sends what <see cref="Mutator"/> makes, a batch at a time, and checks what can be known of the answers.</summary>
internal sealed class Fuzzer(GatewayProcess gateway, ChannelWriter<bool> steps, int seed)
{
    private const int MessagesPerBatch = 500;
    private const int BodiesPerBatch = 50;
    private const int FramesPerConnectionMax = 40;
    private const int ConnectionsAtOnce = 4;

    // One in so many connections ends with a reset, in the middle of whatever it was.
    private const int AbortEvery = 5;

    private static readonly byte[] s_data = "{\"type\":\"data\""u8.ToArray();
    private static readonly byte[] s_keepAlive = "{\"type\":\"ka\""u8.ToArray();
    private static readonly int[] s_statuses = [200, 400, 401, 403];

    /// <summary>Sends text messages over one connection, which survives them all, and asserts one answer to each.</summary>
    public async Task<int> SendMessagesAsync(int part, int count)
    {
        var mutator = CreateMutator(part);
        await using var socket = await gateway.ConnectAsync();
        var sent = 0;
        while (sent < count)
        {
            var batch = new MemoryStream();
            for (var index = 0; index < MessagesPerBatch; index++)
            {
                batch.Write(WireFrame.EncodeText(mutator.NextMessage()));
            }

            sent += MessagesPerBatch;
            var sending = socket.SendBytesAsync(batch.ToArray());
            await Deadline.WaitAsync(token => ReadAnswersAsync(socket, token), $"{MessagesPerBatch} answers up to message {sent}");
            await sending;
            steps.TryWrite(true);
        }

        // Nothing may come on top of the answers; deliveries may.
        await socket.SendAsync(Messages.Unsubscribe("fuzz-marker"));
        string text;
        while ((text = await socket.NextTextAsync("the marker")).StartsWith("{\"type\":\"data\"", StringComparison.Ordinal)
            || text.StartsWith("{\"type\":\"ka\"", StringComparison.Ordinal))
        {
        }

        Assert.Contains("fuzz-marker", text, StringComparison.Ordinal);
        return sent;
    }

    /// <summary>Sends bodies to <c>POST /event</c>, pipelined, and asserts that each answer is one of a client's mistakes.</summary>
    public async Task<int> SendBodiesAsync(int part, int count)
    {
        var mutator = CreateMutator(part);
        await using var connection = await RawConnection.OpenAsync(gateway.EndPoint);
        var sent = 0;
        while (sent < count)
        {
            var batch = new MemoryStream();
            for (var index = 0; index < BodiesPerBatch; index++)
            {
                var body = Encoding.UTF8.GetBytes(mutator.NextBody());
                var key = mutator.Next(20) == 0 ? Credentials.UnknownKey : Credentials.ApiKey;
                batch.Write(Encoding.Latin1.GetBytes(
                    $"POST /event HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: {body.Length}\r\n\r\n"));
                batch.Write(body);
            }

            sent += BodiesPerBatch;
            var sending = connection.SendAsync(batch.ToArray());
            for (var index = 0; index < BodiesPerBatch; index++)
            {
                var head = await connection.ReadHeadAsync();
                Assert.Contains(head.Status, s_statuses);
                await connection.SkipBodyAsync(head);
            }

            await sending;
            steps.TryWrite(true);
        }

        return sent;
    }

    /// <summary>Sends frames over connections that do not live long.</summary>
    public Task<int> SendFramesAsync(int part, int count) => SendThrowAwayAsync(count, CreateMutator(part), mutator =>
    {
        var frames = 1 + mutator.Next(FramesPerConnectionMax);
        var bytes = new MemoryStream();
        bytes.Write(Handshake.WithKey().ToBytes(gateway.EndPoint.ToString()));
        for (var index = 0; index < frames; index++)
        {
            bytes.Write(mutator.NextFrame());
        }

        return (bytes.ToArray(), frames);
    });

    /// <summary>Sends upgrade requests, most of them with a frame behind.</summary>
    public Task<int> SendUpgradesAsync(int part, int count) => SendThrowAwayAsync(count, CreateMutator(part), mutator =>
    {
        var upgrade = mutator.NextUpgrade(gateway.EndPoint.ToString());
        return (mutator.Next(3) == 0 ? upgrade : [.. upgrade, .. WireFrame.EncodeText(mutator.NextMessage())], 1);
    });

    /// <summary>Sends HTTP requests whose heads are bent too, and whose bodies may be shorter or longer than told.</summary>
    public Task<int> SendRequestsAsync(int part, int count) => SendThrowAwayAsync(
        count, CreateMutator(part), mutator => (mutator.NextRequest(), 1));

    private Mutator CreateMutator(int part) => new(unchecked((seed * 31) + part));

    private static async ValueTask<bool> ReadAnswersAsync(RawWebSocket socket, CancellationToken token)
    {
        for (var answers = 0; answers < MessagesPerBatch;)
        {
            var frame = await socket.ReadFrameAsync(token)
                ?? throw new EndOfStreamException("The gateway ended a connection that broke no rule of RFC 6455.");
            Assert.True(frame.Opcode == Opcode.Text, $"unexpected {frame}");
            if (!frame.Payload.AsSpan().StartsWith(s_data) && !frame.Payload.AsSpan().StartsWith(s_keepAlive))
            {
                answers++;
            }
        }

        return true;
    }

    /// <summary>Opens a connection for each piece of input, several at a time, and waits for each to end.</summary>
    private async Task<int> SendThrowAwayAsync(int count, Mutator mutator, Func<Mutator, (byte[] Bytes, int Count)> next)
    {
        var sent = 0;
        while (sent < count)
        {
            var pieces = Enumerable.Range(0, ConnectionsAtOnce).Select(_ => next(mutator)).ToList();
            await Task.WhenAll(pieces.Select(piece => ThrowAsync(piece.Bytes)));
            sent += pieces.Sum(piece => piece.Count);
            steps.TryWrite(true);
        }

        return sent;
    }

    private async Task ThrowAsync(byte[] bytes)
    {
        await using var connection = await RawConnection.OpenAsync(gateway.EndPoint);
        try
        {
            await connection.SendAsync(bytes);
            if (bytes.Length % AbortEvery == 0)
            {
                connection.Abort();
                return;
            }

            connection.ShutdownSend();
        }
        catch (SocketException)
        {
            // The gateway may have hung up by now, as it should on most of this.
        }

        await connection.ReadToEndAsync();
    }
}
