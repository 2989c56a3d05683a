using System.Net;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>An upgrade is answered the same whether an event loop takes it or the web server does.</summary>
/// <remarks>
/// The web server serves all requests of a connection behind the first one that it serves, so that the same bytes reach it there. Only
/// its answers have a <c>Date</c>, which RFC 9110 leaves open for a 101.
/// </remarks>
public sealed class UpgradePathTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const string Line = "GET /event/realtime HTTP/1.1";

    private static readonly string[] s_lines =
    [
        "Host: localhost:8080",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        $"Sec-WebSocket-Protocol: {Credentials.EventsProtocol}, {Credentials.HeaderProtocol(Credentials.KeyAuthorization())}",
    ];

    private static readonly string[] s_requestLines =
    [
        "GET http://localhost:8080/event/realtime HTTP/1.1", "GET /event/realtime?a=b HTTP/1.1", "GET /event/realtime/ HTTP/1.1",
        "GET /EVENT/realtime HTTP/1.1", "GET /event HTTP/1.1", "GET /elsewhere HTTP/1.1", "GET /event/realtime HTTP/1.0",
        "POST /event/realtime HTTP/1.1", "get /event/realtime HTTP/1.1", "GET  /event/realtime HTTP/1.1", "GET /event/realtime HTTP/1.1 ",
        "GET /event/realtime http/1.1", "GET /event/realtime", "OPTIONS * HTTP/1.1",
    ];

    private static readonly string[] s_moreLines =
    [
        "Content-Length: 0", "Transfer-Encoding: chunked", "Expect: 100-continue", "Expect: x", "Connection: close", "Connection: keep-alive",
        "Upgrade: h2c", "X: caf\u00e9", "X: a\0b", "X: \u0001", "X : a", ": a", "no colon", " folded", "\tfolded", "X: a\nY: b", "X: a\rb", "X:",
        "X: \t a \t ", "x-api-key: " + Credentials.ApiKey, "Authorization: Bearer x", "Cookie: a=b; c=d", "Origin: https://example.com",
        "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: graphql-ws", "Sec-WebSocket-Version: 8",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Host: example.com", "X\u00e9: a", "X(: a", "Accept-Encoding: gzip",
    ];

    private static readonly string[] s_values =
    [
        "", "Upgrade", "upgrade, close", "close, Upgrade", "keep-alive, Upgrade", "keep-alive", "Upgrade\t,x", "WEBSOCKET", "websocket/13",
        "13", "8", "13, 8", "013", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAAAAAAAAAAA AA=", "AAAA",
        Credentials.EventsProtocol, "graphql-ws", $"{Credentials.EventsProtocol}, header-!!", $"{Credentials.EventsProtocol}, header-e30",
        "localhost", "[::1]", "[::1]:8080", "[::1", "::1", "a:b", "a:", ":1", "a b", "a,b", "a_b.c-d:1", "user@host", "caf\u00e9",
        "abc.appsync-realtime-api.us-east-1.amazonaws.com", "abc.localhost:8080", new string('a', 300), new string('a', 20_000), new string('a', 70_000),
    ];

    [Fact]
    public async Task A_plain_upgrade_is_taken_by_an_event_loop_and_a_later_request_by_the_web_server()
    {
        var head = Join(Line, s_lines);

        Assert.Null((await UpgradeAsync(head, isWebServer: false)).Date);
        Assert.NotNull((await UpgradeAsync(head, isWebServer: true)).Date);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Any_upgrade_has_the_same_answer_on_both_ways(int seed)
    {
        var random = new Random(seed);
        var taken = 0;
        for (var i = 0; i < 60; i++)
        {
            var head = Mutate(random, i);
            var direct = await UpgradeAsync(head, isWebServer: false);
            var served = await UpgradeAsync(head, isWebServer: true);

            Assert.True(direct.Text == served.Text, $"{Show(head)}\n--- by itself:\n{direct.Text}\n--- by the web server:\n{served.Text}");
            taken += direct.Date is null && direct.Text.StartsWith("101", StringComparison.Ordinal) ? 1 : 0;
        }

        Assert.InRange(taken, 5, 59);
    }

    [Fact]
    public async Task Frames_behind_the_head_are_answered_the_same_on_both_ways()
    {
        byte[] request =
        [
            .. Encoding.Latin1.GetBytes(Join(Line, s_lines)),
            .. WireFrame.EncodeText(Messages.Init),
            .. WireFrame.EncodeText(Messages.Subscribe("s", "/default/behind")),
            .. WireFrame.EncodeText(Messages.Unsubscribe("s")),
            .. WireFrame.Encode(Opcode.Ping, "p"u8),
        ];
        foreach (var isWebServer in new[] { false, true })
        {
            await using var connection = await OpenAsync(isWebServer);
            await using var socket = await RawWebSocket.UpgradeAsync(connection, request);

            await socket.NextAsync("connection_ack", null);
            await socket.NextAsync("subscribe_success", "s");
            await socket.NextAsync("unsubscribe_success", "s");
            var frame = await socket.NextFrameAsync("a pong");
            Assert.Equal(Opcode.Pong, frame!.Opcode);
        }
    }

    [Fact]
    public async Task An_upgrade_that_comes_byte_by_byte_is_served()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        var head = Encoding.Latin1.GetBytes(Join(Line, s_lines));
        for (var i = 0; i < head.Length - 1; i++)
        {
            await connection.SendAsync(head.AsMemory(i, 1));
        }

        await using var socket = await RawWebSocket.UpgradeAsync(connection, head.AsMemory(head.Length - 1));

        Assert.Equal(101, socket.Response.Status);
        await socket.InitAsync();
    }

    [Fact]
    public async Task A_client_that_ends_its_side_behind_the_upgrade_is_gone()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        await connection.SendAsync(Encoding.Latin1.GetBytes(Join(Line, s_lines)));
        connection.ShutdownSend();

        await connection.ReadToEndAsync();
    }

    [Fact]
    public async Task Clients_that_reset_at_any_moment_are_no_errors()
    {
        await using var server = await GatewayServer.StartAsync();
        var head = Encoding.Latin1.GetBytes(Join(Line, s_lines));
        byte[] all = [.. head, .. WireFrame.EncodeText(Messages.Init), .. WireFrame.EncodeText(Messages.Subscribe("s", "/default/reset"))];
        var lengths = new[] { 0, 1, 30, head.Length - 1, head.Length, head.Length + 3, all.Length };
        for (var i = 0; i < 140; i++)
        {
            var connection = await RawConnection.OpenAsync(server.EndPoint);
            await connection.SendAsync(all.AsMemory(0, lengths[i % lengths.Length]));
            connection.Abort();
        }

        await using var socket = await server.ConnectAsync();
        await socket.InitAsync();
        await Metrics.WaitAsync(server, 1, "fanfare_connections_active");
        Assert.DoesNotContain(server.Log.Lines, line => line.Level >= Microsoft.Extensions.Logging.LogLevel.Warning);
    }

    [Fact]
    public async Task A_connection_that_says_nothing_is_the_web_server_s_and_may_still_become_anything()
    {
        await using var server = await GatewayServer.StartAsync();
        var before = (await Metrics.ReadAsync(server)).Sum("kestrel_active_connections");
        await using var quiet = await RawConnection.OpenAsync(server.EndPoint);
        await Metrics.WaitAsync(server, before + 1, "kestrel_active_connections");

        await using var socket = await RawWebSocket.UpgradeAsync(quiet, Encoding.Latin1.GetBytes(Join(Line, s_lines)));

        Assert.Equal(101, socket.Response.Status);
        Assert.NotNull(socket.Response.Header("Date"));
        await socket.InitAsync();
    }

    [Fact]
    public async Task Where_hosts_are_restricted_the_web_server_sees_every_upgrade()
    {
        using var folder = new TemporaryFolder();
        await using var run = GatewayRun.Start(
            folder.Path, [("AllowedHosts", "events.example.com")], "--urls", "http://127.0.0.1:0", "--api-key", Credentials.ApiKey);
        var endPoint = new IPEndPoint(IPAddress.Loopback, (await run.WaitUntilListeningAsync()).Port);

        await using var refused = await RawWebSocket.OpenAsync(endPoint, Handshake.WithKey() with { Host = "localhost" });
        Assert.Equal(400, refused.Response.Status);
        await using var served = await RawWebSocket.ConnectAsync(endPoint, Handshake.WithKey() with { Host = "events.example.com" });
        Assert.NotNull(served.Response.Header("Date"));
        await served.InitAsync();
    }

    private static string Mutate(Random random, int index)
    {
        var line = random.Next(8) == 0 ? s_requestLines[index % s_requestLines.Length] : Line;
        var lines = s_lines.ToList();
        for (var count = index == 0 ? 0 : random.Next(3); count > 0; count--)
        {
            var at = random.Next(lines.Count);
            var colon = lines[at].IndexOf(':', StringComparison.Ordinal);
            switch (random.Next(8))
            {
                case 0:
                    lines.RemoveAt(at);
                    break;
                case 1:
                    lines.Insert(random.Next(lines.Count), lines[at]);
                    break;
                case 2 when colon > 0:
                    lines[at] = lines[at][..colon] + ": " + s_values[random.Next(s_values.Length)];
                    break;
                case 3 when colon > 0:
                    lines[at] = lines[at][..colon].ToUpperInvariant() + lines[at][colon..];
                    break;
                case 4 when colon > 0:
                    lines[at] = lines[at][..colon].ToLowerInvariant() + ":" + lines[at][(colon + 1)..].Trim() + "\t ";
                    break;
                case 5:
                    (lines[at], lines[0]) = (lines[0], lines[at]);
                    break;
                default:
                    lines.Insert(random.Next(lines.Count + 1), s_moreLines[random.Next(s_moreLines.Length)]);
                    break;
            }

            if (lines.Count == 0)
            {
                break;
            }
        }

        return Join(line, lines);
    }

    private static string Join(string line, IEnumerable<string> lines) => line + "\r\n" + string.Concat(lines.Select(text => text + "\r\n")) + "\r\n";

    private static string Show(string head) => (head.Length > 2000 ? head[..2000] + "…" : head).Replace("\r", "\\r", StringComparison.Ordinal);

    private async Task<RawConnection> OpenAsync(bool isWebServer)
    {
        var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        if (isWebServer)
        {
            await connection.SendAsync("GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
            await connection.SkipBodyAsync(await connection.ReadHeadAsync());
        }

        return connection;
    }

    private async Task<(string Text, string? Date)> UpgradeAsync(string head, bool isWebServer)
    {
        await using var connection = await OpenAsync(isWebServer);
        await using var socket = await RawWebSocket.UpgradeAsync(connection, Encoding.Latin1.GetBytes(head));
        var response = socket.Response;
        var text = new StringBuilder($"{response.Status}\n");
        foreach (var (name, value) in response.Headers.OrderBy(header => header.Name, StringComparer.OrdinalIgnoreCase))
        {
            if (name is not ("Date" or "x-amzn-RequestId"))
            {
                text.Append($"{name}: {value}\n");
            }
        }

        if (response.Status == 101)
        {
            await socket.SendAsync(Messages.Init);
            text.Append(await socket.NextTextAsync("the first message"));
        }

        return (text.ToString(), response.Header("Date"));
    }
}
