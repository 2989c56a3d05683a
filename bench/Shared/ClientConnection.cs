using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fanfare.Bench;

/// <summary>A WebSocket of which no more is done than measuring needs: messages come and go as bytes. Used by one task at a time.</summary>
internal sealed class ClientConnection : IDisposable
{
    private const int TextOpcode = 1;
    private const int CloseOpcode = 8;

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private byte[] _received = new byte[64 * 1024];
    private int _start;
    private int _end;

    private ClientConnection()
    {
    }

    /// <summary>The authorization object of all messages.</summary>
    public static string Authorization { get; } = $$"""{"host":"localhost","x-api-key":"{{ServerProcess.ApiKey}}"}""";

    /// <summary>Opens a WebSocket.</summary>
    public static async Task<ClientConnection> OpenAsync(int port)
    {
        var connection = new ClientConnection();
        await connection._socket.ConnectAsync(IPAddress.Loopback, port);
        var credentials = Convert.ToBase64String(Encoding.UTF8.GetBytes(Authorization)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        await connection.SendAsync(Encoding.ASCII.GetBytes(
            $"GET /event/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + $"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: aws-appsync-event-ws, header-{credentials}\r\n\r\n"));
        int length;
        while ((length = connection._received.AsSpan(0, connection._end).IndexOf("\r\n\r\n"u8)) < 0)
        {
            await connection.ReceiveAsync();
        }

        if (!connection._received.AsSpan().StartsWith("HTTP/1.1 101"u8))
        {
            throw new MeasurementException($"A WebSocket was refused: {Encoding.UTF8.GetString(connection._received, 0, connection._end)}");
        }

        connection._start = length + 4;
        return connection;
    }

    /// <summary>Returns a text message as it is sent. Its mask is zero, so that it can be changed in place.</summary>
    public static byte[] EncodeMessage(string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, ushort.MaxValue);
        ReadOnlySpan<byte> head = length < 126 ? [0x81, (byte)(0x80 | length)] : [0x81, 0x80 | 126, (byte)(length >> 8), (byte)length];
        return [.. head, 0, 0, 0, 0, .. Encoding.UTF8.GetBytes(text)];
    }

    /// <summary>Sends messages.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes)..];
        }
    }

    /// <summary>Subscribes to a pattern; returns when that has been confirmed.</summary>
    public async Task SubscribeAsync(string pattern, string id)
    {
        await SendAsync(EncodeMessage($$"""{"type":"subscribe","id":"{{id}}","channel":"{{pattern}}","authorization":{{Authorization}}}"""));
        if (!(await ReadAsync()).StartsWith("""{"type":"subscribe_success""", StringComparison.Ordinal))
        {
            throw new MeasurementException($"A subscribe to {pattern} was refused.");
        }
    }

    /// <summary>Ends a subscription; returns when that has been confirmed.</summary>
    public async Task UnsubscribeAsync(string id)
    {
        await SendAsync(EncodeMessage($$"""{"type":"unsubscribe","id":"{{id}}"}"""));
        if (!(await ReadAsync()).StartsWith("""{"type":"unsubscribe_success""", StringComparison.Ordinal))
        {
            throw new MeasurementException("An unsubscribe was refused.");
        }
    }

    /// <summary>Waits for bytes; then <see cref="TryRead"/> may have messages.</summary>
    public async ValueTask ReceiveAsync()
    {
        if (_start > 0)
        {
            _received.AsSpan(_start, _end - _start).CopyTo(_received);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _received.Length)
        {
            Array.Resize(ref _received, _received.Length * 2);
        }

        var count = await _socket.ReceiveAsync(_received.AsMemory(_end));
        if (count == 0)
        {
            throw new MeasurementException("A WebSocket was closed by its gateway.");
        }

        _end += count;
    }

    /// <summary>Takes the next message that has been received.</summary>
    /// <param name="text">The message, until the next call of any member.</param>
    public bool TryRead(out ReadOnlySpan<byte> text)
    {
        while (true)
        {
            var bytes = _received.AsSpan(_start, _end - _start);
            text = default;
            if (bytes.Length < 2)
            {
                return false;
            }

            var head = 2;
            long length = bytes[1];
            if (length == 126)
            {
                if (bytes.Length < (head = 4))
                {
                    return false;
                }

                length = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
            }
            else if (length == 127)
            {
                throw new MeasurementException("A message is larger than any that is expected here.");
            }

            if (bytes.Length < head + length)
            {
                return false;
            }

            _start += head + (int)length;
            switch (bytes[0] & 0x0F)
            {
                case TextOpcode:
                    text = bytes.Slice(head, (int)length);
                    return true;

                case CloseOpcode:
                    throw new MeasurementException("A WebSocket was closed by its gateway.");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private async Task<string> ReadAsync()
    {
        while (true)
        {
            while (TryRead(out var text))
            {
                if (!text.StartsWith("""{"type":"ka"""u8))
                {
                    return Encoding.UTF8.GetString(text);
                }
            }

            await ReceiveAsync();
        }
    }
}
