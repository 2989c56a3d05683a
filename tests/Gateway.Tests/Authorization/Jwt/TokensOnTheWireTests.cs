using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>Tokens as clients send them: in the subprotocol, in messages and in headers, against a gateway over sockets.</summary>
public sealed class TokensOnTheWireTests
{
    private const string PoolId = "eu-west-1_Ab12Cd34E";

    [Theory]
    [InlineData("id")]
    [InlineData("access")]
    [InlineData("openid")]
    public async Task A_token_connects_subscribes_and_publishes(string kind)
    {
        await using var host = await IssuerHost.StartAsync();
        await using var server = await StartAsync(host);
        var authorization = AuthorizationOf(Token(host, kind));
        await using var socket = await ConnectAsync(server, authorization);
        await socket.InitAsync();

        await socket.SendAsync(Messages.Subscribe("s", "/scores/*", Copy(authorization)));
        await socket.NextAsync("subscribe_success", "s");
        await AssertPublishedAsync(socket, authorization, "1");

        var answer = await HttpPublisher.SendAsync(
            server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody("/scores/a", "2")),
            ("Authorization", "Bearer " + Token(host, kind)));
        Assert.Equal(200, answer.Status);
        Assert.Equal("2", await socket.NextEventAsync("s"));
        Assert.Equal(1, host.KeyRequests);
    }

    [Theory]
    [InlineData("expired", "Token has expired.")]
    [InlineData("forged", "You are not authorized to make this call.")]
    [InlineData("stranger", "You are not authorized to make this call.")]
    [InlineData("client", "You are not authorized to make this call.")]
    [InlineData("garbage", "You are not authorized to make this call.")]
    public async Task A_wrong_token_is_answered_401_everywhere(string kind, string message)
    {
        await using var host = await IssuerHost.StartAsync();
        await using var server = await StartAsync(host);
        var wrong = AuthorizationOf(Token(host, kind));

        await using (var refused = await ConnectAsync(server, wrong))
        {
            await refused.SendAsync(Messages.Init);
            var error = WireError.AssertReply(await refused.NextAsync("connection_error"), "connection_error", null, "UnauthorizedException");
            Assert.Equal((401, message), (error.ErrorCode, error.Message));
        }

        await using var socket = await ConnectAsync(server, AuthorizationOf(Token(host, "id")));
        await socket.InitAsync();
        await socket.SendAsync(Messages.Subscribe("s", "/scores/a", Copy(wrong)));
        Assert.Equal(message, WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "UnauthorizedException").Message);
        await socket.SendAsync(Messages.Publish("p", "/scores/a", Copy(wrong), "1"));
        Assert.Equal(message, WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException").Message);

        var answer = await HttpPublisher.SendAsync(
            server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody("/scores/a", "2")),
            ("Authorization", Token(host, kind)));
        answer.AssertError(401, "UnauthorizedException", message);
    }

    [Fact]
    public async Task A_mode_that_the_namespace_does_not_allow_is_answered_403()
    {
        await using var host = await IssuerHost.StartAsync();
        await using var server = await StartAsync(host);
        foreach (var channel in new[] { "/staff/a", "/nowhere/a" })
        {
            var answer = await HttpPublisher.SendAsync(
                server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody(channel, "1")),
                ("Authorization", Token(host, "openid")));
            answer.AssertError(403, "UnauthorizedException", null);
        }

        var allowed = await HttpPublisher.SendAsync(
            server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody("/staff/a", "1")),
            ("Authorization", Token(host, "access")));
        Assert.Equal(200, allowed.Status);
    }

    [Fact]
    public async Task An_open_connection_outlives_its_token_and_its_next_operation_does_not()
    {
        await using var host = await IssuerHost.StartAsync();
        var clock = new ManualTimeProvider();
        await using var server = await StartAsync(host, clock);
        var authorization = AuthorizationOf(Token(host, "id"));
        await using var socket = await ConnectAsync(server, authorization);
        await socket.InitAsync();
        await socket.SendAsync(Messages.Subscribe("s", "/scores/a", Copy(authorization)));
        await socket.NextAsync("subscribe_success", "s");

        clock.Advance(TimeSpan.FromHours(2));
        await socket.SendAsync(Messages.Publish("p", "/scores/a", Copy(authorization), "1"));
        Assert.Equal("Token has expired.", WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException").Message);
        await AssertPublishedAsync(socket, AuthorizationOf(Token(host, "id", 4)), "2");
    }

    [Fact]
    public async Task No_token_is_logged()
    {
        await using var host = await IssuerHost.StartAsync();
        await using var server = await StartAsync(host);
        foreach (var kind in new[] { "id", "expired", "forged", "client" })
        {
            var token = Token(host, kind);
            await using var socket = await ConnectAsync(server, AuthorizationOf(token));
            await socket.SendAsync(Messages.Init);
            await socket.NextAsync("an answer to connection_init");
            Assert.All(server.Log.Lines, line => Assert.DoesNotContain(token.Split('.')[1][..20], line.Text, StringComparison.Ordinal));
        }
    }

    private static Task<GatewayServer> StartAsync(IssuerHost host, TimeProvider? clock = null) => GatewayServer.StartWithTemplateAsync(
        clock,
        $$"""
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: scores
              EventConfig:
                AuthProviders:
                  - AuthType: AMAZON_COGNITO_USER_POOLS
                    CognitoConfig: {UserPoolId: {{PoolId}}, AwsRegion: eu-west-1, AppIdClientRegex: '^web$'}
                  - AuthType: OPENID_CONNECT
                    OpenIDConnectConfig: {Issuer: '{{host.Issuer}}', ClientId: '^(web|mobile)$', IatTTL: 7200000}
                ConnectionAuthModes: [{AuthType: AMAZON_COGNITO_USER_POOLS}, {AuthType: OPENID_CONNECT}]
                DefaultPublishAuthModes: [{AuthType: AMAZON_COGNITO_USER_POOLS}, {AuthType: OPENID_CONNECT}]
                DefaultSubscribeAuthModes: [{AuthType: AMAZON_COGNITO_USER_POOLS}, {AuthType: OPENID_CONNECT}]
          Scores:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: scores}
          Staff:
            Type: AWS::AppSync::ChannelNamespace
            Properties:
              ApiId: !GetAtt Api.ApiId
              Name: staff
              PublishAuthModes: [{AuthType: AMAZON_COGNITO_USER_POOLS}]
        """,
        $"--Fanfare:Cognito:Endpoint={host.Address}");

    private static Task<RawWebSocket> ConnectAsync(GatewayServer server, JsonObject authorization) => server.ConnectAsync(
        Handshake.WithProtocols($"{Credentials.EventsProtocol}, {Credentials.HeaderProtocol(authorization)}"));

    /// <summary>Publishes one event and asserts that it is answered and delivered, in either order.</summary>
    private static async Task AssertPublishedAsync(RawWebSocket socket, JsonObject authorization, string text)
    {
        await socket.SendAsync(Messages.Publish("p", "/scores/a", Copy(authorization), text));
        JsonObject[] both = [await socket.NextAsync(), await socket.NextAsync()];
        Assert.Single(both, message => (string?)message["type"] == "publish_success");
        Assert.Single(both, message => (string?)message["type"] == "data" && (string?)message["event"] == text);
    }

    private static JsonObject AuthorizationOf(string token) => new() { ["host"] = Credentials.Host, ["Authorization"] = token };

    private static JsonObject Copy(JsonObject authorization) => authorization.DeepClone().AsObject();

    private static string Token(IssuerHost host, string kind, int hours = 1)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var pool = new JsonObject
        {
            ["sub"] = "3f1c", ["iss"] = $"{host.Address}/{PoolId}", ["iat"] = now, ["exp"] = now + (hours * 3600), ["token_use"] = "id",
            ["aud"] = "web", ["cognito:username"] = "ana",
        };
        switch (kind)
        {
            case "access":
                pool["token_use"] = "access";
                pool["client_id"] = "web";
                pool.Remove("aud");
                return TestSigner.Rsa.Sign(pool);
            case "openid":
                return TestSigner.Ec.Sign(new JsonObject
                {
                    ["sub"] = "u", ["iss"] = host.Issuer, ["iat"] = now, ["exp"] = now + 3600, ["aud"] = new JsonArray("api", "mobile"),
                });
            case "expired":
                pool["exp"] = now - 3600;
                return TestSigner.Rsa.Sign(pool);
            case "forged":
                return TestSigner.OtherRsa.As("RS256", "rsa-1").Sign(pool);
            case "stranger":
                pool["iss"] = "https://example.com";
                return TestSigner.Rsa.Sign(pool);
            case "client":
                pool["aud"] = "webmail";
                return TestSigner.Rsa.Sign(pool);
            case "garbage":
                return "not-a-token";
            default:
                return TestSigner.Rsa.Sign(pool);
        }
    }
}
