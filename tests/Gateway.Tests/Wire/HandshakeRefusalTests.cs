using System.Diagnostics;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>Upgrades that lead nowhere: failures are told in a <c>connection_error</c> after a 101, never by an HTTP status.</summary>
public sealed class HandshakeRefusalTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const string Events = Credentials.EventsProtocol;

    /// <summary>Header lists that cannot be understood: name, headers.</summary>
    public static TheoryData<string, string[]> MalformedCredentials => new()
    {
        { "not base64", [$"{Events}, header-!!!!"] },
        { "a base64 text of impossible length", [$"{Events}, header-abcde"] },
        { "nothing after the dash", [$"{Events}, header-"] },
        { "not JSON", [$"{Events}, {Credentials.HeaderProtocol("hello")}"] },
        { "cut JSON", [$"{Events}, {Credentials.HeaderProtocol("""{"host":"a","x-api-key":"b""")}"] },
        { "text after the JSON", [$"{Events}, {Credentials.HeaderProtocol(Messages.Authorization + "x")}"] },
        { "an array", [$"{Events}, {Credentials.HeaderProtocol("[]")}"] },
        { "a string", [$"{Events}, {Credentials.HeaderProtocol("\"x\"")}"] },
        { "null", [$"{Events}, {Credentials.HeaderProtocol("null")}"] },
        { "an empty object", [$"{Events}, {Credentials.HeaderProtocol("{}")}"] },
        { "no host", [$"{Events}, {Credentials.HeaderProtocol($$"""{"x-api-key":"{{Credentials.ApiKey}}"}""")}"] },
        { "not UTF-8", [$"{Events}, header-{Credentials.ToBase64Url([.. "{\"host\":\""u8, 0xff, 0xfe, .. "\"}"u8])}"] },
        { "half a character in a value", [$"{Events}, {Credentials.HeaderProtocol("""{"host":"a","x-api-key":"\ud800"}""")}"] },
        { "half a character in the host", [$"{Events}, {Credentials.HeaderProtocol("""{"host":"\ud800","x-api-key":"a"}""")}"] },
        { "half a character in a name", [$"{Events}, {Credentials.HeaderProtocol("""{"host":"a","\udc00":"a"}""")}"] },
        { "a bomb of brackets", [$"{Events}, {Credentials.HeaderProtocol(new string('[', 5000))}"] },
    };

    [Fact]
    public async Task Unknown_key_is_refused_in_a_message_after_the_first_frame()
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey));

        Assert.Equal(Events, socket.Response.Header("Sec-WebSocket-Protocol"));
        await socket.SendAsync(Messages.Init);
        var error = WireError.AssertReply(await socket.NextAsync(), "connection_error", null, "UnauthorizedException");
        Assert.Equal(401, error.ErrorCode);
        Assert.Equal("You are not authorized to make this call.", error.Message);
        await socket.AssertClosedAsync(1000);
    }

    [Fact]
    public async Task Refusal_answers_any_first_frame_and_performs_no_operation()
    {
        await using var witness = await gateway.Server.ConnectAsync();
        await witness.SubscribeAsync("witness", "/default/refused");
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey));

        await socket.SendAsync(Messages.Publish("p", "/default/refused", "1"));
        WireError.AssertReply(await socket.NextAsync(), "connection_error", null, "UnauthorizedException");
        await socket.AssertClosedAsync(1000);

        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/refused", "2");
        Assert.Equal("2", await witness.NextEventAsync("witness"));
    }

    [Fact]
    public async Task Refusal_of_a_silent_client_comes_after_a_second()
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey));
        var upgraded = Stopwatch.GetTimestamp();

        var message = await socket.NextAsync("connection_error");

        WireError.AssertReply(message, "connection_error", null, "UnauthorizedException");
        // The client's clock starts a little after the server's, hence the slack below one second.
        Assert.InRange(Stopwatch.GetElapsedTime(upgraded), TimeSpan.FromSeconds(0.8), TimeSpan.FromSeconds(10));
        await socket.AssertClosedAsync(1000);
    }

    [Theory]
    [InlineData("")]
    [InlineData("da2-")]
    [InlineData("DA2-AAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("da2-aaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("da2-aaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("da2-aaaaaaaaaaaaaaaaaaaaaaaaaé")]
    public async Task Keys_that_resemble_a_known_one_are_refused(string key)
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithKey(key));

        await AssertRefusedAsync(socket, "UnauthorizedException", 401);
    }

    [Fact]
    public async Task Missing_credentials_are_refused_like_bad_ones()
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithProtocols(Events));

        await AssertRefusedAsync(socket, "UnauthorizedException", 401);
    }

    [Fact]
    public async Task Credentials_that_sign_in_nobody_are_refused()
    {
        var protocol = Credentials.HeaderProtocol("""{"host":"events.example.com","Authorization":"Bearer abc"}""");
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithProtocols($"{Events}, {protocol}"));

        await AssertRefusedAsync(socket, "UnauthorizedException", 401);
    }

    [Theory]
    [MemberData(nameof(MalformedCredentials))]
    public async Task Credentials_that_cannot_be_read_are_a_bad_request(string what, string[] headers)
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithProtocols(headers));

        Assert.NotNull(what);
        await AssertRefusedAsync(socket, "BadRequestException", 400);
    }

    [Fact]
    public async Task Missing_events_protocol_is_told_in_a_message()
    {
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithProtocols(Credentials.HeaderProtocol(Credentials.KeyAuthorization())));

        Assert.Null(socket.Response.Header("Sec-WebSocket-Protocol"));
        await AssertRefusedAsync(socket, "NoProtocolError", 400);
    }

    [Fact]
    public async Task Upgrade_without_any_subprotocol_is_told_in_a_message()
    {
        await using var socket = await gateway.Server.ConnectAsync(
            new Handshake { Headers = [("x-api-key", Credentials.ApiKey)] });

        Assert.Null(socket.Response.Header("Sec-WebSocket-Protocol"));
        await AssertRefusedAsync(socket, "NoProtocolError", 400);
    }

    [Theory]
    [InlineData("AWS-APPSYNC-EVENT-WS")]
    [InlineData("aws-appsync-event-ws2")]
    [InlineData("graphql-ws")]
    public async Task Names_that_resemble_the_events_protocol_do_not_count(string protocol)
    {
        var header = Credentials.HeaderProtocol(Credentials.KeyAuthorization());
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithProtocols($"{protocol}, {header}"));

        Assert.Null(socket.Response.Header("Sec-WebSocket-Protocol"));
        await AssertRefusedAsync(socket, "NoProtocolError", 400);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(1000)]
    public async Task Refused_connection_reports_once_whatever_the_client_sends(int frames)
    {
        await using var socket = await gateway.Server.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey));
        var burst = Enumerable.Range(0, frames).SelectMany(_ => WireFrame.EncodeText(Messages.Init)).ToArray();

        await socket.SendBytesAsync(burst);

        WireError.AssertReply(await socket.NextAsync(), "connection_error", null, "UnauthorizedException");
        await socket.AssertClosedAsync(1000);
    }

    [Fact]
    public async Task Plain_get_of_the_realtime_path_is_refused()
    {
        var head = await SendAsync("GET /event/realtime HTTP/1.1\r\nHost: a\r\n\r\n");

        Assert.Contains(head.Status, (int[])[400, 426]);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/realtime")]
    [InlineData("/event/realtime/x")]
    [InlineData("/graphql/realtime")]
    public async Task Upgrade_of_another_path_is_not_found(string path)
    {
        await using var socket = await RawWebSocket.OpenAsync(gateway.Server.EndPoint, Handshake.WithKey() with { Target = path });

        Assert.Equal(404, socket.Response.Status);
    }

    [Theory]
    [InlineData("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")]
    [InlineData("Sec-WebSocket-Version: 13\r\n")]
    [InlineData("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n")]
    public async Task Upgrade_that_is_no_websocket_of_version_13_is_refused(string headers)
    {
        var head = await SendAsync(
            $"GET /event/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\r\n");

        Assert.InRange(head.Status, 400, 426);
    }

    [Fact]
    public async Task No_answer_and_no_log_line_holds_a_credential()
    {
        await using var server = await GatewayServer.StartAsync("--Fanfare:Limits:RejectionDelay=00:00:00.050");
        string[] secrets = [Credentials.ApiKey, Credentials.UnknownKey, "s3cr3t-token"];
        var token = Credentials.HeaderProtocol("""{"host":"a","Authorization":"s3cr3t-token"}""");
        var query = Uri.EscapeDataString(Convert.ToBase64String(Encoding.UTF8.GetBytes(Messages.Authorization)));
        Handshake[] handshakes =
        [
            Handshake.WithKey(),
            Handshake.WithKey(Credentials.UnknownKey),
            Handshake.WithProtocols($"{Events}, {token}"),
            Handshake.WithProtocols(Events) with { Headers = [("x-api-key", Credentials.UnknownKey)] },
            Handshake.WithProtocols(Events) with { Target = $"/event/realtime?header={query}" },
            Handshake.WithKey() with { Target = "/nowhere" },
            Handshake.WithProtocols(token),
        ];
        var encoded = handshakes.SelectMany(handshake => handshake.Protocols)
            .SelectMany(value => value.Split(", "))
            .Where(value => value.StartsWith("header-", StringComparison.Ordinal))
            .Select(value => value["header-".Length..])
            .Append(query);
        var seen = new StringBuilder();
        foreach (var handshake in handshakes)
        {
            await using var socket = await RawWebSocket.OpenAsync(server.EndPoint, handshake);
            seen.AppendLine(socket.Response.Text);
            if (socket.Response.Status == 101)
            {
                await socket.SendAsync(Messages.Subscribe("a", "/default/a"));
                seen.AppendLine(await socket.NextTextAsync("an answer"));
            }
        }

        await server.StopAsync();
        var log = string.Join('\n', server.Log.Lines.Select(line => line.Text));
        Assert.All(secrets.Concat(encoded), secret =>
        {
            Assert.DoesNotContain(secret, seen.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        });
    }

    private static async Task AssertRefusedAsync(RawWebSocket socket, string errorType, int errorCode)
    {
        await socket.SendAsync(Messages.Init);
        var error = WireError.AssertReply(await socket.NextAsync(), "connection_error", null, errorType);
        Assert.Equal(errorCode, error.ErrorCode);
        await socket.AssertClosedAsync(1000);
    }

    private async Task<ResponseHead> SendAsync(string request)
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        await connection.SendAsync(Encoding.Latin1.GetBytes(request));
        return await connection.ReadHeadAsync();
    }
}
