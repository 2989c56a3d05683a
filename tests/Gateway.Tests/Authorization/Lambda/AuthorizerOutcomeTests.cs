using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Authorization.Lambda;

/// <summary>What each answer of an authorizer function, and each failure of one, looks like to clients.</summary>
public sealed class AuthorizerOutcomeTests
{
    private const string Allow = """{"isAuthorized":true}""";
    private const string Unauthorized = "You are not authorized to make this call.";

    [Theory]
    [InlineData(Allow)]
    [InlineData("""{"isAuthorized":true,"handlerContext":{"a":"b","n":1,"z":null},"ttlOverride":30,"deniedFields":["x"],"resolverContext":{"y":[1]}}""")]
    [InlineData("""{"isAuthorized":true,"handlerContext":null,"ttlOverride":null}""")]
    public async Task True_lets_every_operation_through(string json)
    {
        await using var lambda = await FakeLambda.ReturningAsync(json);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);
        await using var socket = await fixture.OpenAsync();

        Assert.Equal("connection_ack", (string?)(await fixture.ConnectAsync())["type"]);
        Assert.Equal(200, (await fixture.PostAsync()).Status);
        Assert.Equal("publish_success", (string?)(await AuthorizerFixture.PublishAsync(socket, "p"))["type"]);
        Assert.Equal("subscribe_success", (string?)(await AuthorizerFixture.SubscribeAsync(socket, "s"))["type"]);
    }

    [Theory]
    [InlineData("""{"isAuthorized":false}""")]
    [InlineData("""{"isAuthorized":"true"}""")]
    [InlineData("""{"isAuthorized":1}""")]
    [InlineData("""{}""")]
    [InlineData("""{"isAuthorized":false,"handlerContext":[],"ttlOverride":"x"}""")]
    public async Task Anything_else_denies(string json)
    {
        await using var lambda = await FakeLambda.ReturningAsync(json);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);
        await using var socket = await fixture.OpenAsync();

        var connect = WireError.AssertReply(await fixture.ConnectAsync(), "connection_error", null, "UnauthorizedException");
        Assert.Equal((401, Unauthorized), (connect.ErrorCode, connect.Message));
        (await fixture.PostAsync()).AssertError(401, "UnauthorizedException", Unauthorized);
        WireError.AssertReply(await AuthorizerFixture.PublishAsync(socket, "p"), "publish_error", "p", "UnauthorizedException");
        WireError.AssertReply(await AuthorizerFixture.SubscribeAsync(socket, "s"), "subscribe_error", "s", "UnauthorizedException");
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData(200, "null")]
    [InlineData(200, "")]
    [InlineData(200, "[]")]
    [InlineData(200, "{")]
    [InlineData(200, """{"isAuthorized":true,"handlerContext":"x"}""")]
    [InlineData(200, """{"isAuthorized":true,"handlerContext":{"a":{}}}""")]
    [InlineData(200, """{"isAuthorized":true,"handlerContext":{"a":["b"]}}""")]
    [InlineData(200, """{"isAuthorized":true,"handlerContext":{"a":"\ud800"}}""")]
    [InlineData(200, """{"isAuthorized":true,"ttlOverride":"30"}""")]
    [InlineData(404, """{"Message":"Function not found: arn"}""")]
    [InlineData(500, "")]
    public async Task A_function_that_fails_is_reported_as_such(int status, string body)
    {
        await using var lambda = await FakeLambda.StartAsync(call => call.AnswerAsync(status, body));
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);
        await using var socket = await fixture.OpenAsync();

        await AssertFailsAsync(fixture, socket, "The authorizer function failed");
    }

    [Fact]
    public async Task A_function_that_throws_is_reported_with_its_text_which_is_not_logged()
    {
        await using var lambda = await FakeLambda.StartAsync(call => call.AnswerAsync(
            200, """{"errorType":"Error","errorMessage":"the text it threw"}""", ("X-Amz-Function-Error", "Unhandled")));
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);
        await using var socket = await fixture.OpenAsync();

        await AssertFailsAsync(fixture, socket, "the text it threw");

        Assert.DoesNotContain(fixture.Server.Log.Lines, line => line.Text.Contains(AuthorizerFixture.Token, StringComparison.Ordinal)
            || line.Text.Contains("the text it threw", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_function_that_nothing_says_where_it_is_is_reported_and_logged_once()
    {
        await using var fixture = await AuthorizerFixture.StartAsync(address: null);
        await using var socket = await fixture.OpenAsync();

        await AssertFailsAsync(fixture, socket, "The authorizer function failed");

        var line = Assert.Single(fixture.Server.Log.Lines, line => line.Level == LogLevel.Error);
        Assert.Contains("Fanfare:Lambda:Functions:auth", line.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_function_that_takes_too_long_is_given_up()
    {
        var clock = new ManualTimeProvider();
        await using var lambda = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = await AuthorizerFixture.StartAsync(
            lambda.Address, clock: clock, arguments: "--Fanfare:Lambda:AuthorizerTimeout=00:00:03");

        var answer = fixture.PostAsync();
        await lambda.NextCallAsync();
        clock.Advance(TimeSpan.FromSeconds(3) - TimeSpan.FromTicks(1));
        Assert.False(answer.IsCompleted);
        clock.Advance(TimeSpan.FromTicks(1));

        (await answer).AssertError(500, "AuthorizerFailureException");
    }

    [Fact]
    public async Task A_token_that_the_expression_does_not_match_never_reaches_the_function()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address, "IdentityValidationExpression: '^(a|aa)+$|custom-'");

        (await fixture.PostAsync("other")).AssertError(401, "UnauthorizedException", Unauthorized);
        (await fixture.PostAsync("Custom-")).AssertError(401, "UnauthorizedException", Unauthorized);
        // Backtracks for ages, but for the match's own time limit.
        (await fixture.PostAsync(new string('a', 60) + "!")).AssertError(401, "UnauthorizedException", Unauthorized);
        Assert.Empty(lambda.Calls);
        Assert.Equal(200, (await fixture.PostAsync("a custom-token")).Status);
    }

    [Fact]
    public async Task A_token_is_looked_at_up_to_its_greatest_length()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);

        Assert.Equal(200, (await fixture.PostAsync(new string('t', 8192))).Status);
        (await fixture.PostAsync(new string('t', 8193))).AssertError(401, "UnauthorizedException", Unauthorized);
        Assert.Single(lambda.Calls);
    }

    [Fact]
    public async Task A_namespace_that_takes_another_mode_is_refused_without_a_call_and_a_key_goes_first()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address);

        (await fixture.PostAsync(channel: "/keys/a")).AssertError(403, "UnauthorizedException", null);
        (await fixture.PostAsync(channel: "/none/a")).AssertError(403, "UnauthorizedException", null);
        (await fixture.PostAsync("any", "/chat/a", ("x-api-key", Credentials.UnknownKey))).AssertError(401, "UnauthorizedException");
        Assert.Empty(lambda.Calls);
    }

    [Fact]
    public async Task Denials_count_as_failed_attempts_and_failures_of_the_function_do_not()
    {
        await using var lambda = await FakeLambda.StartAsync(call => call.AnswerAsync(404, "{}"));
        await using var fixture = await AuthorizerFixture.StartAsync(
            lambda.Address, clock: new ManualTimeProvider(), arguments: "--Fanfare:Limits:FailedAttemptsPerSecond=1");
        for (var i = 0; i < 11; i++)
        {
            (await fixture.PostAsync()).AssertError(500, "AuthorizerFailureException");
        }

        lambda.Answer = call => call.ReturnAsync("""{"isAuthorized":false}""");
        for (var i = 0; i < 10; i++)
        {
            (await fixture.PostAsync()).AssertError(401, "UnauthorizedException");
        }

        (await fixture.PostAsync()).AssertError(429, "ThrottlingException");
        Assert.Equal(21, lambda.Calls.Count);
    }

    private static async Task AssertFailsAsync(AuthorizerFixture fixture, RawWebSocket socket, string text)
    {
        var connect = WireError.AssertReply(await fixture.ConnectAsync(), "connection_error", null, "AuthorizerFailureException");
        Assert.Equal((500, text), (connect.ErrorCode, connect.Message));
        (await fixture.PostAsync()).AssertError(500, "AuthorizerFailureException", text);
        WireError.AssertReply(await AuthorizerFixture.PublishAsync(socket, "p"), "publish_error", "p", "AuthorizerFailureException");
        var subscribe = WireError.AssertReply(
            await AuthorizerFixture.SubscribeAsync(socket, "s"), "subscribe_error", "s", "SubscriptionProcessingError");
        Assert.Equal("There was an error processing the operation", subscribe.Message);
        await socket.AssertNothingElseAsync();
    }
}
