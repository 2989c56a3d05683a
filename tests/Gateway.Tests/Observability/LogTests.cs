using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Observability;

/// <summary>What the gateway writes of its requests, and what it never writes.</summary>
public sealed class LogTests
{
    private static readonly string[] s_successes = ["EVENT_CONNECT", "EVENT_SUBSCRIBE", "EVENT_PUBLISH", "EVENT_PUBLISH"];

    [Fact]
    public async Task An_API_that_logs_nothing_logs_nothing()
    {
        Assert.Empty(await GetApiLinesAsync("NONE"));
    }

    [Fact]
    public async Task An_API_that_logs_errors_logs_just_what_failed()
    {
        var lines = await GetApiLinesAsync("ERROR");

        Assert.All(lines, line => Assert.Equal(LogLevel.Warning, line.Level));
        AssertFailures(lines);
    }

    [Fact]
    public async Task An_API_that_logs_everything_logs_every_request_once()
    {
        var lines = await GetApiLinesAsync("ALL");

        AssertFailures([.. lines.Where(line => line.Level == LogLevel.Warning)]);
        var summaries = lines.Where(line => line.Level == LogLevel.Information).Select(line => line.Text).ToList();
        Assert.All(summaries, text => Assert.StartsWith("RequestSummary ", text, StringComparison.Ordinal));
        Assert.Equal(s_successes.Order(), summaries.Select(GetOperation).Order());
    }

