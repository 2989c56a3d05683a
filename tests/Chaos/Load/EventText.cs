using System.Buffers.Text;
using System.Text;
using Fanfare.Chaos.Checking;

namespace Fanfare.Chaos.Load;

/// <summary>An event on the wire: <c>[publisher,number]</c>.</summary>
internal static class EventText
{
    /// <summary>Writes the <c>events</c> of a publish.</summary>
    public static string Write(EventName first, int count)
    {
        var text = new StringBuilder("[");
        for (var i = 0; i < count; i++)
        {
            text.Append(i > 0 ? "," : "").Append(System.Globalization.CultureInfo.InvariantCulture, $"\"[{first.Publisher},{first.Number + i}]\"");
        }

        return text.Append(']').ToString();
    }

    /// <summary>Reads one event; one that nobody wrote has the publisher -1.</summary>
    public static EventName Read(ReadOnlySpan<byte> text) =>
        text is [(byte)'[', .. var rest]
        && Utf8Parser.TryParse(rest, out int publisher, out var used) && rest[used..] is [(byte)',', .. var last]
        && Utf8Parser.TryParse(last, out int number, out used) && last[used..].SequenceEqual("]"u8)
            ? new EventName(publisher, number)
            : new EventName(-1, 0);
}
