using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Fanfare.Gateway.Handlers;

/// <summary>Texts of handlers as strings. JavaScript's may hold half of a surrogate pair, which has no UTF-8 form.</summary>
internal static class HandlerText
{
    /// <summary>Reads a string; half a pair becomes U+FFFD, as wherever JavaScript sends a text.</summary>
    /// <param name="value">A JSON string.</param>
    public static string Read(JsonElement value) => Read(JsonMarshal.GetRawUtf8Value(value));

    /// <inheritdoc cref="Read(JsonElement)"/>
    /// <param name="token">A JSON string with its quotes.</param>
    public static string Read(ReadOnlySpan<byte> token)
    {
        try
        {
            return Decode(token);
        }
        catch (InvalidOperationException)
        {
            return Decode(Encoding.UTF8.GetBytes(Mend(Encoding.UTF8.GetString(token))));
        }
    }

    /// <summary>The text of a string, and of anything else its JSON.</summary>
    public static string ReadOrCompact(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? Read(value) : Encoding.UTF8.GetString(Compact(value));

    /// <summary>The JSON of a value without the white space between its tokens; all else is left as it was written, escapes and digits alike.</summary>
    public static ReadOnlySpan<byte> Compact(JsonElement value)
    {
        var json = JsonMarshal.GetRawUtf8Value(value);
        var compact = new byte[json.Length];
        var length = 0;
        var isInString = false;
        for (var i = 0; i < json.Length; i++)
        {
            var c = json[i];
            if (c == '"')
            {
                isInString = !isInString;
            }
            else if (c == '\\')
            {
                compact[length++] = c;
                c = json[++i];
            }
            else if (!isInString && c is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            {
                continue;
            }

            compact[length++] = c;
        }

        return compact.AsSpan(0, length);
    }

    private static string Decode(ReadOnlySpan<byte> token)
    {
        var reader = new Utf8JsonReader(token);
        reader.Read();
        return reader.GetString()!;
    }

    // Half a pair is always an escape here: its raw form would not have been UTF-8.
    private static string Mend(string token)
    {
        var mended = new StringBuilder(token.Length);
        for (var i = 0; i < token.Length; i++)
        {
            mended.Append(token[i]);
            if (token[i] != '\\')
            {
                continue;
            }

            mended.Append(token[++i]);
            if (token[i] != 'u')
            {
                continue;
            }

            var first = GetUnit(token, i + 1);
            var isPair = char.IsHighSurrogate(first) && token.AsSpan(i + 5).StartsWith("\\u") && char.IsLowSurrogate(GetUnit(token, i + 7));
            var digits = token.AsSpan(i + 1, isPair ? 10 : 4);
            mended.Append(char.IsSurrogate(first) && !isPair ? "fffd" : digits);
            i += digits.Length;
        }

        return mended.ToString();
    }

    private static char GetUnit(string token, int start) =>
        (char)int.Parse(token.AsSpan(start, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
