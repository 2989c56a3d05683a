using System.Numerics;
using System.Runtime.Intrinsics;
using System.Text.Json;

namespace Fanfare.Gateway.Protocol;

/// <summary>Decodes what <see cref="JsonScanner"/> leaves alone: strings with escapes.</summary>
internal static class JsonText
{
    /// <summary>Reads the string that comes next as bytes: a slice of the text where it has no escapes.</summary>
    /// <param name="scanner">The scanner; behind the value afterwards, whatever that is.</param>
    /// <param name="json">The text that it scans.</param>
    /// <param name="depthMax">How deep a value that is no string may nest.</param>
    /// <param name="text">The string; <see langword="null"/> where the value is none.</param>
    /// <returns><see langword="false"/> where no value follows.</returns>
    /// <exception cref="InvalidOperationException">The string holds a lone surrogate, which has no UTF-8 form.</exception>
    public static bool TryReadString(ref JsonScanner scanner, ReadOnlyMemory<byte> json, int depthMax, out ReadOnlyMemory<byte>? text)
    {
        text = null;
        if (scanner.Peek() != (byte)'"')
        {
            return scanner.TrySkipValue(depthMax);
        }

        if (!scanner.TryReadString(out var token, out var isEscaped))
        {
            return false;
        }

        text = isEscaped ? Unescape(token) : json.Slice(scanner.Position - token.Length + 1, token.Length - 2);
        return true;
    }

    /// <summary>Resolves the escapes of a string.</summary>
    /// <param name="token">The string with its quotes, known to be well formed.</param>
    /// <exception cref="InvalidOperationException">It holds a lone surrogate, which has no UTF-8 form.</exception>
    public static byte[] Unescape(ReadOnlySpan<byte> token)
    {
        var unescaped = new byte[token.Length];
        return unescaped[..Unescape(token, unescaped)];
    }

    /// <summary>Resolves the escapes of a string.</summary>
    /// <param name="token">The string with its quotes, known to be well formed.</param>
    /// <param name="target">Room for as many bytes.</param>
    /// <returns>The length of the result.</returns>
    /// <exception cref="InvalidOperationException">It holds a lone surrogate, which has no UTF-8 form.</exception>
    public static int Unescape(ReadOnlySpan<byte> token, Span<byte> target)
    {
        var text = token[1..^1];
        var (read, written) = (0, 0);
        while (true)
        {
            // A block is copied before it is known how much of it counts, so the target's end is left to the loop over bytes.
            while (Vector128.IsHardwareAccelerated && read <= text.Length - Vector128<byte>.Count)
            {
                var block = Vector128.Create(text.Slice(read, Vector128<byte>.Count));
                block.CopyTo(target[written..]);
                var escapes = Vector128.Equals(block, Vector128.Create((byte)'\\')).ExtractMostSignificantBits();
                var plain = escapes == 0 ? Vector128<byte>.Count : BitOperations.TrailingZeroCount(escapes);
                read += plain;
                written += plain;
                if (escapes != 0)
                {
                    break;
                }
            }

            while (read < text.Length && text[read] != (byte)'\\')
            {
                target[written++] = text[read++];
            }

            if (read == text.Length)
            {
                return written;
            }

            var resolved = text[read + 1] switch
            {
                (byte)'b' => (byte)'\b',
                (byte)'f' => (byte)'\f',
                (byte)'n' => (byte)'\n',
                (byte)'r' => (byte)'\r',
                (byte)'t' => (byte)'\t',
                var itself => itself,
            };
            if (resolved == (byte)'u')
            {
                // Rare, and all about surrogates: left to the framework, from the start.
                return CreateReader(token).CopyString(target);
            }

            target[written++] = resolved;
            read += 2;
        }
    }

    /// <summary>Whether a string is this text once its escapes are resolved.</summary>
    /// <param name="token">The string with its quotes, known to be well formed.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="InvalidOperationException">It holds a lone surrogate, which has no UTF-8 form.</exception>
    public static bool UnescapedEquals(ReadOnlySpan<byte> token, ReadOnlySpan<byte> text) => CreateReader(token).ValueTextEquals(text);

    private static Utf8JsonReader CreateReader(ReadOnlySpan<byte> token)
    {
        var reader = new Utf8JsonReader(token);
        reader.Read();
        return reader;
    }
}
