using System.Collections.Frozen;
using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>Which modes may do what, where (§6.1 to 6.3), with API keys as the mode at hand.</summary>
public sealed class AuthorizationTests
{
    private const string OtherKey = "da2-bbbbbbbbbbbbbbbbbbbbbbbbbb";
    private const string FirstId = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    private const string SecondId = "bbbbbbbbbbbbbbbbbbbbbbbbbb";

    [Fact]
    public async Task Namespace_that_keys_may_not_publish_to_refuses_without_a_message()
    {
        await using var server = await GatewayServer.StartAsync(
            [CreateApi([new ChannelNamespace { Name = "iam", PublishModes = AuthModes.AwsIam }])]);
        await using var socket = await server.ConnectAsync();
        await socket.SubscribeAsync("s", "/iam/a");

        await socket.SendAsync(Messages.Publish("p", "/iam/a", "1"));
        Assert.Null(WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException").Message);
        (await HttpPublisher.PostAsync(server, Messages.HttpBody("/iam/a", "1"))).AssertError(403, "UnauthorizedException", null);
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Namespace_that_keys_may_not_subscribe_to_refuses_without_a_message()
    {
        await using var server = await GatewayServer.StartAsync(
            [CreateApi([new ChannelNamespace { Name = "iam", SubscribeModes = AuthModes.AwsIam }])]);
        await using var socket = await server.ConnectAsync();

        foreach (var channel in (string[])["/iam/a", "/iam/*", "/iam"])
        {
            await socket.SendAsync(Messages.Subscribe("s", channel));
            Assert.Null(WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "UnauthorizedException").Message);
        }

        await socket.PublishAsync("/iam/a", "1");
    }

    [Fact]
    public async Task Modes_of_a_namespace_replace_the_default_ones()
    {
        var api = CreateApi(
            defaultModes: AuthModes.AwsIam,
            namespaces:
            [
                new ChannelNamespace { Name = "keys", PublishModes = AuthModes.ApiKey, SubscribeModes = AuthModes.ApiKey },
                new ChannelNamespace { Name = "both", PublishModes = AuthModes.AwsIam | AuthModes.ApiKey },
                new ChannelNamespace { Name = "plain" },
            ]);
        await using var server = await GatewayServer.StartAsync([api]);
        await using var socket = await server.ConnectAsync();

        await socket.SubscribeAsync("s", "/keys/a");
        await socket.PublishAsync("/both/a", "1");
        foreach (var channel in (string[])["/both/a", "/plain/a"])
        {
            await socket.SendAsync(Messages.Subscribe("x", channel));
            WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "x", "UnauthorizedException");
        }
    }

    [Fact]
    public async Task Connection_needs_a_connection_mode_and_http_does_not()
    {
        await using var server = await GatewayServer.StartAsync([CreateApi(connectionModes: AuthModes.AwsIam)]);
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync(Messages.Init);

        var error = WireError.AssertReply(await socket.NextAsync(), "connection_error", null, "UnauthorizedException");
        Assert.Equal(401, error.ErrorCode);
        await socket.AssertClosedAsync(1000);
        Assert.Equal(200, (await HttpPublisher.PostAsync(server, Messages.HttpBody("/default/a", "1"))).Status);
    }

