using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>What browsers need to publish from a page of another origin (§1.5).</summary>
public sealed class CorsTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private static readonly string[] s_headersToAllow =
    [
        "authorization", "content-type", "x-api-key", "x-amz-date", "x-amz-security-token", "x-amz-user-agent", "x-amz-content-sha256",
    ];

    [Fact]
    public async Task Preflight_allows_what_clients_send()
    {
        var answer = await HttpPublisher.SendAsync(
            gateway.Server,
            HttpMethod.Options,
            "/event",
            null,
            ("Origin", "https://app.example.com"),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,x-api-key"));

        Assert.Contains(answer.Status, (int[])[200, 204]);
        Assert.Equal("*", answer.Header("Access-Control-Allow-Origin"));
        Assert.Contains("POST", ListOf(answer.Header("Access-Control-Allow-Methods")));
        var allowed = ListOf(answer.Header("Access-Control-Allow-Headers"));
        Assert.All(s_headersToAllow, header => Assert.Contains(header, allowed, StringComparer.OrdinalIgnoreCase));
        Assert.True(int.Parse(answer.Header("Access-Control-Max-Age")!) > 0);
    }

    [Fact]
    public async Task Preflight_needs_no_credentials_and_no_origin()
    {
        var answer = await HttpPublisher.SendAsync(gateway.Server, HttpMethod.Options, "/event", null);

        Assert.Contains(answer.Status, (int[])[200, 204]);
        Assert.Equal("*", answer.Header("Access-Control-Allow-Origin"));
    }

    [Theory]
    [InlineData("good")]
    [InlineData("bad body")]
    [InlineData("bad key")]
    [InlineData("unknown namespace")]
    public async Task Answers_can_be_read_by_pages_of_any_origin(string situation)
    {
        var body = situation switch
        {
            "bad body" => "{",
            "unknown namespace" => Messages.HttpBody("/nowhere/a", "1"),
            _ => Messages.HttpBody("/default/a", "1"),
        };
        var answer = await HttpPublisher.SendAsync(
            gateway.Server,
            HttpMethod.Post,
            "/event",
            Encoding.UTF8.GetBytes(body),
            ("Origin", "https://app.example.com"),
            ("x-api-key", situation == "bad key" ? Credentials.UnknownKey : Credentials.ApiKey));

        Assert.Equal("*", answer.Header("Access-Control-Allow-Origin"));
        var exposed = ListOf(answer.Header("Access-Control-Expose-Headers"));
        Assert.Contains("x-amzn-RequestId", exposed, StringComparer.OrdinalIgnoreCase);
        Assert.Contains("x-amzn-errortype", exposed, StringComparer.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Websockets_open_from_pages_of_any_origin()
    {
        await using var socket = await gateway.Server.ConnectAsync(
            Handshake.WithKey() with { Headers = [("Origin", "https://app.example.com")] });

        await socket.InitAsync();
    }

    private static string[] ListOf(string? value) =>
        value?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];
}
