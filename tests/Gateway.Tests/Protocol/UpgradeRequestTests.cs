using System.Text;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Tests.Protocol;

/// <summary>Which upgrades are read without the web server, and what is read of them.</summary>
public sealed class UpgradeRequestTests
{
    private const string Key = "dGhlIHNhbXBsZSBub25jZQ==";

    private const string Head =
        "GET /event/realtime HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + Key + "\r\nSec-WebSocket-Protocol: aws-appsync-event-ws, header-e30\r\n\r\n";

    /// <summary>What makes the head another one that is still taken: a text in it, and what takes its place.</summary>
    public static TheoryData<string, string> Taken => new()
    {
        { "", "" },
        { "Host:", "hOST:" },
        { "websocket", "WebSocket" },
        { "Connection: Upgrade", "Connection: keep-alive, Upgrade" },
        { "Connection: Upgrade", "connection:keep-alive,upgrade,,x" },
        { "Version: 13", "Version:\t 13 \t" },
        { "localhost:8080", "localhost" },
        { "localhost:8080", "127.0.0.1:1" },
        { "localhost:8080", "[::1]" },
        { "localhost:8080", "[::ffff:127.0.0.1]:65535" },
        { "localhost:8080", "k7h2.appsync-realtime-api.us-east-1.amazonaws.com" },
        { "Sec-WebSocket-Protocol: aws-appsync-event-ws, header-e30\r\n", "" },
        { "\r\n\r\n", "\r\nX-Api-Key: da2-abc\r\nCookie: a=\"b\"; c={d}\r\nEmpty:\r\n\r\n" },
    };

    /// <summary>The same with what is left to the web server.</summary>
    public static TheoryData<string, string> Left => new()
    {
        { "GET", "get" },
        { "GET", "POST" },
        { "GET", "\r\nGET" },
        { "HTTP/1.1", "HTTP/1.0" },
        { "GET ", "GET  " },
        { "/event/realtime", "http://localhost:8080/event/realtime" },
        { "/event/realtime", "/event/realtime?header=e30" },
        { "/event/realtime", "/event/realtime/" },
        { "/event/realtime", "/Event/realtime" },
        { "/event/realtime", "/event/%72ealtime" },
        { "/event/realtime", "/event" },
        { "Host: localhost:8080\r\n", "" },
        { "Host: localhost:8080\r\n", "Host: localhost\r\nHost: localhost\r\n" },
        { "Host: localhost:8080\r\n", "Host:\r\nHost: localhost\r\n" },
        { "localhost:8080", "" },
        { "localhost:8080", "local host" },
        { "localhost:8080", "localhost:" },
        { "localhost:8080", "localhost:x" },
        { "localhost:8080", ":8080" },
        { "localhost:8080", "a:1:2" },
        { "localhost:8080", "[::1" },
        { "localhost:8080", "[]" },
        { "localhost:8080", "[:]:1" },
        { "localhost:8080", "[::1]8080" },
        { "localhost:8080", "[::g]" },
        { "localhost:8080", "user@localhost" },
        { "Upgrade: websocket\r\n", "" },
        { "Upgrade: websocket\r\n", "Upgrade: websocket\r\nUpgrade: websocket\r\n" },
        { "websocket", "websocket, h2c" },
        { "websocket", "h2c" },
        { "Connection: Upgrade\r\n", "" },
        { "Connection: Upgrade", "Connection: keep-alive" },
        { "Version: 13", "Version: 8" },
        { "Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n" },
        { Key, "" },
        { Key, "dGhlIHNhbXBsZSBub25jZQ=" },
        { Key, "dGhlIHNhbXBsZSBub25jZQAA" },
        { Key, "dGhl IHNhbXBsZSBub25jZ==" },
        { "Sec-WebSocket-Key: " + Key, "Sec-WebSocket-Key: " + Key + "\r\nSec-WebSocket-Key: " + Key },
        { "\r\n\r\n", "\r\nSec-WebSocket-Protocol: more\r\n\r\n" },
        { "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n" },
        { "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n" },
        { "\r\n\r\n", "\r\nX: folded\r\n more\r\n\r\n" },
        { "\r\n\r\n", "\r\nX: a\0b\r\n\r\n" },
        { "\r\n\r\n", "\r\nX: caf\u00e9\r\n\r\n" },
        { "\r\n\r\n", "\r\nX: a\nY: b\r\n\r\n" },
        { "\r\n\r\n", "\r\nX: a\rb\r\n\r\n" },
        { "\r\n\r\n", "\r\nX : a\r\n\r\n" },
        { "\r\n\r\n", "\r\n: a\r\n\r\n" },
        { "\r\n\r\n", "\r\nno colon\r\n\r\n" },
        { "\r\n\r\n", "\n\n" },
        { "\r\n\r\n", "\r\n" },
    };