    [Fact]
    public async Task Every_key_of_an_api_signs_in_until_it_expires()
    {
        var clock = new ManualTimeProvider();
        var api = CreateApi(keys:
        [
            new ApiKey { Hash = ApiKey.ComputeHash(Credentials.ApiKey) },
            new ApiKey { Hash = ApiKey.ComputeHash(OtherKey), Expires = DateTimeOffset.UtcNow.AddHours(2) },
            new ApiKey { Hash = ApiKey.ComputeHash(Credentials.UnknownKey), Expires = DateTimeOffset.UtcNow.AddHours(-2) },
        ]);
        await using var server = await GatewayServer.StartAsync([api]);
        foreach (var key in (string[])[Credentials.ApiKey, OtherKey])
        {
            await using var good = await server.ConnectAsync(Handshake.WithKey(key));
            await good.InitAsync();
            await good.SendAsync(Messages.Subscribe("s", "/default/a", Credentials.KeyAuthorization(key)));
            await good.NextAsync("subscribe_success", "s");
        }

        await using var expired = await server.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey));
        await expired.SendAsync(Messages.Init);
        WireError.AssertReply(await expired.NextAsync(), "connection_error", null, "UnauthorizedException");
    }

    [Fact]
    public async Task Each_message_is_authorized_by_its_own_credentials()
    {
        await using var server = await GatewayServer.StartAsync(
            [CreateApi(keys: [new ApiKey { Hash = ApiKey.ComputeHash(Credentials.ApiKey) }, new ApiKey { Hash = ApiKey.ComputeHash(OtherKey) }])]);
        await using var socket = await server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", "/default/a", Credentials.KeyAuthorization(OtherKey)));
        await socket.NextAsync("subscribe_success", "s");
        await socket.SendAsync(Messages.Publish("p", "/default/b", Credentials.KeyAuthorization(OtherKey), "1"));
        await socket.NextAsync("publish_success", "p");
        await socket.SendAsync(Messages.Publish("p", "/default/b", Credentials.KeyAuthorization(Credentials.UnknownKey), "1"));
        WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException");
    }

    [Fact]
    public async Task Api_is_chosen_by_the_first_label_of_the_host()
    {
        var first = CreateApi([new ChannelNamespace { Name = "one" }]);
        var second = CreateApi(
            id: SecondId, keys: [new ApiKey { Hash = ApiKey.ComputeHash(OtherKey) }], namespaces: [new ChannelNamespace { Name = "two" }]);
        await using var server = await GatewayServer.StartAsync([first, second]);

        Assert.Equal(200, await PublishAsync(server, "unknown.example.com", Credentials.ApiKey, "/one/a"));
        Assert.Equal(200, await PublishAsync(server, $"{FirstId}.example.com", Credentials.ApiKey, "/one/a"));
        Assert.Equal(200, await PublishAsync(server, $"{SecondId}.example.com:8080", OtherKey, "/two/a"));
        Assert.Equal(401, await PublishAsync(server, $"{SecondId}.example.com", Credentials.ApiKey, "/two/a"));
        Assert.Equal(403, await PublishAsync(server, $"{SecondId}.example.com", OtherKey, "/one/a"));
        Assert.Equal(401, await PublishAsync(server, $"{FirstId}.example.com", OtherKey, "/one/a"));
    }

    [Fact]
    public async Task Events_stay_within_their_api()
    {
        var first = CreateApi();
        var second = CreateApi(id: SecondId, keys: [new ApiKey { Hash = ApiKey.ComputeHash(OtherKey) }]);
        await using var server = await GatewayServer.StartAsync([first, second]);
        await using var one = await server.ConnectAsync();
        await one.SubscribeAsync("s", "/default/*");
        await using var two = await server.ConnectAsync(Handshake.WithKey(OtherKey) with { Host = $"{SecondId}.example.com" });
        await two.SendAsync(Messages.Subscribe("s", "/default/a", Credentials.KeyAuthorization(OtherKey)));
        await two.NextAsync("subscribe_success", "s");

        Assert.Equal(200, await PublishAsync(server, $"{SecondId}.example.com", OtherKey, "/default/a", "2"));
        Assert.Equal(200, await PublishAsync(server, $"{FirstId}.example.com", Credentials.ApiKey, "/default/a", "1"));

        Assert.Equal("1", await one.NextEventAsync("s"));
        Assert.Equal("2", await two.NextEventAsync("s"));
        await one.AssertNothingElseAsync();
        await two.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Key_of_one_api_opens_no_connection_to_another()
    {
        await using var server = await GatewayServer.StartAsync(
            [CreateApi(), CreateApi(id: SecondId, keys: [new ApiKey { Hash = ApiKey.ComputeHash(OtherKey) }])]);
        await using var socket = await server.ConnectAsync(Handshake.WithKey() with { Host = $"{SecondId}.example.com" });

        await socket.SendAsync(Messages.Init);

        WireError.AssertReply(await socket.NextAsync(), "connection_error", null, "UnauthorizedException");
    }

    private static async Task<int> PublishAsync(GatewayServer server, string host, string key, string channel, string text = "1")
    {
        await using var connection = await RawConnection.OpenAsync(server.EndPoint);
        var body = Messages.HttpBody(channel, text);
        await connection.SendAsync(Encoding.Latin1.GetBytes(
            $"POST /event HTTP/1.1\r\nHost: {host}\r\nx-api-key: {key}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        return (await connection.ReadHeadAsync()).Status;
    }

    private static Api CreateApi(
        IReadOnlyList<ChannelNamespace>? namespaces = null,
        string id = FirstId,
        AuthModes connectionModes = AuthModes.ApiKey,
        AuthModes defaultModes = AuthModes.ApiKey,
        IReadOnlyList<ApiKey>? keys = null) => new()
        {
            Id = id,
            Name = id,
            HttpHost = "localhost",
            RealtimeHost = "localhost",
            AuthProviders = [new AuthProvider { Mode = AuthMode.ApiKey }, new AuthProvider { Mode = AuthMode.AwsIam }],
            ConnectionModes = connectionModes,
            DefaultPublishModes = defaultModes,
            DefaultSubscribeModes = defaultModes,
            Namespaces = (namespaces ?? [new ChannelNamespace { Name = "default" }])
                .ToFrozenDictionary(ns => ns.Name, StringComparer.Ordinal),
            Keys = keys ?? [new ApiKey { Hash = ApiKey.ComputeHash(Credentials.ApiKey) }],
        };
}
