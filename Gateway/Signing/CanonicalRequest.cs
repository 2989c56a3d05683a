using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Signing;

/// <summary>Builds the text that a Signature Version 4 signature covers; signer and verifier share it, so that they agree.</summary>
/// <remarks>
/// Append the target, then each signed header in order of names, then the list of names; <see cref="Seal"/> ends the text with room
/// for the hash of the payload. Text lies in the caller's buffer and moves to a pooled one where it outgrows that: dispose of it.
/// Source: AWS Identity and Access Management, "Create a signed AWS API request".
/// </remarks>
internal ref struct CanonicalRequest
{
    /// <summary>Characters of a payload hash: SHA-256 in lower-case hexadecimal.</summary>
    public const int PayloadHashLength = 2 * SHA256.HashSizeInBytes;

    private static readonly SearchValues<byte> s_unreserved =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"u8);

    private Span<byte> _buffer;
    private byte[]? _rented;
    private int _length;

    /// <param name="buffer">Where the text is written while it fits; usually on the stack.</param>
    public CanonicalRequest(Span<byte> buffer) => _buffer = buffer;

    /// <summary>What is written so far.</summary>
    public readonly ReadOnlySpan<byte> Text => _buffer[.._length];

    /// <summary>Returns the pooled buffer, if there is one.</summary>
    public void Dispose()
    {
        if (_rented is { } rented)
        {
            _rented = null;
            _buffer = default;
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Appends method, path and query.</summary>
    /// <param name="method">The method in capitals.</param>
    /// <param name="path">The path as it is sent. What is percent-encoded there is encoded again, as every service but S3 wants it.</param>
    /// <param name="query">The query as it is sent, without the question mark; parameters are decoded, encoded and sorted.</param>
    public void AppendTarget(scoped ReadOnlySpan<byte> method, scoped ReadOnlySpan<byte> path, string query)
    {
        Append(method);
        Append("\n"u8);
        AppendEncoded(path, isPath: true);
        Append("\n"u8);
        if (query.Length > 0)
        {
            AppendQuery(query);
        }

        Append("\n"u8);
    }

    /// <summary>Appends a header: its value trimmed, runs of white space made one space.</summary>
    /// <param name="name">The name in lower case.</param>
    /// <param name="value">The value; several of one name are joined by commas.</param>
    /// <returns>Where in <see cref="Text"/> the value is now.</returns>
    public Range AppendHeader(scoped ReadOnlySpan<byte> name, scoped ReadOnlySpan<byte> value)
    {
        Append(name);
        Append(":"u8);
        var start = _length;
        AppendCollapsed(value);
        var range = start.._length;
        Append("\n"u8);
        return range;
    }

    /// <summary>Appends the names of the signed headers, which follows the headers themselves.</summary>
    /// <param name="names">The names, joined by semicolons.</param>
    public void AppendSignedHeaders(scoped ReadOnlySpan<byte> names)
    {
        Append("\n"u8);
        Append(names);
        Append("\n"u8);
    }

    /// <summary>Ends the text with room for the payload's hash, which may be written there several times.</summary>
    /// <returns>The whole text; its last <see cref="PayloadHashLength"/> bytes are the room. Valid until <see cref="Dispose"/>.</returns>
    public Span<byte> Seal()
    {
        EnsureRoom(PayloadHashLength);
        _length += PayloadHashLength;
        return _buffer[.._length];
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    private static byte[] Decode(ReadOnlySpan<char> encoded)
    {
        var bytes = Encoding.UTF8.GetBytes(encoded.ToString());
        var length = 0;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == '%' && i + 2 < bytes.Length
                && char.IsAsciiHexDigit((char)bytes[i + 1]) && char.IsAsciiHexDigit((char)bytes[i + 2]))
            {
                bytes[length++] = (byte)((FromHex(bytes[i + 1]) << 4) | FromHex(bytes[i + 2]));
                i += 2;
            }
            else
            {
                bytes[length++] = bytes[i];
            }
        }

        return bytes[..length];
    }

    private static int FromHex(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    private void AppendCollapsed(scoped ReadOnlySpan<byte> value)
    {
        EnsureRoom(value.Length);
        var start = _length;
        var isPending = false;
        foreach (var b in value)
        {
            if (IsSpace(b))
            {
                isPending = _length > start;
                continue;
            }

            if (isPending)
            {
                _buffer[_length++] = (byte)' ';
                isPending = false;
            }

            _buffer[_length++] = b;
        }
    }

    // No client of the protocol sends a query with a publish, so this may take its time.
    private void AppendQuery(string query)
    {
        var parameters = new List<(string Name, string Value)>();
        foreach (var parameter in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = parameter.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? parameter : parameter[..equals];
            parameters.Add((Encode(name), equals < 0 ? "" : Encode(parameter.AsSpan(equals + 1))));
        }

        parameters.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name) is var order and not 0
            ? order
            : string.CompareOrdinal(a.Value, b.Value));
        for (var i = 0; i < parameters.Count; i++)
        {
            Append(Encoding.ASCII.GetBytes($"{(i == 0 ? "" : "&")}{parameters[i].Name}={parameters[i].Value}"));
        }
    }

    private static string Encode(ReadOnlySpan<char> text)
    {
        var encoded = new CanonicalRequest([]);
        try
        {
            encoded.AppendEncoded(Decode(text), isPath: false);
            return Encoding.ASCII.GetString(encoded.Text);
        }
        finally
        {
            encoded.Dispose();
        }
    }

    private void AppendEncoded(scoped ReadOnlySpan<byte> text, bool isPath)
    {
        EnsureRoom(3 * text.Length);
        foreach (var b in text)
        {
            if (s_unreserved.Contains(b) || (isPath && b == '/'))
            {
                _buffer[_length++] = b;
            }
            else
            {
                _buffer[_length++] = (byte)'%';
                _buffer[_length++] = "0123456789ABCDEF"u8[b >> 4];
                _buffer[_length++] = "0123456789ABCDEF"u8[b & 15];
            }
        }
    }

    private void Append(scoped ReadOnlySpan<byte> text)
    {
        EnsureRoom(text.Length);
        text.CopyTo(_buffer[_length..]);
        _length += text.Length;
    }

    private void EnsureRoom(int count)
    {
        if (_buffer.Length - _length >= count)
        {
            return;
        }

        var grown = ArrayPool<byte>.Shared.Rent(Math.Max(2 * _buffer.Length, _length + count));
        Text.CopyTo(grown);
        var previous = _rented;
        _buffer = grown;
        _rented = grown;
        if (previous is not null)
        {
            ArrayPool<byte>.Shared.Return(previous);
        }
    }
}
