using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>Data sources behind signed JSON calls: EventBridge, the RDS Data API, OpenSearch, Bedrock.</summary>
public sealed class ServiceDataSourceTests
{
    private static readonly DataSource s_bus =
        DataSourceFixture.Source(DataSourceKind.EventBridge) with { EventBusArn = "arn:aws:events:eu-west-1:000000000000:event-bus/b" };

    private static readonly DataSource s_database =
        DataSourceFixture.Source(DataSourceKind.RelationalDatabase) with
        {
            Database = new DatabaseSettings("arn:cluster", "arn:secret", "eu-west-2") { DatabaseName = "db", Schema = "public" },
        };

    private static readonly DataSource s_search =
        DataSourceFixture.Source(DataSourceKind.OpenSearch) with { SearchDomain = new SearchDomainSettings("https://s.invalid", "eu-west-3") };

    private static readonly DataSource s_bedrock = DataSourceFixture.Source(DataSourceKind.Bedrock);

    public static TheoryData<DataSource, string, string> Requests => new()
    {
        { s_bus, "{}", "request.operation is required" },
        { s_bus, """{"operation": "PutEvents"}""", "request.events is required" },
        { s_bus, """{"operation": "PutEvents", "events": []}""", "request.events must hold 1 to 10 events" },
        { s_bus, """{"operation": "PutEvents", "events": [{"detailType": "d", "detail": {}}]}""", "request.events[0].source is required" },
        { s_bus, """{"operation": "PutEvents", "events": [{"source": "s", "detailType": "d", "detail": "x"}]}""", "request.events[0].detail must be an object" },
        { s_bus, """{"operation": "PutEvents", "events": [{"source": "s", "detailType": "d", "detail": {}, "time": "noon"}]}""", "request.events[0].time must be a time of RFC 3339" },
        { s_bus, """{"operation": "PutEvents", "events": [{"source": "s", "detailType": "d", "detail": {}, "resources": "r"}]}""", "request.events[0].resources must be a list" },
        { s_database, "{}", "request.statements is required" },
        { s_database, """{"statements": ["a", "b", "c"]}""", "request.statements must hold 1 to 2 statements" },
        { s_database, """{"statements": [1]}""", "request.statements[0] must be a text" },
        { s_database, """{"statements": ["a"], "variableMap": []}""", "request.variableMap must be an object" },
        { s_search, """{"operation": "PATCH", "path": "/"}""", "request.operation must be one of GET, POST, PUT, HEAD, DELETE" },
        { s_search, """{"operation": "GET"}""", "request.path is required" },
        { s_bedrock, """{"operation": "Ask", "modelId": "m"}""", "request.operation must be one of InvokeModel, Converse" },
        { s_bedrock, """{"operation": "InvokeModel", "body": {}}""", "request.modelId is required" },
        { s_bedrock, """{"operation": "InvokeModel", "modelId": "m"}""", "request.body is required" },
        { s_bedrock, """{"operation": "Converse", "modelId": "m"}""", "request.messages is required" },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_request_that_is_none_is_not_sent(DataSource source, string request, string reason)
    {
        await using var server = await FakeLambda.ReturningAsync("{}");
        await using var fixture = DataSourceFixture.CreateAt(server, source);

        Assert.Equal(reason, await fixture.GetInvalidAsync(request));
        Assert.Empty(server.Calls);
    }

    [Fact]
    public async Task Events_are_put_on_the_bus()
    {
        const string Result = """{"Entries": [{"EventId": "1"}, {"ErrorCode": "x", "ErrorMessage": "y"}], "FailedEntryCount": 1}""";
        await using var server = await FakeLambda.ReturningAsync(Result);
        await using var fixture = DataSourceFixture.CreateAt(server, s_bus, null, DataSourceFixture.Credentials);

        Assert.Equal(Result, await fixture.GetResultAsync("""
            {"operation": "PutEvents", "events": [
              {"source": "chat", "detailType": "message", "detail": {"text": "é\ud83d\ude00"}},
              {"source": "chat", "detailType": "message", "detail": {}, "resources": ["arn:r"], "time": "2026-01-02T03:04:05.5Z"}]}
            """));

        var call = Assert.Single(server.Calls);
        Assert.Equal(("POST /", "AWSEvents.PutEvents", "application/x-amz-json-1.1"), (call.RequestLine, call.Headers["X-Amz-Target"], call.Headers["Content-Type"]));
        SignedCalls.AssertSigned(call, "events", "eu-west-1");
        AssertJson(
            """
            {"Entries": [
              {"Source": "chat", "DetailType": "message", "Detail": "{\"text\": \"é\\ud83d\\ude00\"}", "EventBusName": "arn:aws:events:eu-west-1:000000000000:event-bus/b"},
              {"Source": "chat", "DetailType": "message", "Detail": "{}", "EventBusName": "arn:aws:events:eu-west-1:000000000000:event-bus/b", "Resources": ["arn:r"], "Time": 1767323045.5}]}
            """,
            call.Body);
    }

    [Fact]
    public async Task Statements_run_one_after_the_other_with_the_variables_that_they_name()
    {
        var answers = new Queue<string>([
            """{"generatedFields": [], "numberOfRecordsUpdated": 1}""",
            """{"records": [[{"longValue": 9007199254740993}, {"stringValue": "é"}, {"isNull": true}]], "columnMetadata": [{"label": "id"}], "numberOfRecordsUpdated": 0, "other": 1}""",
        ]);
        await using var server = await FakeLambda.StartAsync(call => call.ReturnAsync(answers.Dequeue()));
        await using var fixture = DataSourceFixture.CreateAt(server, s_database, null, DataSourceFixture.Credentials);

        var result = JsonNode.Parse(await fixture.GetResultAsync("""
            {"statements": ["insert into t values (:P0, :P1, :P2, :P3, :P10)", "select a::text from t where id = :P1"],
             "variableMap": {":P0": "x", ":P1": 1, ":P2": 1.5, ":P3": null, ":P4": "unused", ":P10": true},
             "variableTypeHintMap": {":P0": "UUID"}}
            """))!;

        Assert.Equal(
            """{"sqlStatementResults":[{"numberOfRecordsUpdated":1,"generatedFields":[]},{"columnMetadata":[{"label": "id"}],"records":[[{"longValue": 9007199254740993}, {"stringValue": "é"}, {"isNull": true}]],"numberOfRecordsUpdated":0}]}""",
            (string?)result);
        Assert.All(server.Calls, call => SignedCalls.AssertSigned(call, "rds-data", "eu-west-2"));
        Assert.Equal(["POST /Execute", "POST /Execute"], server.Calls.Select(call => call.RequestLine));
        AssertJson(
            """
            {"resourceArn": "arn:cluster", "secretArn": "arn:secret", "database": "db", "schema": "public", "includeResultMetadata": true,
             "sql": "insert into t values (:P0, :P1, :P2, :P3, :P10)", "parameters": [
               {"name": "P0", "value": {"stringValue": "x"}, "typeHint": "UUID"}, {"name": "P1", "value": {"longValue": 1}},
               {"name": "P2", "value": {"doubleValue": 1.5}}, {"name": "P3", "value": {"isNull": true}}, {"name": "P10", "value": {"booleanValue": true}}]}
            """,
            server.Calls.First().Body);
        AssertJson("""[{"name": "P1", "value": {"longValue": 1}}]""", server.Calls.Last().Json["parameters"]!.ToJsonString());
    }

    [Fact]
    public async Task A_second_statement_is_not_run_after_one_that_failed()
    {
        await using var server = await FakeLambda.StartAsync(
            call => call.AnswerAsync(400, """{"message": "ERROR: no such table"}""", ("x-amzn-ErrorType", "DatabaseErrorException:http://x/")));
        await using var fixture = DataSourceFixture.CreateAt(server, s_database);

        var error = await fixture.GetErrorAsync("""{"statements": ["a", "b"]}""");

        Assert.Equal(("Rds:DatabaseErrorException", "ERROR: no such table"), (error.Type, error.Message));
        Assert.False(Assert.Single(server.Calls).Headers.ContainsKey("Authorization"));
    }

    [Theory]
    [InlineData("""{"operation": "GET", "path": "/i/_search", "params": {"body": {"size": 1}, "queryString": {"a": "b"}, "headers": {"x-a": "1"}}}""", "GET /i/_search?a=b", """{"size": 1}""")]
    [InlineData("""{"operation": "DELETE", "path": "/i/_doc/1"}""", "DELETE /i/_doc/1", "")]
    public async Task A_search_domain_answers_with_its_json(string request, string line, string body)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(404, """{"found": false}"""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_search, null, DataSourceFixture.Credentials);

        Assert.Equal("""{"found": false}""", await fixture.GetResultAsync(request));

        var call = Assert.Single(server.Calls);
        Assert.Equal((line, body), (call.RequestLine, call.Body));
        SignedCalls.AssertSigned(call, "es", "eu-west-3");
    }

