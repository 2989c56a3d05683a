using System.Buffers;
using System.Text;

namespace Fanfare.Gateway.Protocol;

/// <summary>
/// A WebSocket's upgrade request (RFC 6455, section 4.2.1) to <c>/event/realtime</c> as clients send it: whole, in one piece, with
/// nothing unusual about it. Whatever else comes, mistakes included, is for the web server to read and to answer.
/// </summary>
/// <remarks>Valid as long as the bytes that it was read from.</remarks>
internal readonly ref struct UpgradeRequest
{
    private const int HeadersMax = 100;

    private static readonly SearchValues<byte> s_nameBytes = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> s_valueBytes = SearchValues.Create(
        " \t!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"u8);

    private static readonly SearchValues<byte> s_hostBytes = SearchValues.Create(
        "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> s_addressBytes = SearchValues.Create(".0123456789:ABCDEFabcdef"u8);

    private static readonly SearchValues<byte> s_keyBytes = SearchValues.Create(
        "+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private UpgradeRequest(ReadOnlySpan<byte> head, ReadOnlySpan<byte> host, ReadOnlySpan<byte> key, ReadOnlySpan<byte> subprotocols)
    {
        Head = head;
        Host = host;
        Key = key;
        Subprotocols = subprotocols;
    }

    /// <summary>The whole request, up to and including the empty line.</summary>
    public ReadOnlySpan<byte> Head { get; }

    /// <summary>The <c>Host</c>.</summary>
    public ReadOnlySpan<byte> Host { get; }

    /// <summary>The <c>Sec-WebSocket-Key</c>: 16 bytes in base64.</summary>
    public ReadOnlySpan<byte> Key { get; }

    /// <summary>The <c>Sec-WebSocket-Protocol</c>; empty where there is none.</summary>
    public ReadOnlySpan<byte> Subprotocols { get; }

    private static ReadOnlySpan<byte> RequestLine => "GET /event/realtime HTTP/1.1\r\n"u8;

    /// <summary>Reads a request.</summary>
    /// <param name="bytes">What has arrived.</param>
    /// <param name="request">The request on success.</param>
    /// <returns><see langword="false"/> where the bytes do not begin with such a request.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out UpgradeRequest request)
    {
        request = default;
        if (!bytes.StartsWith(RequestLine))
        {
            return false;
        }

        ReadOnlySpan<byte> host = default, key = default, subprotocols = default;
        bool isConnectionUpgrade = false, hasHost = false, hasUpgrade = false, hasKey = false, hasVersion = false, hasProtocols = false;
        var position = RequestLine.Length;
        for (var count = 0; count <= HeadersMax; count++)
        {
            var length = bytes[position..].IndexOf("\r\n"u8);
            if (length == 0)
            {
                request = new UpgradeRequest(bytes[..(position + 2)], host, key, subprotocols);
                return isConnectionUpgrade && hasUpgrade && hasVersion && IsHost(host) && IsKey(key);
            }

            if (length < 0 || !TrySplit(bytes.Slice(position, length), out var name, out var value))
            {
                return false;
            }

            switch (name.Length)
            {
                case 4 when Is(name, "host"u8):
                    if (hasHost)
                    {
                        return false;
                    }

                    hasHost = true;
                    host = value;
                    break;
                case 6 when Is(name, "expect"u8):
                    return false;
                case 7 when Is(name, "upgrade"u8):
                    if (hasUpgrade || !Is(value, "websocket"u8))
                    {
                        return false;
                    }

                    hasUpgrade = true;
                    break;
                case 10 when Is(name, "connection"u8):
                    isConnectionUpgrade = HasToken(value, "upgrade"u8);
                    break;
                case 14 when Is(name, "content-length"u8):
                    return false;
                case 17 when Is(name, "sec-websocket-key"u8):
                    if (hasKey)
                    {
                        return false;
                    }

                    hasKey = true;
                    key = value;
                    break;
                case 17 when Is(name, "transfer-encoding"u8):
                    return false;
                case 21 when Is(name, "sec-websocket-version"u8):
                    if (hasVersion || !value.SequenceEqual("13"u8))
                    {
                        return false;
                    }

                    hasVersion = true;
                    break;
                case 22 when Is(name, "sec-websocket-protocol"u8):
                    if (hasProtocols)
                    {
                        return false;
                    }

                    hasProtocols = true;
                    subprotocols = value;
                    break;
            }

            position += length + 2;
        }

        return false;
    }

    /// <summary>Goes through the headers of a request that was read before, in their order.</summary>
    public static IEnumerable<KeyValuePair<string, string>> EnumerateHeaders(byte[] head)
    {
        for (var position = RequestLine.Length; ;)
        {
            var length = head.AsSpan(position).IndexOf("\r\n"u8);
            if (length <= 0)
            {
                yield break;
            }

            TrySplit(head.AsSpan(position, length), out var name, out var value);
            yield return KeyValuePair.Create(Encoding.ASCII.GetString(name), Encoding.ASCII.GetString(value));
            position += length + 2;
        }
    }

    private static bool TrySplit(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        name = value = default;
        var colon = line.IndexOf((byte)':');
        if (colon <= 0)
        {
            return false;
        }

        name = line[..colon];
        value = line[(colon + 1)..].Trim(" \t"u8);
        return !name.ContainsAnyExcept(s_nameBytes) && !value.ContainsAnyExcept(s_valueBytes);
    }

    private static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> expected) => Ascii.EqualsIgnoreCase(text, expected);

    private static bool HasToken(ReadOnlySpan<byte> list, ReadOnlySpan<byte> token)
    {
        foreach (var range in list.Split((byte)','))
        {
            if (Is(list[range].Trim(" \t"u8), token))
            {
                return true;
            }
        }

        return false;
    }

    // A name or an address, IPv6 in brackets, and a port or none.
    private static bool IsHost(ReadOnlySpan<byte> host)
    {
        int end;
        if (host.StartsWith("["u8))
        {
            end = host.IndexOf((byte)']') + 1;
            // The shortest address is "::1".
            if (end < 5 || host[1..(end - 1)].ContainsAnyExcept(s_addressBytes))
            {
                return false;
            }
        }
        else
        {
            end = host.IndexOfAnyExcept(s_hostBytes);
            end = end < 0 ? host.Length : end;
        }

        var port = host[end..];
        return end > 0
            && (port.IsEmpty || (port.Length > 1 && port[0] == ':' && !port[1..].ContainsAnyExceptInRange((byte)'0', (byte)'9')));
    }

    private static bool IsKey(ReadOnlySpan<byte> key) =>
        key.Length == 24 && key.EndsWith("=="u8) && !key[..22].ContainsAnyExcept(s_keyBytes);
}
