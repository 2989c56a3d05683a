using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Authorization.Lambda;

/// <summary>What an authorizer function is told of each operation.</summary>
public sealed class AuthorizerRequestTests
{
    private const string Allow = """{"isAuthorized":true}""";

    [Fact]
    public async Task An_http_publish_is_described()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);

        var answer = await fixture.PostAsync(
            "Bearer not-a-jwt", "chat/room-7/", ("Cookie", "session=1"), ("X-Tag", "a"), ("Host", "events.example.com"));

        Assert.Equal(200, answer.Status);
        var call = Assert.Single(lambda.Calls);
        Assert.Equal(
            "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aauth/invocations", call.RequestLine);
        AssertRequest(
            fixture, call, """
            {
              "authorizationToken": "Bearer not-a-jwt",
              "requestContext": {
                "apiId": "API", "accountId": "000000000000", "requestId": "REQUEST", "operation": "EVENT_PUBLISH",
                "channelNamespaceName": "chat", "channel": "/chat/room-7"
              },
              "requestHeaders": {"content-type": "application/json", "host": "events.example.com", "x-tag": "a", "authorization": "Bearer not-a-jwt"}
            }
            """,
            requestId: answer.Header("x-amzn-RequestId"), "content-length", "traceparent");
    }

    [Fact]
    public async Task A_connect_is_described_without_a_channel()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);

        Assert.Equal("connection_ack", (string?)(await fixture.ConnectAsync())["type"]);

        AssertRequest(
            fixture, Assert.Single(lambda.Calls), """
            {
              "authorizationToken": "custom-token-123",
              "requestContext": {"apiId": "API", "accountId": "000000000000", "requestId": "REQUEST", "operation": "EVENT_CONNECT"},
              "requestHeaders": {"host": "events.example.com", "authorization": "custom-token-123"}
            }
            """,
            requestId: null, "connection", "upgrade", "sec-websocket-key", "sec-websocket-version");
    }

    [Fact]
    public async Task A_message_is_described_with_its_own_headers_over_those_of_the_upgrade()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);
        await using var socket = await fixture.Server.ConnectAsync(
            Handshake.WithKey() with { Headers = [("Cookie", "session=1"), ("User-Agent", "demo/1")] });

        Assert.Equal("subscribe_success", (string?)(await AuthorizerFixture.SubscribeAsync(socket, "s", channel: "/chat/w/*"))["type"]);
        var authorization = AuthorizerFixture.Authorization("an \"other\" token");
        authorization["X-Custom"] = "c";
        authorization["x-number"] = 5;
        await socket.SendAsync(Messages.Publish("p", "/chat/a/b", authorization, "1"));
        await socket.NextAsync("publish_success", "p");

        Assert.Equal(2, lambda.Calls.Count);
        AssertRequest(
            fixture, lambda.Calls.First(), """
            {
              "authorizationToken": "custom-token-123",
              "requestContext": {
                "apiId": "API", "accountId": "000000000000", "requestId": "REQUEST", "operation": "EVENT_SUBSCRIBE",
                "channelNamespaceName": "chat", "channel": "/chat/w/*"
              },
              "requestHeaders": {"host": "events.example.com", "user-agent": "demo/1", "authorization": "custom-token-123"}
            }
            """,
            requestId: null, "connection", "upgrade", "sec-websocket-key", "sec-websocket-version");
        AssertRequest(
            fixture, lambda.Calls.Last(), """
            {
              "authorizationToken": "an \"other\" token",
              "requestContext": {
                "apiId": "API", "accountId": "000000000000", "requestId": "REQUEST", "operation": "EVENT_PUBLISH",
                "channelNamespaceName": "chat", "channel": "/chat/a/b"
              },
              "requestHeaders": {"host": "events.example.com", "user-agent": "demo/1", "authorization": "an \"other\" token", "x-custom": "c"}
            }
            """,
            requestId: null, "connection", "upgrade", "sec-websocket-key", "sec-websocket-version");
    }

    private static void AssertRequest(
        AuthorizerFixture fixture, FakeCall call, string expected, string? requestId, params string[] transportHeaders)
    {
        var actual = call.Json;
        var id = (string?)actual["requestContext"]!["requestId"];
        Assert.True(Guid.TryParse(id, out _), id);
        Assert.Equal(requestId ?? id, id);
        foreach (var name in transportHeaders)
        {
            actual["requestHeaders"]!.AsObject().Remove(name);
        }

        var apiId = fixture.Server.Services.GetRequiredService<ServedModel>().Directory.Default.Model.Id;
        var wanted = JsonNode.Parse(expected.Replace("API", apiId, StringComparison.Ordinal).Replace("REQUEST", id, StringComparison.Ordinal))!;
        Assert.True(JsonNode.DeepEquals(wanted, actual), $"expected {wanted.ToJsonString()}\ngot      {actual.ToJsonString()}");
    }
}
