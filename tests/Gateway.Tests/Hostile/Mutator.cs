using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Hostile;

/// <summary>Makes input that is nearly right: good messages, channels, credentials and frames, bent in a place or two.</summary>
/// <remarks>The same seed gives the same input. Not safe for concurrent use.</remarks>
internal sealed class Mutator(int seed)
{
    private static readonly string[] s_channels =
    [
        "/default/fuzz", "/default/fuzz/*", "/default/*", "default/fuzz/a/", "/default", "/nowhere/a", "/*", "*", "", "/", "//",
        "/default/a/b/c/d", "/default/a/b/c/d/e", "/default//a", "/default/-a", "/default/a_b", "/default/é", "/default/**",
    ];

    private static readonly string[] s_types =
    [
        "subscribe", "unsubscribe", "publish", "connection_init", "ka", "data", "SUBSCRIBE", "", "error", "start", "publish ",
    ];

    private static readonly string[] s_values =
    [
        "null", "true", "0", "-1", "1e999", "\"\"", "\"x\"", "[]", "{}", "[[]]", "\"\\u0000\"", "\"\\ud800\"", "\"\\\"\"", "1.5",
        "[\"1\"]", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]", "[\"{\"]", "{\"a\":{\"b\":[null]}}", "\"😀\"", "99999999999999999999",
    ];

    private static readonly string[] s_snippets =
    [
        "{", "}", "[", "]", "\"", "\\", "\\u", "\\ud83d", ":", ",", "null", "é", "😀", " ", "\n", "\0", "//", "/*", "1e", "\"type\"",
        "\"id\":\"a\",", "\"events\":", "\u2028", "\\\"", "true",
    ];

    private static readonly string[] s_headers = ["x-api-key", "authorization", "sec-websocket-extensions", "x"];

    private static readonly string[] s_methods = ["POST", "POST", "POST", "GET", "PUT", "OPTIONS", "post"];

    private readonly Random _random = new(seed);
    private readonly StringBuilder _text = new();

    /// <summary>Draws a number below <paramref name="end"/>.</summary>
    public int Next(int end) => _random.Next(end);

    /// <summary>A text message: mostly an operation with odd members, at times bent on the level of characters too.</summary>
    public string NextMessage()
    {
        var kind = Next(100);
        if (kind < 2)
        {
            return Pick(s_snippets) + Pick(s_snippets) + Pick(s_values);
        }

        if (kind < 3)
        {
            var depth = 1 + Next(2000);
            return $"{{\"a\":{new string('[', depth)}{new string(']', Next(2) == 0 ? depth : Next(depth))}}}";
        }

        _text.Clear().Append('{');
        var members = new List<string>
        {
            $"\"type\":{Odd(Quote(Pick(s_types.AsSpan(0, Next(3) == 0 ? s_types.Length : 3))))}",
            $"\"id\":{Odd(Quote(NextId()))}",
            $"\"channel\":{Odd(Quote(NextChannel()))}",
            $"\"events\":{Odd(NextEvents())}",
            $"\"authorization\":{Odd(NextAuthorization())}",
        };
        if (Next(10) == 0)
        {
            members.RemoveAt(Next(members.Count));
        }

        if (Next(10) == 0)
        {
            members.Add(members[Next(members.Count)]);
        }

        if (Next(4) == 0)
        {
            _random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(members));
        }

