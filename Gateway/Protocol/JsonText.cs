using System.Text.Json;

namespace Fanfare.Gateway.Protocol;

/// <summary>Reads strings out of a JSON text as bytes: slices of it where they have no escapes.</summary>
internal static class JsonText
{
    /// <summary>Reads the value that follows; <see langword="null"/> where it is no string.</summary>
    /// <param name="reader">The reader, at the value's name; left at the value's end.</param>
    /// <param name="json">The text that the reader reads.</param>
    /// <exception cref="InvalidOperationException">The string holds a lone surrogate, which has no UTF-8 form.</exception>
    public static ReadOnlyMemory<byte>? ReadString(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            reader.Skip();
            return null;
        }

        if (!reader.ValueIsEscaped)
        {
            return json.Slice((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
        }

        var unescaped = new byte[reader.ValueSpan.Length];
        return unescaped.AsMemory(0, reader.CopyString(unescaped));
    }
}
