using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A TCP connection with a read buffer and deadlines: what the raw HTTP and WebSocket clients are made of.</summary>
public sealed class RawConnection : IAsyncDisposable
{
    private readonly Socket _socket;
    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    private RawConnection(Socket socket) => _socket = socket;

    /// <summary>Bytes read and not yet taken.</summary>
    public ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Dials.</summary>
    /// <param name="endPoint">Where to.</param>
    /// <param name="receiveBufferBytes">The kernel's receive buffer, to make a slow reader slow at once; 0 leaves the default.</param>
    public static async Task<RawConnection> OpenAsync(IPEndPoint endPoint, int receiveBufferBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            if (receiveBufferBytes > 0)
            {
                socket.ReceiveBufferSize = receiveBufferBytes;
            }

            await Deadline.WaitAsync(token => socket.ConnectAsync(endPoint, token), $"a TCP connection to {endPoint}");
            return new RawConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends all the bytes.</summary>
    public Task SendAsync(ReadOnlyMemory<byte> bytes) => Deadline.WaitAsync(
        async token =>
        {
            while (bytes.Length > 0)
            {
                bytes = bytes[await _socket.SendAsync(bytes, token)..];
            }
        },
        "room to send");

    /// <summary>Reads until <paramref name="count"/> bytes are buffered; <see langword="false"/> where the peer ended first.</summary>
    public async ValueTask<bool> FillAsync(int count, CancellationToken token)
    {
        while (_end - _start < count)
        {
            if (_buffer.Length - _start < count)
            {
                var larger = _buffer.Length >= count ? _buffer : new byte[Math.Max(count, _buffer.Length * 2)];
                Buffer.BlockCopy(_buffer, _start, larger, 0, _end - _start);
                (_buffer, _end, _start) = (larger, _end - _start, 0);
            }

            int read;
            try
            {
                read = await _socket.ReceiveAsync(_buffer.AsMemory(_end), token);
            }
            catch (SocketException)
            {
                return false; // a reset ends the stream just as well
            }

            if (read == 0)
            {
                return false;
            }

            _end += read;
        }

        return true;
    }

    /// <summary>Takes buffered bytes.</summary>
    public byte[] Take(int count)
    {
        var bytes = Buffered[..count].ToArray();
        _start += count;
        if (_start == _end)
        {
            (_start, _end) = (0, 0);
        }

        return bytes;
    }

    /// <summary>Reads an HTTP response's head, up to and with the empty line.</summary>
    public async Task<ResponseHead> ReadHeadAsync(string missing = "the head of a response")
    {
        var length = await Deadline.WaitAsync(
            async token =>
            {
                int end;
                while ((end = Buffered.IndexOf("\r\n\r\n"u8)) < 0)
                {
                    if (!await FillAsync(Buffered.Length + 1, token))
                    {
                        var seen = Encoding.Latin1.GetString(Buffered);
                        throw new EndOfStreamException($"The peer ended the connection before {missing}; it sent \"{seen}\".");
                    }
                }

                return end + 4;
            },
            missing);
        return ResponseHead.Parse(Encoding.Latin1.GetString(Take(length)));
    }

    /// <summary>Reads past the body that belongs to a response's head.</summary>
    public async Task SkipBodyAsync(ResponseHead head)
    {
        ArgumentNullException.ThrowIfNull(head);
        int length;
        if (head.Header("Content-Length") is { } told)
        {
            length = int.Parse(told, CultureInfo.InvariantCulture);
        }
        else
        {
            var lastChunk = "0\r\n\r\n"u8.ToArray();
            while ((length = Buffered.IndexOf(lastChunk)) < 0)
            {
                var more = Buffered.Length + 1;
                Assert.True(await Deadline.WaitAsync(token => FillAsync(more, token), "the last chunk of a response"));
            }

            length += lastChunk.Length;
        }

        Assert.True(await Deadline.WaitAsync(token => FillAsync(length, token), "the body of a response"));
        Take(length);
    }

    /// <summary>Waits for the peer to end the connection, discarding what it sends until then.</summary>
    public Task ReadToEndAsync(TimeSpan? limit = null) => Deadline.WaitAsync(
        async token =>
        {
            do
            {
                Take(Buffered.Length);
            }
            while (await FillAsync(1, token));
        },
        "the end of the TCP connection",
        limit);

    /// <summary>Says that nothing more will be sent, and keeps reading.</summary>
    public void ShutdownSend() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Drops the connection with a reset, as a crashed peer's kernel might.</summary>
    public void Abort()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }
}
