using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Handlers.DataSources;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>Functions as data sources: what they are called with, and what handlers learn of their failures.</summary>
public sealed class LambdaDataSourceTests
{
    private static readonly DataSource s_source =
        DataSourceFixture.Source(DataSourceKind.Lambda) with { FunctionArn = "arn:aws:lambda:us-east-1:000000000000:function:work" };

    public static TheoryData<int, string, string?, string, string, string?> Failures => new()
    {
        { 200, """{"errorType": "TypeError", "errorMessage": "x is no function", "trace": []}""", "Unhandled", "Lambda:Unhandled", "x is no function", "TypeError" },
        { 200, "{}", "Unhandled", "Lambda:Unhandled", "The function failed.", null },
        { 200, """{"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out after 3.00 seconds"}""", "Unhandled", "Lambda:ExecutionTimeoutException", "Execution timed out.", "Sandbox.Timedout" },
        { 200, """{"errorMessage": "2026-01-01T00:00:00.000Z 1 Task timed out after 3.00 seconds"}""", "Unhandled", "Lambda:ExecutionTimeoutException", "Execution timed out.", null },
        { 400, """{"message": "bad"}""", null, "Lambda:IllegalArgument", "bad", null },
        { 429, """{"message": "slow down"}""", null, "Lambda:IllegalArgument", "slow down", null },
        { 200, "no json", null, "Lambda:Unhandled", "The function's answer is not JSON.", null },
    };

    [Theory]
    [InlineData("""{"operation": "Invoke", "payload": {"a": [1, "é"]}}""", "RequestResponse", """{"a": [1, "é"]}""")]
    [InlineData("""{"operation": "Invoke", "invocationType": "RequestResponse", "payload": "text", "version": "2018-05-29"}""", "RequestResponse", "\"text\"")]
    [InlineData("""{"operation": "Invoke"}""", "RequestResponse", "{}")]
    [InlineData("""{"operation": "Invoke", "invocationType": "Event", "payload": 1}""", "Event", "1")]
    public async Task A_function_is_called_with_the_payload(string request, string invocationType, string payload)
    {
        await using var server = await FakeLambda.ReturningAsync("[true]");
        await using var fixture = DataSourceFixture.Create([s_source], [("Lambda:Endpoint", server.Address.AbsoluteUri)]);

        Assert.Equal(invocationType == "Event" ? "null" : "[true]", await fixture.GetResultAsync(request));

        var call = Assert.Single(server.Calls);
        Assert.Equal(
            "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Awork/invocations", call.RequestLine);
        Assert.Equal((invocationType, payload), (call.Headers["X-Amz-Invocation-Type"], call.Body));
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_failure_has_the_service_s_own_type(
        int status, string body, string? functionError, string type, string message, string? unhandledErrorType)
    {
        await using var server = await FakeLambda.StartAsync(
            call => call.AnswerAsync(status, body, functionError is null ? [] : [("X-Amz-Function-Error", functionError)]));
        await using var fixture = DataSourceFixture.Create([s_source], [("Lambda:Endpoint", server.Address.AbsoluteUri)]);

        Assert.Equal(new DataSourceError(type, message, unhandledErrorType), await fixture.GetErrorAsync("""{"operation": "Invoke"}"""));
    }

    [Fact]
    public async Task A_function_without_an_address_is_unsupported()
    {
        await using var fixture = DataSourceFixture.Create([s_source], []);

        Assert.Equal("UnsupportedDataSource", (await fixture.GetErrorAsync("""{"operation": "Invoke"}""")).Type);
    }

    [Fact]
    public async Task An_address_in_the_wrong_place_is_told_of()
    {
        await using var fixture = DataSourceFixture.Create([s_source], [("DataSources:Sources:s:Endpoint", "http://localhost:1")]);

        await fixture.CallAsync("""{"operation": "Invoke"}""");

        Assert.Contains(
            fixture.Log.Lines,
            line => line.Level == LogLevel.Warning && line.Text.Contains("is said in Fanfare:Lambda alone", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_function_that_takes_too_long_has_timed_out()
    {
        await using var server = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = DataSourceFixture.Create([s_source], [("Lambda:Endpoint", server.Address.AbsoluteUri)]);

        var answer = await fixture.CallAsync("""{"operation": "Invoke"}""", timeout: TimeSpan.FromMilliseconds(50));

        Assert.Equal(new DataSourceError("Lambda:ExecutionTimeoutException", "Execution timed out."), answer.Error);
    }

    [Theory]
    [InlineData("{}", "request.operation is required")]
    [InlineData("""{"operation": "BatchInvoke"}""", "request.operation must be one of Invoke")]
    [InlineData("""{"operation": "Invoke", "invocationType": "Async"}""", "request.invocationType must be one of RequestResponse, Event")]
    [InlineData("[]", "request must be an object")]
    public async Task A_request_that_is_none_calls_nothing(string request, string reason)
    {
        await using var server = await FakeLambda.ReturningAsync("1");
        await using var fixture = DataSourceFixture.Create([s_source], [("Lambda:Endpoint", server.Address.AbsoluteUri)]);

        Assert.Equal(reason, await fixture.GetInvalidAsync(request));
        Assert.Empty(server.Calls);
    }

    [Fact]
    public void The_function_of_a_direct_handler_is_found()
    {
        var api = DataSourceFixture.CreateApi([s_source, new DataSource { Name = "none", Kind = DataSourceKind.None }]);

        Assert.Equal(s_source.FunctionArn, DataSourceDirectory.FindFunction(api, "s"));
        Assert.Null(DataSourceDirectory.FindFunction(api, "none"));
        Assert.Null(DataSourceDirectory.FindFunction(api, "S"));
    }
}
