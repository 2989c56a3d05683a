using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>JSON as it goes to data sources and comes from them.</summary>
internal static class JsonValues
{
    /// <summary>The depth of values that is followed; deeper ones are refused.</summary>
    public const int DepthMax = 1000;

    private const int EscapeLength = 6;
    private static readonly JsonWriterOptions s_writerOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonReaderOptions s_readerOptions = new() { MaxDepth = DepthMax };

    /// <summary>Writes a value.</summary>
    public static ReadOnlyMemory<byte> Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, s_writerOptions))
        {
            write(writer);
        }

        return buffer.WrittenMemory;
    }

    /// <summary>The bytes of a value as it was written.</summary>
    public static ReadOnlyMemory<byte> GetBytes(JsonElement value) => JsonMarshal.GetRawUtf8Value(value).ToArray();

    /// <summary>Whether the bytes are one well-formed JSON value.</summary>
    public static bool IsValue(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, s_readerOptions);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Reads an object; <see langword="null"/> where the bytes are none.</summary>
    public static JsonDocument? ParseObject(ReadOnlyMemory<byte> json)
    {
        try
        {
            var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = DepthMax });
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
            return null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Replaces lone surrogates by U+FFFD, as a conversion to UTF-8 does.</summary>
    /// <remarks>
    /// JavaScript's strings may hold them, <c>JSON.stringify</c> writes them as escapes, and a publisher can send them; but no text
    /// of a request can, and reading one throws.
    /// </remarks>
    /// <returns>The value itself where it holds none, else a copy.</returns>
    public static JsonElement Mend(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Undefined)
        {
            return value;
        }

        var json = JsonMarshal.GetRawUtf8Value(value);
        if (json.IndexOf("\\ud"u8) < 0 && json.IndexOf("\\uD"u8) < 0)
        {
            return value;
        }

        var mended = json.ToArray();
        for (var i = 0; i < mended.Length - 1; i++)
        {
            if (mended[i] != '\\')
            {
                continue;
            }

            var code = ReadEscape(mended.AsSpan(i));
            if (code is null or < 0xD800 or > 0xDFFF)
            {
                i++; // whatever is escaped, which may be another backslash
            }
            else if (code <= 0xDBFF && ReadEscape(mended.AsSpan(i + EscapeLength)) is >= 0xDC00 and <= 0xDFFF)
            {
                i += (2 * EscapeLength) - 1;
            }
            else
            {
                "\\uFFFD"u8.CopyTo(mended.AsSpan(i));
                i += EscapeLength - 1;
            }
        }

        using var document = JsonDocument.Parse(mended, new JsonDocumentOptions { MaxDepth = DepthMax });
        return document.RootElement.Clone();
    }

    private static int? ReadEscape(ReadOnlySpan<byte> json) =>
        json.Length >= EscapeLength && json[0] == '\\' && json[1] == 'u'
        && System.Buffers.Text.Utf8Parser.TryParse(json[2..EscapeLength], out int code, out var read, 'x') && read == EscapeLength - 2
            ? code
            : null;
}
