using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>The upgrade request: every way in which clients are known to carry their credentials.</summary>
public sealed class HandshakeTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const string Events = Credentials.EventsProtocol;

    private static readonly string s_header = Credentials.HeaderProtocol(Credentials.KeyAuthorization());

    /// <summary>Lists of <c>Sec-WebSocket-Protocol</c> headers, each with a name for the report.</summary>
    public static TheoryData<string, string[]> AcceptedProtocols => new()
    {
        { "events first", [$"{Events}, {s_header}"] },
        { "credentials first", [$"{s_header}, {Events}"] },
        { "no space", [$"{Events},{s_header}"] },
        { "spaces and tabs", [$"  {Events} \t,\t {s_header}  "] },
        { "empty list elements", [$", {Events},, {s_header},"] },
        { "two headers", [Events, s_header] },
        { "two headers, credentials first", [s_header, Events] },
        { "another protocol besides", [$"graphql-ws, {Events}, {s_header}"] },
    };

    /// <summary>Spellings of the same authorization object.</summary>
    public static TheoryData<string, string> AcceptedEncodings
    {
        get
        {
            // The texts give values whose base64 ends in no, one and two padding characters and holds + and /.
            var rows = new TheoryData<string, string>();
            foreach (var filler in new[] { "", "a", "ab", "~~~???>>>", "é€😀" })
            {
                var authorization = Credentials.KeyAuthorization();
                authorization["x-amz-user-agent"] = filler;
                var bytes = Encoding.UTF8.GetBytes(authorization.ToJsonString(Credentials.Relaxed));
                var standard = Convert.ToBase64String(bytes);
                rows.Add($"base64url unpadded '{filler}'", Credentials.ToBase64Url(bytes));
                rows.Add($"base64url padded '{filler}'", standard.Replace('+', '-').Replace('/', '_'));
                rows.Add($"base64 padded '{filler}'", standard);
                rows.Add($"base64 unpadded '{filler}'", standard.TrimEnd('='));
            }

            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(AcceptedProtocols))]
    public async Task Upgrade_accepts_the_subprotocols_in_any_order_and_layout(string layout, string[] headers)
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithProtocols(headers));

        Assert.True(socket.Response.Header("Sec-WebSocket-Protocol") == Events, layout);
        await socket.InitAsync();
    }

    [Theory]
    [MemberData(nameof(AcceptedEncodings))]
    public async Task Upgrade_decodes_every_spelling_of_base64(string spelling, string encoded)
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithProtocols($"{Events}, header-{encoded}"));

        Assert.True(socket.Response.Header("Sec-WebSocket-Protocol") == Events, spelling);
        await socket.InitAsync();
    }

    [Theory]
    [InlineData("host", "x-api-key")]
    [InlineData("Host", "X-Api-Key")]
    [InlineData("HOST", "X-API-KEY")]
    public async Task Names_in_the_authorization_object_are_case_insensitive(string host, string key)
    {
        var authorization = new JsonObject { [host] = Credentials.Host, [key] = Credentials.ApiKey };
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols($"{Events}, {Credentials.HeaderProtocol(authorization)}"));

        await socket.InitAsync();
    }

    [Fact]
    public async Task Members_that_are_not_known_are_ignored()
    {
        var authorization = Credentials.KeyAuthorization();
        authorization["x-amz-date"] = "20260102T030405Z";
        authorization["x-custom"] = "1";
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols($"{Events}, {Credentials.HeaderProtocol(authorization)}"));

        await socket.InitAsync();
    }

    [Theory]
    [InlineData("x-api-key")]
    [InlineData("X-API-KEY")]
    public async Task Credentials_in_real_headers_are_accepted(string name)
    {
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols(Events) with { Headers = [(name, Credentials.ApiKey), ("x-amz-date", "20260102T030405Z")] });

        Assert.Equal(Events, socket.Response.Header("Sec-WebSocket-Protocol"));
        await socket.InitAsync();
    }

    [Fact]
    public async Task Credentials_in_the_query_string_are_accepted_as_a_last_resort()
    {
        var header = Uri.EscapeDataString(Convert.ToBase64String(Encoding.UTF8.GetBytes(Messages.Authorization)));
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols(Events) with { Target = $"/event/realtime?header={header}&payload=e30=" });

        await socket.InitAsync();
    }

    [Fact]
    public async Task Unknown_query_parameters_are_ignored()
    {
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithKey() with { Target = "/event/realtime?x-custom=1&%ff=%00&&=" });

        await socket.InitAsync();
    }

    [Fact]
    public async Task Subprotocol_credentials_win_over_real_headers()
    {
        await using var good = await gateway.Server.ConnectAsync(
            Handshake.WithKey() with { Headers = [("x-api-key", Credentials.UnknownKey)] });
        await good.InitAsync();

        await using var bad = await gateway.Server.ConnectAsync(
            Handshake.WithKey(Credentials.UnknownKey) with { Headers = [("x-api-key", Credentials.ApiKey)] });
        await bad.SendAsync(Messages.Init);
        WireError.AssertReply(await bad.NextAsync(), "connection_error", null, "UnauthorizedException");
    }

    [Fact]
    public async Task Real_headers_win_over_the_query_string()
    {
        var header = Uri.EscapeDataString(Convert.ToBase64String(Encoding.UTF8.GetBytes(
            Credentials.KeyAuthorization(Credentials.UnknownKey).ToJsonString())));
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols(Events) with
            {
                Target = $"/event/realtime?header={header}&payload=e30=",
                Headers = [("x-api-key", Credentials.ApiKey)],
            });

        await socket.InitAsync();
    }

    [Fact]
    public async Task Host_in_the_authorization_object_need_not_be_the_one_reached()
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithKey() with { Host = "elsewhere.example.org:8443" });

        await socket.InitAsync();
    }

    [Fact]
    public async Task Upgrade_takes_credentials_of_twelve_kilobytes()
    {
        var authorization = Credentials.KeyAuthorization();
        authorization["x-amz-security-token"] = new string('t', 9 * 1024);
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols($"{Events}, {Credentials.HeaderProtocol(authorization)}"));

        await socket.InitAsync();
    }

    [Theory]
    [InlineData("keep-alive, Upgrade", "websocket")] // Firefox
    [InlineData("upgrade", "WebSocket")]
    [InlineData("Upgrade", "WEBSOCKET")]
    public async Task Upgrade_is_recognised_however_clients_spell_it(string connection, string upgrade)
    {
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithKey() with { Connection = connection, Upgrade = upgrade });

        await socket.InitAsync();
    }

    [Fact]
    public async Task Plain_websocket_client_of_the_platform_connects_subscribes_and_receives()
    {
        var token = TestContext.Current.CancellationToken;
        using var client = new ClientWebSocket();
        client.Options.AddSubProtocol(Events);
        client.Options.AddSubProtocol(s_header);
        await client.ConnectAsync(new Uri($"ws://{gateway.Server.EndPoint}/event/realtime"), token);
        var buffer = new byte[4096];

        await client.SendAsync(
            Encoding.UTF8.GetBytes(Messages.Subscribe("s", "/default/platform")), WebSocketMessageType.Text, true, token);
        Assert.Equal("""{"type":"subscribe_success","id":"s"}""", await ReceiveAsync());
        await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody("/default/platform", "1"));
        Assert.Equal("""{"type":"data","id":"s","event":"1"}""", await ReceiveAsync());
        await Deadline.WaitAsync(
            async stop => await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, stop), "the answer to a close");
        Assert.Equal(WebSocketCloseStatus.NormalClosure, client.CloseStatus);

        async Task<string> ReceiveAsync()
        {
            var result = await Deadline.WaitAsync(stop => client.ReceiveAsync(buffer.AsMemory(), stop), "a message");
            return Encoding.UTF8.GetString(buffer, 0, result.Count);
        }
    }

    [Fact]
    public async Task Upgrade_answers_the_key_as_the_protocol_demands()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        // The key and its answer are the example of RFC 6455 §1.3.
        Assert.Equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", socket.Response.Header("Sec-WebSocket-Accept"));
        Assert.Equal("websocket", socket.Response.Header("Upgrade"), ignoreCase: true);
        Assert.Equal("Upgrade", socket.Response.Header("Connection"), ignoreCase: true);
    }

    [Fact]
    public async Task No_extension_is_agreed_that_was_not_offered()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        Assert.Null(socket.Response.Header("Sec-WebSocket-Extensions"));
    }

    [Fact]
    public async Task Frames_that_arrive_with_the_upgrade_request_are_not_lost()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        await connection.SendAsync(
            (byte[])[.. Handshake.WithKey().ToBytes(gateway.Server.EndPoint.ToString()), .. WireFrame.EncodeText(Messages.Init)]);

        var head = await connection.ReadHeadAsync();
        Assert.Equal(101, head.Status);
        var hasMessage = await Deadline.WaitAsync(token => connection.FillAsync(2, token), "connection_ack");
        Assert.True(hasMessage);
    }

    [Fact]
    public async Task Nothing_precedes_the_client_s_first_frame()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.AssertNothingElseAsync();
    }
}