    [Theory]
    [MemberData(nameof(Taken))]
    public void Whole_upgrades_are_taken(string text, string replacement)
    {
        Assert.True(UpgradeRequest.TryRead(Replace(text, replacement), out var request));
        Assert.Equal(Key, Encoding.ASCII.GetString(request.Key));
    }

    [Theory]
    [MemberData(nameof(Left))]
    public void Everything_else_is_left_to_the_web_server(string text, string replacement) =>
        Assert.False(UpgradeRequest.TryRead(Replace(text, replacement), out _));

    [Fact]
    public void A_head_is_taken_only_when_all_of_it_has_come()
    {
        var bytes = Encoding.Latin1.GetBytes(Head);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.False(UpgradeRequest.TryRead(bytes.AsSpan(0, length), out _), $"taken with {length} bytes");
        }

        Assert.True(UpgradeRequest.TryRead(bytes, out _));
    }

    [Fact]
    public void What_follows_the_head_is_not_part_of_it()
    {
        var bytes = Encoding.Latin1.GetBytes(Head + "\r\n\r\nmore");

        Assert.True(UpgradeRequest.TryRead(bytes, out var request));
        Assert.Equal(Head, Encoding.Latin1.GetString(request.Head));
        Assert.Equal("localhost:8080", Encoding.Latin1.GetString(request.Host));
        Assert.Equal("aws-appsync-event-ws, header-e30", Encoding.Latin1.GetString(request.Subprotocols));
    }

    [Theory]
    [InlineData(100, true)]
    [InlineData(101, false)]
    public void As_many_headers_are_taken_as_the_web_server_takes(int count, bool isTaken)
    {
        var more = string.Concat(Enumerable.Range(0, count - 6).Select(i => $"X-{i}: {i}\r\n"));

        Assert.Equal(isTaken, UpgradeRequest.TryRead(Replace("\r\n\r\n", $"\r\n{more}\r\n"), out _));
    }

    [Fact]
    public void Headers_are_enumerated_in_their_order_and_without_the_space_around_them()
    {
        var bytes = Replace("\r\n\r\n", "\r\nX:  a b \t\r\nx:\r\nY:c\r\n\r\n");
        Assert.True(UpgradeRequest.TryRead(bytes, out var request));

        var headers = UpgradeRequest.EnumerateHeaders(request.Head.ToArray()).Select(header => $"{header.Key}={header.Value}").ToList();

        Assert.Equal("Host=localhost:8080", headers[0]);
        Assert.Equal(["X=a b", "x=", "Y=c"], headers[^3..]);
        Assert.Equal(9, headers.Count);
    }

    private static byte[] Replace(string text, string replacement)
    {
        if (text.Length == 0)
        {
            return Encoding.Latin1.GetBytes(Head);
        }

        Assert.Contains(text, Head, StringComparison.Ordinal);
        return Encoding.Latin1.GetBytes(Head.Replace(text, replacement, StringComparison.Ordinal));
    }
}