    [Theory]
    [InlineData("ALL")]
    [InlineData("ERROR")]
    [InlineData("NONE")]
    public async Task No_log_line_of_any_level_holds_a_secret_or_an_event(string level)
    {
        const string Event = "confidential-event-content";
        const string Token = "opaque-bearer-token-of-a-user";
        const string Signature = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/appsync/aws4_request, SignedHeaders=host, Signature=fe5f80f7";
        await using var gateway = await StartAsync(level);
        await using (var socket = await gateway.ConnectAsync())
        {
            await socket.InitAsync();
            await socket.SubscribeAsync("s", "/chat/a");
            await socket.SendAsync(Messages.Publish("p", "/chat/a", $"\"{Event}\""));
            await socket.NextAsync("one of data and publish_success");
            await socket.NextAsync("the other of data and publish_success");
            await socket.SendAsync(Messages.Publish("q", "/chat/a", Credentials.KeyAuthorization(Credentials.UnknownKey), $"\"{Event}\""));
            await socket.NextAsync("publish_error", "q");
            await socket.SendAsync(Messages.Subscribe("t", "/chat/a", new() { ["host"] = Credentials.Host, ["authorization"] = Token }));
            await socket.NextAsync("subscribe_error", "t");
            await socket.SendAsync(Messages.Publish("r", "/chat/a", Event)); // not JSON
            await socket.NextAsync("publish_error", "r");
            await socket.SendAsync($"{{\"{Event}\"");
            await socket.NextAsync("error", id: null);
        }

        foreach (var handshake in new[]
        {
            Handshake.WithKey(Credentials.UnknownKey),
            Handshake.WithProtocols(Credentials.EventsProtocol) with { Headers = [("Authorization", Token)] },
            Handshake.WithProtocols(Credentials.EventsProtocol) with { Headers = [("Authorization", Signature)] },
            Handshake.WithProtocols(Credentials.EventsProtocol) with { Headers = [("x-api-key", Credentials.ApiKey)] },
            Handshake.WithProtocols($"{Credentials.EventsProtocol}, header-not*base64"),
        })
        {
            await using var socket = await RawWebSocket.OpenAsync(gateway.EndPoint, handshake);
            Assert.Equal(101, socket.Response.Status);
        }

        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/chat/a", $"\"{Event}\""));
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/chat/a", Event));
        await HttpPublisher.PostAsync(gateway, $"{{\"{Event}");
        var body = System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody("/chat/a", $"\"{Event}\""));
        await HttpPublisher.SendAsync(gateway, HttpMethod.Post, "/event", body, ("Authorization", Token));
        await HttpPublisher.SendAsync(gateway, HttpMethod.Post, "/event", body, ("Authorization", Signature));
        await gateway.StopAsync();

        string[] secrets =
        [
            Credentials.ApiKey, Credentials.UnknownKey, Event, Token, "AKIDEXAMPLE", "fe5f80f7", "not*base64",
            Credentials.HeaderProtocol(Credentials.KeyAuthorization()),
            Credentials.HeaderProtocol(Credentials.KeyAuthorization(Credentials.UnknownKey)),
        ];
        Assert.Contains(gateway.Log.Entries, line => line.Level == LogLevel.Trace);
        Assert.All(secrets, secret => Assert.DoesNotContain(
            gateway.Log.Entries,
            line => $"{line.Text} {line.Values}".Contains(secret, StringComparison.Ordinal)));
    }

    /// <summary>One success and one failure of each operation; returns what the API logged of them.</summary>
    private static async Task<IReadOnlyList<LogLine>> GetApiLinesAsync(string level)
    {
        await using var gateway = await StartAsync(level);
        await using var socket = await gateway.ConnectAsync();
        await socket.SubscribeAsync("s", "/chat/a");
        await socket.SendAsync(Messages.Subscribe("t", "/nowhere/a"));
        await socket.NextAsync("subscribe_error", "t");
        await socket.PublishAsync("/chat/b", "1");
        await socket.SendAsync(Messages.Publish("q", "/chat/*", "1"));
        await socket.NextAsync("publish_error", "q");
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/chat/b", "1"));
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/chat/b", "{"));
        await (await gateway.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey))).DisposeAsync();
        await socket.DisposeAsync();
        // An HTTP publish is logged just after its answer; the drain waits for the requests.
        await gateway.StopAsync();
        return [.. gateway.Log.Entries.Where(line => line.Category == "Fanfare.Api")];
    }

    private static void AssertFailures(IReadOnlyList<LogLine> lines)
    {
        Assert.All(lines, line => Assert.StartsWith("RequestSummary ", line.Text, StringComparison.Ordinal));
        Assert.Collection(
            lines.Select(line => line.Text).OrderBy(GetOperation).ThenBy(text => text.Contains(" ms.", StringComparison.Ordinal)),
            text => AssertFailure(text, "EVENT_CONNECT", "UnauthorizedException, 401"),
            text => AssertFailure(text, "EVENT_PUBLISH", "BadRequestException, 400"),
            text => AssertFailure(text, "EVENT_PUBLISH", "BadRequestException, 400, in "),
            text => AssertFailure(text, "EVENT_SUBSCRIBE", "UnauthorizedException, 403"));
    }

    private static void AssertFailure(string text, string operation, string outcome)
    {
        Assert.Equal(operation, GetOperation(text));
        Assert.Contains($"failed with {outcome}", text, StringComparison.Ordinal);
    }

    private static string GetOperation(string text) => text.Split(' ').Single(word => word.StartsWith("EVENT_", StringComparison.Ordinal));

    private static Task<GatewayServer> StartAsync(string level) => GatewayServer.StartWithTemplateAsync(
        $$"""
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: logged
              EventConfig:
                AuthProviders: [{AuthType: API_KEY}]
                ConnectionAuthModes: [{AuthType: API_KEY}]
                DefaultPublishAuthModes: [{AuthType: API_KEY}]
                DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
                LogConfig: {LogLevel: {{level}}, CloudWatchLogsRoleArn: "arn:aws:iam::000000000000:role/logs"}
          Key:
            Type: AWS::AppSync::ApiKey
            Properties: {ApiId: !GetAtt Api.ApiId}
          Chat:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: chat}
        """,
        "--Logging:LogLevel:Default=Trace", "--Logging:LogLevel:Microsoft.AspNetCore=Trace",
        "--Logging:LogLevel:Microsoft.Hosting.Lifetime=Trace", "--Logging:LogLevel:Microsoft=Trace",
        // The console would print it all; what counts is what providers are given.
        "--Logging:Console:LogLevel:Default=None", "--Logging:Console:LogLevel:Microsoft.AspNetCore=None",
        "--Logging:Console:LogLevel:Microsoft=None", "--Logging:Console:LogLevel:Microsoft.Hosting.Lifetime=None");
}