        _text.AppendJoin(',', members).Append('}');
        return Next(4) == 0 ? Bend(_text.ToString()) : _text.ToString();
    }

    /// <summary>A body for an HTTP publish.</summary>
    public string NextBody()
    {
        var body = $"{{\"channel\":{Odd(Quote(NextChannel()))},\"events\":{Odd(NextEvents())}}}";
        return Next(3) == 0 ? Bend(body) : body;
    }

    /// <summary>Frames as a stranger to RFC 6455 might send them: any bits, any opcode, lengths that lie, or plain noise.</summary>
    public byte[] NextFrame()
    {
        var payload = Next(3) == 0 ? NextBytes(Next(200)) : Encoding.UTF8.GetBytes(NextMessage());
        var frame = WireFrame.Encode(
            Next(3) == 0 ? (Opcode)Next(16) : Opcode.Text,
            payload,
            isFinal: Next(5) != 0,
            reserved: Next(6) == 0 ? Next(8) : 0,
            isMasked: Next(8) != 0);
        switch (Next(6))
        {
            case 0:
                frame[Next(frame.Length)] ^= (byte)(1 << Next(8));
                break;
            case 1:
                return frame[..Next(frame.Length)];
            case 2:
                return NextBytes(1 + Next(64));
        }

        return frame;
    }

    /// <summary>An upgrade request, good or bent.</summary>
    public byte[] NextUpgrade(string authority)
    {
        var json = Next(3) == 0 ? Bend(NextAuthorization()) : NextAuthorization();
        var credentials = "header-" + Bend64(Convert.ToBase64String(Encoding.UTF8.GetBytes(json)));
        string[] protocols = Next(4) switch
        {
            0 => [$"{Credentials.EventsProtocol},{credentials}"],
            1 => [credentials, Credentials.EventsProtocol],
            2 => [credentials],
            _ => [Credentials.EventsProtocol + (Next(2) == 0 ? ", " : " ") + credentials + Pick([",", " ", "", ", x", ";q=1"])],
        };
        var bytes = new Handshake
        {
            Method = Next(10) == 0 ? Pick(["POST", "PUT", "get", "OPTIONS"]) : "GET",
            Target = "/event/realtime"
                + (Next(6) == 0 ? Pick(["?header=e30=&payload=", "?" + credentials, "/", "%00", "?%ff", "#"]) : ""),
            Key = Next(10) == 0 ? Pick(["", "x", "====", "dGhlIHNhbXBsZSBub25jZQ"]) : "dGhlIHNhbXBsZSBub25jZQ==",
            Protocols = protocols,
            Headers = Next(4) == 0 ? [(Pick(s_headers), Pick(["a", "Bearer", ";;", "b=c"]))] : [],
        }.ToBytes(authority);
        if (Next(6) == 0)
        {
            bytes[Next(bytes.Length)] = (byte)Next(256);
        }

        return bytes;
    }

    /// <summary>An HTTP request, good or bent, with a body that need not be as long as it says.</summary>
    public byte[] NextRequest()
    {
        var body = Encoding.UTF8.GetBytes(NextBody());
        var length = Next(4) switch { 0 => Next(3_000_000), 1 => body.Length + Next(100), _ => body.Length };
        var framing = Next(5) switch
        {
            0 => "Transfer-Encoding: chunked",
            1 => $"Transfer-Encoding: chunked\r\nContent-Length: {length}",
            _ => $"Content-Length: {Pick([$"{length}", $"{length}", $"{length}", "-1", "x", "99999999999999999999"])}",
        };
        var head = Encoding.Latin1.GetBytes(
            $"{Pick(s_methods)} {Pick(["/event", "/event", "/event?x", "/", "*", "/%2e"])} HTTP/1.1\r\n"
            + $"Host: {Pick(["a", "a", "", "a:b:c", "[::1", "a.b"])}\r\nx-api-key: {Credentials.ApiKey}\r\n{framing}\r\n\r\n");
        if (Next(4) == 0)
        {
            head[Next(head.Length)] = (byte)Next(256);
        }

        return [.. head, .. body.AsSpan(0, Next(3) == 0 ? Next(body.Length + 1) : body.Length)];
    }

    private string NextChannel()
    {
        if (Next(4) != 0)
        {
            return Pick(s_channels.AsSpan(0, Next(2) == 0 ? 1 : s_channels.Length));
        }

        var text = new StringBuilder(Next(2) == 0 ? "/default" : "");
        for (var segments = Next(7); segments > 0; segments--)
        {
            text.Append('/');
            for (var length = Next(Next(10) == 0 ? 60 : 8); length > 0; length--)
            {
                text.Append("abzAZ09--__.*/% é"[Next(17)]);
            }
        }

        return text.ToString();
    }

    private string NextId() => Next(10) switch
    {
        0 => new string('i', 120 + Next(12)),
        1 => Pick(["", " ", "a b", "é", "a/b", "+_-", "\0"]),
        _ => $"id-{Next(20)}",
    };

    private string NextEvents()
    {
        var events = new string[Next(6) == 0 ? Next(8) : 1 + Next(5)];
        for (var index = 0; index < events.Length; index++)
        {
            events[index] = Next(12) == 0
                ? Odd(Quote(Bend(Pick(s_values))))
                : Quote(Next(2) == 0 ? Pick(s_values.AsSpan(0, 4)) : "{}");
        }

        return $"[{string.Join(',', events)}]";
    }

    private string NextAuthorization() => Next(8) switch
    {
        0 => $$"""{"host":{{Odd("\"h\"")}},"x-api-key":{{Odd($"\"{Credentials.UnknownKey}\"")}}}""",
        1 => """{"Authorization":"AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=;, Signature="}""",
        2 => $$"""{"HOST":"h","X-Api-Key":"{{Credentials.ApiKey}}","x":{{Pick(s_values)}}}""",
        _ => Messages.Authorization,
    };

    /// <summary>The value, or now and then another one.</summary>
    private string Odd(string value) => Next(20) == 0 ? Pick(s_values) : value;

    /// <summary>Inserts, removes, doubles or swaps a few pieces.</summary>
    private string Bend(string text)
    {
        for (var times = 1 + Next(3); times > 0 && text.Length > 1; times--)
        {
            var at = Next(text.Length);
            var length = Math.Min(1 + Next(6), text.Length - at);
            text = Next(4) switch
            {
                0 => text.Remove(at, length),
                1 => text.Insert(at, Pick(s_snippets)),
                2 => text.Insert(at, text.Substring(at, length)),
                _ => text[..at] + Pick(s_snippets) + text[(at + length)..],
            };
        }

        return text;
    }

    private string Bend64(string text) => Next(4) switch
    {
        0 => text.TrimEnd('='),
        1 => text.Replace('+', '-').Replace('/', '_'),
        2 when text.Length > 0 => text.Insert(Next(text.Length), Pick(["=", "!", "%", "_", "+", "AAAA", "="])),
        _ => text,
    };

    private byte[] NextBytes(int count)
    {
        var bytes = new byte[count];
        _random.NextBytes(bytes);
        return bytes;
    }

    private string Pick(ReadOnlySpan<string> choices) => choices[Next(choices.Length)];

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var unit in text)
        {
            quoted.Append(unit switch { '"' => "\\\"", '\\' => @"\\", < ' ' => $"\\u{(int)unit:x4}", _ => unit.ToString() });
        }

        return quoted.Append('"').ToString();
    }
}
