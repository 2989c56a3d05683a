using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>Functions as handlers (handlers, section 6): what they are called with, and what their answers and failures lead to.</summary>
public sealed class FunctionHandlerTests
{
    private const string NotProcessed = "Unable to process request";
    private const string Secret = "the-text-of-the-function";

    /// <summary>Something that a function, or what is in its place, does.</summary>
    public enum Misbehaviour
    {
        Throws,
        ThrowsInTheEmulator,
        TimesOut,
        IsThrottled,
        IsForbidden,
        FailsAtTheService,
        AnswersNoJson,
        AnswersCutJson,
        AnswersNoUtf8,
        AnswersTooMuch,
        BreaksOff,
        Redirects,
        RefusesAll,
        RefusesBesideEvents,
        AnswersTrue,
        AnswersAList,
        AnswersAText,
    }

    public static TheoryData<Misbehaviour> Misbehaviours => [.. Enum.GetValues<Misbehaviour>()];

    [Theory]
    [InlineData("", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aworker/invocations", "RequestResponse")]
    [InlineData("/2015-03-31/functions/function/invocations", "/2015-03-31/functions/function/invocations", null)]
    [InlineData("/hook?x=1", "/hook?x=1", null)]
    public async Task A_function_of_any_kind_decides(string path, string target, string? invocationType)
    {
        await using var function = await FakeLambda.StartAsync(call => call.ReturnAsync(
            (string?)call.Json["info"]!["operation"] == "SUBSCRIBE"
                ? "null"
                : $$"""{"events":[{"id":"{{(string?)call.Json["events"]![1]!["id"]}}","payload":{"checked":true} } ] }"""));
        await using var fixture = await HandlerFixture.StartDirectAsync(new Uri(function.Address, path));
        await using var subscriber = await fixture.ConnectAsync();

        await subscriber.SubscribeAsync("s", "/chat/*");
        var answer = await fixture.PostAsync("/chat/a", "1", "2");

        Assert.Equal(200, answer.Status);
        Assert.Equal(2, answer.Json["successful"]!.AsArray().Count);
        await fixture.AssertDeliveredAsync(subscriber, "s", """{"checked":true}""");
        Assert.Equal(2, function.Calls.Count);
        Assert.All(function.Calls, call =>
        {
            Assert.Equal($"POST {target}", call.RequestLine);
            Assert.Equal(invocationType, call.Headers.GetValueOrDefault("X-Amz-Invocation-Type"));
        });
    }

    [Theory]
    [InlineData("null", true)]
    [InlineData(" null ", true)]
    [InlineData("{}", true)]
    [InlineData("", true)]
    [InlineData("true", false)]
    [InlineData("false", false)]
    [InlineData("0", false)]
    [InlineData("\"\"", false)]
    [InlineData("[]", false)]
    [InlineData("""{"error":"no"}""", false)]
    [InlineData("""{"error":""}""", false)]
    [InlineData("""{"events":[]}""", false)]
    public async Task A_subscribe_is_accepted_by_null_and_nothing_else(string answer, bool isAccepted)
    {
        await using var function = await FakeLambda.ReturningAsync(answer);
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("before", "/other/a");

        var reply = await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a");

        if (isAccepted)
        {
            Assert.Equal("subscribe_success", (string?)reply["type"]);
        }
        else
        {
            Assert.Equal(NotProcessed, WireError.AssertReply(reply, "subscribe_error", "s", "HandlerExecutionError").Message);
        }

        await fixture.PostAsync("/other/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("before"));
    }

    [Theory]
    [MemberData(nameof(Misbehaviours))]
    public async Task A_function_that_fails_refuses_and_its_text_stays_inside(Misbehaviour misbehaviour)
    {
        await using var function = await FakeLambda.StartAsync(call => MisbehaveAsync(call, misbehaviour));
        var path = misbehaviour == Misbehaviour.ThrowsInTheEmulator ? "/2015-03-31/functions/function/invocations" : "";
        await using var fixture = await HandlerFixture.StartDirectAsync(
            new Uri(function.Address, path), HandlerFixture.Direct,
            misbehaviour == Misbehaviour.TimesOut ? "--Fanfare:Handlers:Timeout=00:00:00.2" : "--Fanfare:Handlers:Timeout=00:00:15");

        await AssertRefusedAsync(fixture);

        var lines = fixture.Server.Log.Lines.Where(line => line.Text.Contains(Secret, StringComparison.Ordinal)).ToList();
        if (misbehaviour is Misbehaviour.RefusesAll or Misbehaviour.RefusesBesideEvents)
        {
            Assert.Equal(3, lines.Count);
            Assert.All(lines, line => Assert.Contains("The function refused: " + Secret, line.Text, StringComparison.Ordinal));
        }
        else
        {
            Assert.Empty(lines);
        }
    }

    [Fact]
    public async Task A_function_that_cannot_be_reached_refuses()
    {
        var function = await FakeLambda.StartAsync();
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        await function.DisposeAsync();
        await AssertRefusedAsync(fixture);
    }

    [Fact]
    public async Task A_function_that_no_setting_locates_refuses()
    {
        await using var fixture = await HandlerFixture.StartDirectAsync(address: null);
        await AssertRefusedAsync(fixture);
    }

    [Fact]
    public async Task A_data_source_that_is_no_function_stops_the_start()
    {
        const string Source = """
              Source:
                Type: AWS::AppSync::DataSource
                Properties: {ApiId: !GetAtt Api.ApiId, Name: worker, Type: HTTP, HttpConfig: {Endpoint: 'http://localhost:1'}}

            """;
        var refused = await Assert.ThrowsAnyAsync<Exception>(() => HandlerFixture.StartAsync(
            [new TestNamespace("chat", Configs: $"OnPublish: {HandlerFixture.Direct}")], Source));
        Assert.Contains("DIRECT needs a Lambda data source", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_throttled_function_is_called_again_and_one_that_ran_is_not()
    {
        var calls = 0;
        await using var function = await FakeLambda.StartAsync(
            call => Interlocked.Increment(ref calls) == 1 ? call.AnswerAsync(429, "{}") : call.ReturnAsync("null"));
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        Assert.Equal(200, (await fixture.PostAsync("/chat/a", "1")).Status);
        Assert.Equal(2, function.Calls.Count);

        function.Answer = call => call.AnswerAsync(500, "{}");
        (await fixture.PostAsync("/chat/a", "1")).AssertError(502, "DependencyFailedException", NotProcessed);
        Assert.Equal(3, function.Calls.Count);
    }

    [Fact]
    public async Task A_function_that_is_waited_for_holds_up_nobody_else()
    {
        await using var function = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        await using var waiting = await fixture.ConnectAsync();
        await using var other = await fixture.ConnectAsync();
        await waiting.SendAsync(Messages.Subscribe("s", "/chat/a"));
        var call = await function.NextCallAsync();

        await other.PublishAsync("/other/a", "1");
        Assert.Equal(200, (await fixture.PostAsync("/other/a", "1")).Status);

        // Who hangs up ends the call, too.
        await waiting.DisposeAsync();
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = call.Aborted.Register(() => aborted.TrySetResult());
        await Deadline.WaitAsync(aborted.Task, "the end of the call");
    }

    [Theory]
    [InlineData("")]
    [InlineData("/2015-03-31/functions/function/invocations")]
    [InlineData("/hook")]
    public async Task A_function_that_is_only_notified_delays_and_changes_nothing(string path)
    {
        await using var function = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = await HandlerFixture.StartDirectAsync(new Uri(function.Address, path), HandlerFixture.DirectEvent);
        await using var subscriber = await fixture.ConnectAsync();

        var began = Stopwatch.GetTimestamp();
        await subscriber.SubscribeAsync("s", "/chat/a");
        Assert.Equal("SUBSCRIBE", (string?)(await function.NextCallAsync()).Json["info"]!["operation"]);
        for (var i = 0; i < 20; i++)
        {
            var answer = await fixture.PostAsync("/chat/a", " 1.0", "{ }");
            Assert.Equal(2, answer.Json["successful"]!.AsArray().Count);
            Assert.Equal(" 1.0", await subscriber.NextEventAsync("s"));
            Assert.Equal("{ }", await subscriber.NextEventAsync("s"));
        }

        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(15)); // a call may take 30
    }

    [Theory]
    [InlineData("null")]
    [InlineData("true")]
    [InlineData("""{"error":"no"}""")]
    [InlineData("""{"events":[]}""")]
    public async Task What_a_notified_function_answers_does_not_matter(string answer)
    {
        await using var function = await FakeLambda.ReturningAsync(answer);
        await using var fixture = await HandlerFixture.StartDirectAsync(new Uri(function.Address, "/hook"), HandlerFixture.DirectEvent);
        await using var subscriber = await fixture.ConnectAsync();

        await subscriber.SubscribeAsync("s", "/chat/a");
        await fixture.PostAsync("/chat/a", "1");

        await fixture.AssertDeliveredAsync(subscriber, "s", "1");
        await function.NextCallAsync();
        await function.NextCallAsync();
    }

    [Theory]
    [InlineData("", 1000)]
    [InlineData("/hook", 1001)] // one is made, and a thousand wait for it
    public async Task Notifications_that_do_not_fit_are_dropped_logged_and_counted_and_the_rest_ends_with_the_gateway(string path, int taken)
    {
        const int Over = 30;
        await using var function = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = await HandlerFixture.StartDirectAsync(new Uri(function.Address, path), HandlerFixture.DirectEvent);
        await using var publisher = await fixture.ConnectAsync();
        await publisher.PublishAsync("/chat/a", "1");
        await function.NextCallAsync();
        for (var i = 1; i < taken + Over; i++)
        {
            await publisher.PublishAsync("/chat/a", "1");
        }

        await Metrics.WaitAsync(fixture.Server, Over, "fanfare_lambda_invocations_total", "outcome=\"dropped\"", "function=\"worker\"");
        Assert.Equal(Over, fixture.Server.Log.Lines.Count(
            line => line.Level >= LogLevel.Warning && line.Text.Contains("worker'", StringComparison.Ordinal)));

        await publisher.DisposeAsync();
        var began = Stopwatch.GetTimestamp();
        await fixture.Server.StopAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    private static async Task AssertRefusedAsync(HandlerFixture fixture)
    {
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("before", "/other/a");

        var answer = await fixture.PostAsync("/chat/a", "1");
        answer.AssertError(502, "DependencyFailedException", NotProcessed);
        var publish = await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        Assert.Equal(NotProcessed, WireError.AssertReply(publish, "publish_error", "p", "HandlerExecutionError").Message);
        var subscribe = await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a");
        Assert.Equal(NotProcessed, WireError.AssertReply(subscribe, "subscribe_error", "s", "HandlerExecutionError").Message);

        Assert.DoesNotContain(Secret, $"{answer.Body}{publish.ToJsonString()}{subscribe.ToJsonString()}", StringComparison.Ordinal);
        var failures = fixture.Server.Log.Lines.Where(line => line.Text.Contains(" of chat failed: ", StringComparison.Ordinal)).ToList();
        Assert.Equal(3, failures.Count);
        Assert.Contains(failures, line => line.Text.StartsWith(answer.Header("x-amzn-RequestId")! + " onPublish", StringComparison.Ordinal));
        await fixture.PostAsync("/other/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("before"));
    }

    private static Task MisbehaveAsync(FakeCall call, Misbehaviour misbehaviour)
    {
        const string Thrown = $$"""{"errorType":"UnauthorizedException","errorMessage":"{{Secret}}","trace":["{{Secret}}"]}""";
        var isPublish = (string?)call.Json["info"]!["operation"] == "PUBLISH";
        return misbehaviour switch
        {
            Misbehaviour.Throws => call.AnswerAsync(200, Thrown, ("X-Amz-Function-Error", "Unhandled")),
            Misbehaviour.ThrowsInTheEmulator => call.AnswerAsync(200, Thrown),
            Misbehaviour.TimesOut => Task.Delay(Timeout.Infinite, call.Aborted),
            Misbehaviour.IsThrottled => call.AnswerAsync(429, $$"""{"message":"{{Secret}}"}""", ("Retry-After", "60")),
            Misbehaviour.IsForbidden => call.AnswerAsync(403, $$"""{"Message":"{{Secret}}"}"""),
            Misbehaviour.FailsAtTheService => call.AnswerAsync(500, $$"""{"Message":"{{Secret}}"}"""),
            Misbehaviour.AnswersNoJson => call.ReturnAsync(Secret),
            Misbehaviour.AnswersCutJson => call.ReturnAsync("""{"events":["""),
            Misbehaviour.AnswersNoUtf8 => call.AnswerBytesAsync(
                [.. System.Text.Encoding.UTF8.GetBytes(isPublish ? $$"""{"events":[{"id":"{{(string?)call.Json["events"]![0]!["id"]}}","payload":" """ : "{\"error\":\""), 0xFF, .. "\"}]}"u8]),
            Misbehaviour.AnswersTooMuch => call.ReturnAsync(string.Create(CultureInfo.InvariantCulture, $"\"{new string('x', 6 * 1024 * 1024)}\"")),
            Misbehaviour.BreaksOff => call.AbortAsync(),
            Misbehaviour.Redirects => call.AnswerAsync(302, "null", ("Location", "/elsewhere")),
            Misbehaviour.RefusesAll => call.ReturnAsync($$"""{"error":"{{Secret}}"}"""),
            Misbehaviour.RefusesBesideEvents => call.ReturnAsync(new JsonObject
            {
                ["error"] = Secret,
                ["events"] = call.Json["events"]?.DeepClone(),
            }.ToJsonString()),
            Misbehaviour.AnswersTrue => call.ReturnAsync("true"),
            Misbehaviour.AnswersAList => call.ReturnAsync("[]"),
            _ => call.ReturnAsync("\"\""),
        };
    }
}
