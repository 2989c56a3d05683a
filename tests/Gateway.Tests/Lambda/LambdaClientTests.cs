using System.Text;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Tests.Authorization.Iam;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Lambda;

/// <summary>How functions are called, and what their answers mean.</summary>
public sealed class LambdaClientTests
{
    private const string EmulatorPath = "2015-03-31/functions/function/invocations";
    private const string Arn = "arn:aws:lambda:eu-west-1:123456789012:function:auth:live";

    [Fact]
    public async Task The_invoke_api_is_called_as_it_is_documented()
    {
        await using var lambda = await FakeLambda.ReturningAsync("""{"a":[1, 2]}""");
        await using var fixture = LambdaFixture.Create([("Endpoint", lambda.Address.ToString())]);

        var result = await fixture.InvokeAsync(Arn, """{"b":"é"}""");

        Assert.Null(result.Failure);
        Assert.Equal("""{"a":[1, 2]}""", Encoding.UTF8.GetString(result.Payload.Span));
        var call = Assert.Single(lambda.Calls);
        Assert.Equal(
            "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aauth%3Alive/invocations", call.RequestLine);
        Assert.Equal("""{"b":"é"}""", call.Body);
        Assert.Equal("RequestResponse", call.Headers["X-Amz-Invocation-Type"]);
        Assert.Equal("application/json", call.Headers["Content-Type"]);
        Assert.False(call.Headers.ContainsKey("Authorization"));
    }

