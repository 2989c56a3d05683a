using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Fanfare.Backplanes;

/// <summary>A publish as it is sent again and again, each time with another number.</summary>
/// <remarks>Its event has 200 bytes and begins with a number of 16 digits, which says whose it is and how many came before it.</remarks>
internal sealed class PublishMessage
{
    private const int EventBytes = 200;
    private const long StreamFactor = 10_000_000_000;
    private const long NumberBase = 1_000_000_000_000_000;

    private readonly byte[] _bytes;
    private readonly int _idPosition;
    private readonly int _eventPosition;
    private readonly int _stream;

    /// <summary>Makes a publish.</summary>
    /// <param name="channel">The channel.</param>
    /// <param name="stream">Which publisher's events to which channel these are: those are in order. At most 99,999.</param>
    public PublishMessage(string channel, int stream)
    {
        var number = NumberBase.ToString(CultureInfo.InvariantCulture);
        // As the event's text is: quotes are escaped in it, and count as one byte each.
        var padding = new string('x', EventBytes - $$"""{"n":{{number}},"t":""}""".Length);
        _bytes = ClientConnection.EncodeMessage(
            $$"""{"type":"publish","id":"{{number}}","channel":"{{channel}}","events":["{\"n\":{{number}},\"t\":\"{{padding}}\"}"],"""
            + $"\"authorization\":{ClientConnection.Authorization}}}");
        _stream = stream;
        _idPosition = _bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(number));
        _eventPosition = _bytes.AsSpan().LastIndexOf(Encoding.UTF8.GetBytes(number));
    }

    /// <summary>How many were written.</summary>
    public long Count { get; private set; }

    /// <summary>How many bytes it has.</summary>
    public int Length => _bytes.Length;

    /// <summary>Writes the next publish of this stream.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="id">Its id, below 10^15.</param>
    public int WriteNext(Span<byte> target, long id)
    {
        (NumberBase + id).TryFormat(_bytes.AsSpan(_idPosition), out _, provider: CultureInfo.InvariantCulture);
        (NumberBase + (_stream * StreamFactor) + ++Count).TryFormat(_bytes.AsSpan(_eventPosition), out _, provider: CultureInfo.InvariantCulture);
        _bytes.CopyTo(target);
        return _bytes.Length;
    }

    /// <summary>Reads the id in an answer to a publish; fails where that is a refusal.</summary>
    public static bool TryReadAccepted(ReadOnlySpan<byte> text, out long id)
    {
        var head = "{\"type\":\"publish_success\",\"id\":\""u8;
        if (text.StartsWith(head) && Utf8Parser.TryParse(text[head.Length..], out id, out _))
        {
            id -= NumberBase;
            return true;
        }

        id = 0;
        return text.StartsWith("""{"type":"ka"""u8)
            ? false
            : throw new MeasurementException($"A publish was refused: {Encoding.UTF8.GetString(text)}");
    }

    /// <summary>Reads the stream and the number in it of an event that was delivered.</summary>
    public static bool TryReadEvent(ReadOnlySpan<byte> text, out int stream, out long number)
    {
        var head = "\"{\\\"n\\\":"u8;
        var position = text.IndexOf(head);
        if (position < 0 || !Utf8Parser.TryParse(text[(position + head.Length)..], out long value, out _))
        {
            (stream, number) = (0, 0);
            return false;
        }

        (var rest, number) = Math.DivRem(value - NumberBase, StreamFactor);
        stream = (int)rest;
        return true;
    }
}

/// <summary>A connection that publishes as fast as it is answered, a number of publishes at a time.</summary>
internal sealed class Publisher(ClientConnection connection, PublishMessage[] messages, int window) : IDisposable
{
    private readonly byte[] _buffer = new byte[window * messages.Max(message => message.Length)];
    private long _sent;

    /// <summary>How many publishes were accepted.</summary>
    public long AcceptedCount { get; private set; }

    /// <summary>Publishes until the time has come, in turn to each channel; returns when all are answered.</summary>
    /// <param name="end">When, as a time stamp.</param>
    /// <param name="countMax">How many at most.</param>
    public async Task RunAsync(long end, long countMax = long.MaxValue)
    {
        var missing = 0;
        var due = (int)Math.Min(window, countMax);
        var left = countMax - due;
        while (true)
        {
            var length = 0;
            for (var i = 0; i < due; i++)
            {
                length += messages[_sent % messages.Length].WriteNext(_buffer.AsSpan(length), _sent);
                _sent++;
            }

            await connection.SendAsync(_buffer.AsMemory(0, length));
            missing += due;
            if (missing == 0)
            {
                return;
            }

            await connection.ReceiveAsync();
            var accepted = 0;
            while (connection.TryRead(out var text))
            {
                accepted += PublishMessage.TryReadAccepted(text, out _) ? 1 : 0;
            }

            AcceptedCount += accepted;
            missing -= accepted;
            due = Stopwatch.GetTimestamp() < end ? (int)Math.Min(accepted, left) : 0;
            left -= due;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => connection.Dispose();
}

/// <summary>A connection that checks that each event of each stream comes once and in order.</summary>
internal sealed class Subscriber : IDisposable
{
    private static readonly TimeSpan s_drainTimeout = TimeSpan.FromSeconds(30);

    private readonly ClientConnection _connection;
    private readonly long[] _last;
    private readonly Action<int, long> _onEvent;
    private readonly Task _running;
    private long _count;

    private Subscriber(ClientConnection connection, int streamCount, Action<int, long> onEvent)
    {
        (_connection, _last, _onEvent) = (connection, new long[streamCount], onEvent);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Subscribes; returns when that is confirmed.</summary>
    /// <param name="port">The gateway's port.</param>
    /// <param name="pattern">What to.</param>
    /// <param name="streamCount">How many streams there are.</param>
    /// <param name="onEvent">Called with each event's stream and number.</param>
    public static async Task<Subscriber> StartAsync(int port, string pattern, int streamCount, Action<int, long>? onEvent = null)
    {
        var connection = await ClientConnection.OpenAsync(port);
        await connection.SubscribeAsync(pattern, "s");
        return new Subscriber(connection, streamCount, onEvent ?? ((_, _) => { }));
    }

    /// <summary>Returns when so many events have come; fails where they do not, or one was wrong.</summary>
    public async Task AwaitAsync(long count)
    {
        var began = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _count) < count)
        {
            if (_running.IsCompleted)
            {
                await _running;
            }

            if (Stopwatch.GetElapsedTime(began) > s_drainTimeout)
            {
                throw new MeasurementException($"{count - Volatile.Read(ref _count)} of {count} accepted events were not delivered.");
            }

            await Task.Delay(1);
        }

        if (Volatile.Read(ref _count) > count)
        {
            throw new MeasurementException("More events were delivered than accepted.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    private async Task RunAsync()
    {
        while (true)
        {
            await _connection.ReceiveAsync();
            while (_connection.TryRead(out var text))
            {
                if (!PublishMessage.TryReadEvent(text, out var stream, out var number))
                {
                    continue;
                }

                if (number != _last[stream] + 1)
                {
                    throw new MeasurementException($"Event {number} of stream {stream} came behind {_last[stream]}.");
                }

                _last[stream] = number;
                _onEvent(stream, number);
                Volatile.Write(ref _count, _count + 1);
            }
        }
    }
}
