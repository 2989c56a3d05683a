using System.Buffers;
using System.Globalization;
using System.Text;

namespace Fanfare.Gateway.Observability;

/// <summary>Texts from outside in lines of the log.</summary>
internal static class LogText
{
    private static readonly SearchValues<char> s_disturbing = SearchValues.Create(
        [.. Enumerable.Range(0, 0xA0).Select(code => (char)code).Where(c => char.IsControl(c) && c != '\t'), '\u2028', '\u2029']);

    /// <summary>Spells out what ends a line or steers a terminal, so that no text looks like lines of ours.</summary>
    public static string Clean(string text) => text.AsSpan().ContainsAny(s_disturbing) ? Escape(text) : text;

    private static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length + 16);
        foreach (var c in text.ReplaceLineEndings("\n"))
        {
            if (c == '\n')
            {
                escaped.Append("\\n");
            }
            else if (s_disturbing.Contains(c))
            {
                escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            }
            else
            {
                escaped.Append(c);
            }
        }

        return escaped.ToString();
    }
}
