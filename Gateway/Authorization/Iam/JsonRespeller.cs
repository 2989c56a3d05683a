using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Characters that JSON writers escape though JSON does not ask for it.</summary>
[Flags]
internal enum JsonEscapes
{
    /// <summary>Only what must be escaped, as JavaScript's <c>JSON.stringify</c> does.</summary>
    None = 0,

    /// <summary><c>/</c> becomes <c>\/</c>, as in PHP and Swift.</summary>
    Slash = 1,

    /// <summary><c>&lt;</c>, <c>&gt;</c>, <c>&amp;</c>, U+2028 and U+2029 become <c>\u003c</c> and so on, as in Go.</summary>
    Html = 2,

    /// <summary>All but printable ASCII becomes <c>\uXXXX</c>, as in Python.</summary>
    NonAscii = 4,

    /// <summary>All of them.</summary>
    All = Slash | Html | NonAscii,
}

/// <summary>Writes JSON strings with other escapes than they came with, into a hash.</summary>
/// <remarks>
/// Works on the text of string tokens and never makes the strings, so that a lone surrogate, which has no UTF-8 form, stays the
/// escape that it is. Expects tokens of valid JSON in valid UTF-8. Lives on the stack.
/// </remarks>
internal ref struct JsonRespeller
{
    private static readonly SearchValues<byte> s_special = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Concat(Enumerable.Range(0x7f, 0x81)).Select(value => (byte)value), .. "\"\\/<>&"u8]);

    private readonly JsonEscapes _escapes;
    private readonly IncrementalHash _hash;
    private readonly Span<byte> _chunk;
    private int _length;

    /// <param name="escapes">What to escape.</param>
    /// <param name="hash">Receives what is written.</param>
    /// <param name="chunk">Room in which small pieces are gathered.</param>
    public JsonRespeller(JsonEscapes escapes, IncrementalHash hash, Span<byte> chunk)
    {
        _escapes = escapes;
        _hash = hash;
        _chunk = chunk;
    }

    /// <summary>The escapes that would have made a difference to what was written.</summary>
    public JsonEscapes Found { get; private set; }

    /// <summary>Writes text as it is.</summary>
    public void Write(scoped ReadOnlySpan<byte> text)
    {
        if (text.Length > _chunk.Length - _length)
        {
            Flush();
        }

        if (text.Length > _chunk.Length)
        {
            _hash.AppendData(text);
            return;
        }

        text.CopyTo(_chunk[_length..]);
        _length += text.Length;
    }

    /// <summary>Gives the hash what is gathered.</summary>
    public void Flush()
    {
        _hash.AppendData(_chunk[.._length]);
        _length = 0;
    }

    /// <summary>Writes a string in quotes.</summary>
    /// <param name="token">What stands between the quotes of a string token.</param>
    public void WriteString(scoped ReadOnlySpan<byte> token)
    {
        Write("\""u8);
        while (!token.IsEmpty)
        {
            var plain = token.IndexOfAny(s_special);
            if (plain != 0)
            {
                plain = plain < 0 ? token.Length : plain;
                Write(token[..plain]);
            }
            else if (token[0] == '\\')
            {
                plain = WriteEscaped(token);
            }
            else
            {
                Rune.DecodeFromUtf8(token, out var rune, out plain);
                WriteRune(rune);
            }

            token = token[plain..];
        }

        Write("\""u8);
    }

    private static char GetUnit(ReadOnlySpan<byte> token) =>
        Utf8Parser.TryParse(token.Slice(2, 4), out ushort unit, out _, 'x') ? (char)unit : '\uFFFD';

    private int WriteEscaped(scoped ReadOnlySpan<byte> token)
    {
        if (token[1] != 'u')
        {
            WriteRune(new Rune(token[1] switch
            {
                (byte)'b' => '\b',
                (byte)'t' => '\t',
                (byte)'n' => '\n',
                (byte)'f' => '\f',
                (byte)'r' => '\r',
                var itself => (char)itself,
            }));
            return 2;
        }

        var unit = GetUnit(token);
        if (!char.IsSurrogate(unit))
        {
            WriteRune(new Rune(unit));
            return 6;
        }

        if (char.IsHighSurrogate(unit) && token[6..].StartsWith("\\u"u8) && GetUnit(token[6..]) is var low && char.IsLowSurrogate(low))
        {
            WriteRune(new Rune(unit, low));
            return 12;
        }

        WriteUnit(unit);
        return 6;
    }

    private void WriteRune(Rune rune)
    {
        switch (rune.Value)
        {
            case '"':
                Write("\\\""u8);
                break;
            case '\\':
                Write("\\\\"u8);
                break;
            case '\b':
                Write("\\b"u8);
                break;
            case '\t':
                Write("\\t"u8);
                break;
            case '\n':
                Write("\\n"u8);
                break;
            case '\f':
                Write("\\f"u8);
                break;
            case '\r':
                Write("\\r"u8);
                break;
            case < 0x20:
                WriteUnit((char)rune.Value);
                break;
            default:
                WriteOptionallyEscaped(rune);
                break;
        }
    }

    private void WriteOptionallyEscaped(Rune rune)
    {
        var kinds = rune.Value switch
        {
            '/' => JsonEscapes.Slash,
            '<' or '>' or '&' => JsonEscapes.Html,
            0x2028 or 0x2029 => JsonEscapes.Html | JsonEscapes.NonAscii,
            >= 0x7f => JsonEscapes.NonAscii,
            _ => JsonEscapes.None,
        };
        Found |= kinds;
        if ((kinds & _escapes) == 0)
        {
            Span<byte> utf8 = stackalloc byte[4];
            Write(utf8[..rune.EncodeToUtf8(utf8)]);
        }
        else if (kinds == JsonEscapes.Slash)
        {
            Write("\\/"u8);
        }
        else
        {
            Span<char> units = stackalloc char[2];
            foreach (var unit in units[..rune.EncodeToUtf16(units)])
            {
                WriteUnit(unit);
            }
        }
    }

    private void WriteUnit(char unit)
    {
        Span<byte> escape = stackalloc byte[6];
        "\\u"u8.CopyTo(escape);
        ((ushort)unit).TryFormat(escape[2..], out _, "x4", CultureInfo.InvariantCulture);
        Write(escape);
    }
}