    [Fact]
    public async Task A_head_request_has_no_result()
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(200, "", ("Content-Length", "100000000")));
        await using var fixture = DataSourceFixture.CreateAt(server, s_search);

        Assert.Equal("null", await fixture.GetResultAsync("""{"operation": "HEAD", "path": "/i"}"""));
    }

    [Fact]
    public async Task A_model_is_invoked_with_its_guardrail()
    {
        await using var server = await FakeLambda.ReturningAsync("""{"completion": "hi"}""");
        await using var fixture = DataSourceFixture.CreateAt(server, s_bedrock, null, [.. DataSourceFixture.Credentials, ("Region", "eu-north-1")]);

        Assert.Equal("""{"completion": "hi"}""", await fixture.GetResultAsync("""
            {"operation": "InvokeModel", "modelId": "anthropic.claude-v2:1", "body": {"prompt": "hello"},
             "guardrailIdentifier": "g", "guardrailVersion": "1", "guardrailTrace": "ENABLED"}
            """));

        var call = Assert.Single(server.Calls);
        Assert.Equal(("POST /model/anthropic.claude-v2%3A1/invoke", """{"prompt": "hello"}"""), (call.RequestLine, call.Body));
        Assert.Equal(
            ("g", "1", "ENABLED"),
            (call.Headers["X-Amzn-Bedrock-GuardrailIdentifier"], call.Headers["X-Amzn-Bedrock-GuardrailVersion"], call.Headers["X-Amzn-Bedrock-Trace"]));
        SignedCalls.AssertSigned(call, "bedrock", "eu-north-1");
    }

    [Fact]
    public async Task A_conversation_is_sent_without_what_is_ours()
    {
        await using var server = await FakeLambda.ReturningAsync("""{"stopReason": "end_turn"}""");
        await using var fixture = DataSourceFixture.CreateAt(server, s_bedrock);

        await fixture.GetResultAsync("""
            {"operation": "Converse", "modelId": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": [{"text": "s"}],
             "inferenceConfig": {"maxTokens": 5}, "toolConfig": null}
            """);

        var call = Assert.Single(server.Calls);
        Assert.Equal("POST /model/m/converse", call.RequestLine);
        AssertJson(
            """{"messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": [{"text": "s"}], "inferenceConfig": {"maxTokens": 5}}""",
            call.Body);
    }

    [Fact]
    public async Task A_model_has_ten_seconds()
    {
        var clock = new ManualTimeProvider();
        await using var server = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = DataSourceFixture.CreateAt(server, s_bedrock, clock);
        var answer = fixture.CallAsync("""{"operation": "InvokeModel", "modelId": "m", "body": {}}""", timeout: TimeSpan.FromSeconds(30));
        await server.NextCallAsync();

        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.False(answer.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("Bedrock:TimeoutException", (await Deadline.WaitAsync(answer, "the time to be up")).Error?.Type);
    }

    [Theory]
    [InlineData(429, "ThrottlingException", 3)]
    [InlineData(400, "ThrottlingException", 3)]
    [InlineData(400, "ValidationException", 1)]
    [InlineData(500, "InternalException", 1)] // it may have been carried out
    public async Task Only_what_was_not_carried_out_is_tried_again(int status, string type, int calls)
    {
        await using var server = await FakeLambda.StartAsync(
            call => call.AnswerAsync(status, $$"""{"__type": "com.amazonaws.events#{{type}}", "Message": "m"}"""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_bus);

        var error = await fixture.GetErrorAsync(
            """{"operation": "PutEvents", "events": [{"source": "s", "detailType": "d", "detail": {}}]}""");

        Assert.Equal(($"EventBridge:{type}", "m", calls), (error.Type, error.Message, server.Calls.Count));
    }

    [Fact]
    public async Task An_answer_that_is_no_json_is_an_error()
    {
        await using var server = await FakeLambda.ReturningAsync("<html>");
        await using var fixture = DataSourceFixture.CreateAt(server, s_search);

        Assert.Equal("OpenSearch:MalformedResponseException", (await fixture.GetErrorAsync("""{"operation": "GET", "path": "/"}""")).Type);
    }

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), $"Expected {expected}, but it is {actual}.");
}
