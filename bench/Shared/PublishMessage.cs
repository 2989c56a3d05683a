using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Fanfare.Bench;

/// <summary>What a publish has: so many events of so many bytes.</summary>
/// <param name="Events">Events of each publish.</param>
/// <param name="EventBytes">Bytes of each event, unescaped. What is large is a list of small objects, as documents are.</param>
internal readonly record struct PublishShape(int Events, int EventBytes)
{
    /// <summary>One event of 200 bytes.</summary>
    public static readonly PublishShape Small = new(1, 200);
}

/// <summary>A publish as it is sent again and again, each time with other numbers.</summary>
/// <remarks>Its events begin with a number of 16 digits, which says whose they are and how many came before them.</remarks>
internal sealed class PublishMessage
{
    private const int SmallEventBytesMax = 1000;
    private const int ItemBytesMax = 200;
    private const long StreamFactor = 10_000_000_000;
    private const long NumberBase = 1_000_000_000_000_000;

    private static readonly string s_number = NumberBase.ToString(CultureInfo.InvariantCulture);

    private readonly byte[] _bytes;
    private readonly int _idPosition;
    private readonly int[] _eventPositions;
    private readonly int _stream;

    /// <summary>Makes a publish.</summary>
    /// <param name="channel">The channel.</param>
    /// <param name="stream">Which publisher's events to which channel these are: those are in order. At most 99,999.</param>
    /// <param name="shape">Its events.</param>
    public PublishMessage(string channel, int stream, PublishShape shape)
    {
        // As an event's text is: quotes are escaped in it, and count as one byte each.
        var text = $"\"{CreateEvent(shape.EventBytes).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
        var events = string.Join(',', Enumerable.Repeat(text, shape.Events));
        _bytes = ClientConnection.EncodeMessage(
            $$"""{"type":"publish","id":"{{s_number}}","channel":"{{channel}}","events":[{{events}}],"""
            + $"\"authorization\":{ClientConnection.Authorization}}}");
        _stream = stream;
        var number = Encoding.UTF8.GetBytes(s_number);
        _idPosition = _bytes.AsSpan().IndexOf(number);
        _eventPositions = new int[shape.Events];
        var position = _idPosition;
        for (var i = 0; i < shape.Events; i++)
        {
            position += number.Length;
            position += _bytes.AsSpan(position).IndexOf(number);
            _eventPositions[i] = position;
        }
    }

    /// <summary>How many events were written.</summary>
    public long EventCount { get; private set; }

    /// <summary>How many bytes it has.</summary>
    public int Length => _bytes.Length;

    /// <summary>Writes the next publish of this stream.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="id">Its id, below 10^15.</param>
    public int WriteNext(Span<byte> target, long id)
    {
        (NumberBase + id).TryFormat(_bytes.AsSpan(_idPosition), out _, provider: CultureInfo.InvariantCulture);
        foreach (var position in _eventPositions)
        {
            (NumberBase + (_stream * StreamFactor) + ++EventCount).TryFormat(_bytes.AsSpan(position), out _, provider: CultureInfo.InvariantCulture);
        }

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

    // Both end in x"}, so that what a handler adds is seen at the end.
    private static string CreateEvent(int length)
    {
        var text = new StringBuilder($$"""{"n":{{s_number}},""");
        if (length > SmallEventBytesMax)
        {
            text.Append("\"items\":[");
            for (var i = 0; text.Length < length - ItemBytesMax; i++)
            {
                var item = $$"""{"id":{{10_000 + i}},"name":"item {{10_000 + i}}","price":19.95,"inStock":true,"tags":["red","large"]}""";
                text.Append(i == 0 ? "" : ",").Append(item);
            }

            text.Append("],");
        }

        text.Append("\"t\":\"");
        return text.Append('x', length - text.Length - "\"}".Length).Append("\"}").ToString();
    }
}