    [Theory]
    [InlineData("hook")]
    [InlineData(EmulatorPath)]
    public async Task Other_targets_get_the_event_and_nothing_of_the_invoke_api(string path)
    {
        await using var lambda = await FakeLambda.ReturningAsync("1");
        await using var fixture = LambdaFixture.Create(
            [("Functions:auth", lambda.Address + path), ("AccessKeyId", "AKID"), ("SecretAccessKey", "secret")]);

        Assert.Null((await fixture.InvokeAsync(Arn)).Failure);

        var call = Assert.Single(lambda.Calls);
        Assert.Equal($"POST /{path}", call.RequestLine);
        Assert.DoesNotContain(call.Headers, header => header.Key.StartsWith("X-Amz", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData(Arn, "eu-west-1")]
    [InlineData("auth", "us-east-1")]
    public async Task Calls_are_signed_for_the_functions_region_where_there_are_credentials(string function, string region)
    {
        var clock = new ManualTimeProvider();
        await using var lambda = await FakeLambda.StartAsync();
        await using var fixture = LambdaFixture.Create(
            [("Endpoint", lambda.Address.ToString()), ("AccessKeyId", "AKID"), ("SecretAccessKey", "secret"), ("SessionToken", "session")],
            clock);

        await fixture.InvokeAsync(function, "[7]");

        // A second signer, written from the description alone, comes to the same signature over what arrived. The path is encoded
        // once more than it was sent (Lambda, like every service but S3).
        var call = Assert.Single(lambda.Calls);
        var expected = new ReferenceSigner
        {
            AccessKeyId = "AKID",
            Secret = "secret",
            SessionToken = "session",
            Region = region,
            Service = "lambda",
            Path = call.RequestLine.Split(' ')[1].Replace("%", "%25", StringComparison.Ordinal),
            Time = clock.GetUtcNow(),
            Headers =
            [
                .. call.Headers
                    .Where(header => header.Key.ToLowerInvariant() is "host" or "content-type" or "x-amz-invocation-type" or "x-amz-date")
                    .Select(header => (header.Key.ToLowerInvariant(), header.Value)),
            ],
        }.Sign("[7]");
        Assert.Equal(expected.Single(header => header.Name == "authorization").Value, call.Headers["Authorization"]);
        Assert.Equal("session", call.Headers["X-Amz-Security-Token"]);
    }

    [Theory]
    // The Invoke API: the header alone tells a function's failure, and every member of the error may be missing.
    [InlineData("", 200, "X-Amz-Function-Error: Unhandled", """{"errorType":"TypeError","errorMessage":"x is not a function","trace":[]}""", "FunctionError", "TypeError", "x is not a function")]
    [InlineData("", 200, "X-Amz-Function-Error: Handled", """{"errorMessage":"2026 Task timed out after 3.00 seconds"}""", "FunctionError", null, "2026 Task timed out after 3.00 seconds")]
    [InlineData("", 200, "X-Amz-Function-Error: Unhandled", "no JSON", "FunctionError", null, null)]
    [InlineData("", 200, null, """{"errorType":"E","errorMessage":"m"}""", null, null, null)]
    [InlineData("", 200, null, "", null, null, null)]
    [InlineData("", 200, null, "{", "MalformedResponse", null, null)]
    [InlineData("", 304, null, "", "MalformedResponse", null, null)]
    [InlineData("", 404, "x-amzn-ErrorType: ResourceNotFoundException", """{"Type":"User","Message":"Function not found"}""", "ServiceError", "ResourceNotFoundException", "Function not found")]
    [InlineData("", 400, "x-amzn-ErrorType: InvalidParameterValueException", """{"message":"lower case"}""", "ServiceError", "InvalidParameterValueException", "lower case")]
    [InlineData("", 403, null, "<html>", "ServiceError", null, null)]
    [InlineData("", 500, "x-amzn-ErrorType: ServiceException", "{}", "ServiceError", "ServiceException", null)]
    [InlineData("", 429, "Retry-After: 60", """{"message":"Rate Exceeded."}""", "Throttled", null, "Rate Exceeded.")]
    // The emulator: never the header, so the object itself tells.
    [InlineData(EmulatorPath, 200, null, """{"errorType":"Error","errorMessage":"no"}""", "FunctionError", "Error", "no")]
    [InlineData(EmulatorPath, 200, null, """{"errorMessage":"no"}""", null, null, null)]
    [InlineData(EmulatorPath, 200, "X-Amz-Function-Error: Unhandled", "{}", null, null, null)]
    [InlineData(EmulatorPath, 200, null, "Task timed out after 3.00 seconds", "FunctionError", "Sandbox.Timedout", "Task timed out after 3.00 seconds")]
    [InlineData(EmulatorPath, 200, null, "other text", "MalformedResponse", null, null)]
    [InlineData(EmulatorPath, 200, null, "", "MalformedResponse", null, null)]
    [InlineData(EmulatorPath, 502, null, "", "ServiceError", null, null)]
    // A webhook: the status.
    [InlineData("hook", 200, null, """{"errorType":"Error","errorMessage":"no"}""", null, null, null)]
    [InlineData("hook", 204, null, "", null, null, null)]
    [InlineData("hook", 200, null, "text", "MalformedResponse", null, null)]
    [InlineData("hook", 302, "Location: /elsewhere", "", "MalformedResponse", null, null)]
    [InlineData("hook", 401, null, "{}", "ServiceError", null, null)]
    public async Task An_answer_means_what_its_target_means_by_it(
        string path, int status, string? header, string body, string? kind, string? errorType, string? message)
    {
        var headers = header?.Split(": ") is [var name, var value] ? [(name, value)] : Array.Empty<(string, string)>();
        await using var lambda = await FakeLambda.StartAsync(call => call.AnswerAsync(status, body, headers));
        await using var fixture = LambdaFixture.Create([("Functions:auth", lambda.Address + path)]);

        var result = await fixture.InvokeAsync(payload: "\"a secret event\"");

        Assert.Equal(kind, result.Failure?.Kind.ToString());
        Assert.Equal((errorType, message), (result.Failure?.ErrorType, result.Failure?.ErrorMessage));
        Assert.Equal(kind is null ? (body.Length == 0 ? "null" : body) : "", Encoding.UTF8.GetString(result.Payload.Span));
        Assert.Single(lambda.Calls);
        Assert.Equal(kind is null ? 0 : 1, fixture.Log.Lines.Count);
        Assert.DoesNotContain(fixture.Log.Lines, line => line.Text.Contains("secret event", StringComparison.Ordinal)
            || (message is not null && line.Text.Contains(message, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(429, false, 3)]
    [InlineData(429, true, 3)]
    [InlineData(500, false, 1)]
    [InlineData(500, true, 2)]
    [InlineData(502, true, 2)]
    [InlineData(409, true, 2)]
    [InlineData(404, true, 1)]
    [InlineData(0, false, 1)]
    [InlineData(0, true, 2)]
    public async Task Only_what_did_not_run_or_may_run_twice_is_tried_again(int status, bool isRepeatable, int calls)
    {
        await using var lambda = await FakeLambda.StartAsync(call => status == 0 ? call.AbortAsync() : call.AnswerAsync(status, "{}"));
        await using var fixture = LambdaFixture.Create([("Endpoint", lambda.Address.ToString())]);

        var result = await fixture.InvokeAsync(isRepeatable: isRepeatable);

        Assert.NotNull(result.Failure);
        Assert.Equal(calls, lambda.Calls.Count);
    }

    [Fact]
    public async Task A_later_attempt_can_succeed()
    {
        var count = 0;
        await using var lambda = await FakeLambda.StartAsync(
            call => Interlocked.Increment(ref count) < 3 ? call.AnswerAsync(429, "") : call.ReturnAsync("7"));
        await using var fixture = LambdaFixture.Create([("Endpoint", lambda.Address.ToString())]);

        Assert.Equal("7", Encoding.UTF8.GetString((await fixture.InvokeAsync()).Payload.Span));
    }

    [Fact]
    public async Task A_function_that_nobody_can_reach_or_find_is_a_failure_and_no_exception()
    {
        var lambda = await FakeLambda.StartAsync();
        await using var fixture = LambdaFixture.Create([("Functions:auth", lambda.Address + "hook")]);
        await lambda.DisposeAsync();

        Assert.Equal(LambdaFailureKind.Unreachable, (await fixture.InvokeAsync()).Failure!.Kind);
        Assert.Equal(LambdaFailureKind.NotConfigured, (await fixture.InvokeAsync("other")).Failure!.Kind);
    }

    [Fact]
    public async Task A_call_ends_when_its_time_is_up_and_hangs_up()
    {
        var clock = new ManualTimeProvider();
        await using var lambda = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = LambdaFixture.Create([("Endpoint", lambda.Address.ToString())], clock);

        var result = fixture.InvokeAsync();
        var call = await lambda.NextCallAsync();
        clock.Advance(TimeSpan.FromSeconds(10) - TimeSpan.FromTicks(1));
        Assert.False(result.IsCompleted);
        clock.Advance(TimeSpan.FromTicks(1));

        Assert.Equal(LambdaFailureKind.TimedOut, (await Deadline.WaitAsync(result, "the end of the call")).Failure!.Kind);
        var hungUp = new TaskCompletionSource();
        await using var registration = call.Aborted.Register(hungUp.SetResult);
        await Deadline.WaitAsync(hungUp.Task, "the end of the connection");
    }

    [Fact]
    public async Task The_emulator_is_asked_one_thing_at_a_time()
    {
        await using var lambda = await FakeLambda.StartAsync();
        await using var fixture = LambdaFixture.Create(
            [("Functions:auth:Url", lambda.Address.ToString()), ("Functions:auth:Type", "rie")]);

        var results = await Deadline.WaitAsync(
            Task.WhenAll(Enumerable.Range(0, 20).Select(_ => fixture.InvokeAsync())), "twenty answers");

        Assert.All(results, result => Assert.Null(result.Failure));
        Assert.Equal((20, 1), (lambda.Calls.Count, lambda.MostRunning));
    }

    [Fact]
    public async Task Waiting_for_ones_turn_counts_as_waiting_and_a_busy_emulator_is_tried_again()
    {
        var clock = new ManualTimeProvider();
        await using var lambda = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = LambdaFixture.Create([("Functions:auth", lambda.Address + EmulatorPath)], clock);

        var first = fixture.InvokeAsync();
        await lambda.NextCallAsync();
        var second = fixture.InvokeAsync();
        clock.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(LambdaFailureKind.TimedOut, (await Deadline.WaitAsync(first, "the first call's end")).Failure!.Kind);
        Assert.Equal(LambdaFailureKind.TimedOut, (await Deadline.WaitAsync(second, "the second call's end")).Failure!.Kind);

        await using var patient = LambdaFixture.Create([("Functions:auth", lambda.Address + EmulatorPath)]);
        lambda.Answer = call => lambda.Calls.Count % 3 == 0 ? call.ReturnAsync("7") : call.AnswerAsync(400, "busy");
        Assert.Null((await patient.InvokeAsync()).Failure);
    }
}
