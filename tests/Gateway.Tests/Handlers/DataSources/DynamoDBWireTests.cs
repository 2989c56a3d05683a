using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>What is sent to DynamoDB, and what becomes of answers that a well-behaved table does not give.</summary>
public sealed class DynamoDBWireTests
{
    private const string Get = """{"operation": "GetItem", "key": {"id": {"S": "a"}}}""";
    private const string Update = """{"operation": "UpdateItem", "key": {"id": {"S": "a"}}, "update": {"expression": "SET a = b"}}""";

    private static readonly DataSource s_source =
        DataSourceFixture.Source(DataSourceKind.DynamoDB) with { Table = new TableSettings("t", "eu-west-1") };

    public static TheoryData<string, string> Mistakes => new()
    {
        { "{}", "request.operation is required" },
        { """{"operation": "Sync"}""", "request.operation is no operation of DynamoDB" },
        { """{"operation": "GetItem"}""", "request.key is required" },
        { """{"operation": "GetItem", "key": "a"}""", "request.key must be an object" },
        { """{"operation": "GetItem", "key": {"id": "a"}}""", "request.key.id must be an object" },
        { """{"operation": "GetItem", "key": {"id": {}}}""", "request.key.id must be a typed value, an object with one member" },
        { """{"operation": "GetItem", "key": {"id": {"S": "a", "N": 1}}}""", "request.key.id must be a typed value, an object with one member" },
        { """{"operation": "GetItem", "key": {"id": {"X": "a"}}}""", "request.key.id must be a typed value: S, N, B, BOOL, NULL, M, L, SS, NS or BS" },
        { """{"operation": "GetItem", "key": {"id": {"S": 1}}}""", "request.key.id.S must be a text" },
        { """{"operation": "GetItem", "key": {"id": {"N": true}}}""", "request.key.id.N must be a number" },
        { """{"operation": "GetItem", "key": {"id": {"B": "?"}}}""", "request.key.id.B must be base-64 text" },
        { """{"operation": "GetItem", "key": {"id": {"BOOL": "true"}}}""", "request.key.id.BOOL must be true or false" },
        { """{"operation": "GetItem", "key": {"id": {"L": [{"SS": [1]}]}}}""", "request.key.id.L[0].SS[0] must be a text" },
        { """{"operation": "GetItem", "key": {"id": {"S": "a"}}, "consistentRead": "yes"}""", "request.consistentRead must be true or false" },
        { """{"operation": "GetItem", "key": {"id": {"S": "a"}}, "projection": {}}""", "request.projection.expression is required" },
        { """{"operation": "PutItem", "key": {"id": {"S": "a"}}}""", "request.attributeValues is required" },
        { """{"operation": "UpdateItem", "key": {"id": {"S": "a"}}}""", "request.update is required" },
        {
            """
            {"operation": "UpdateItem", "key": {"id": {"S": "a"}}, "update": {"expression": "SET #a = :a", "expressionNames": {"#a": "x"}},
             "condition": {"expression": "#a = :a", "expressionNames": {"#a": "y"}}}
            """,
            "request.update.expressionNames.#a stands for another name already"
        },
        {
            """{"operation": "DeleteItem", "key": {"id": {"S": "a"}}, "condition": {"expression": "a", "conditionalCheckFailedHandler": {"strategy": "Custom", "lambdaArn": "x"}}}""",
            "request.condition.conditionalCheckFailedHandler must have the strategy Reject here"
        },
        { """{"operation": "Query"}""", "request.query is required" },
        { """{"operation": "Query", "query": {"expression": "a"}, "limit": 1.5}""", "request.limit must be a whole number" },
        { """{"operation": "Query", "query": {"expression": "a"}, "nextToken": 1}""", "request.nextToken must be a text" },
        { """{"operation": "Scan", "select": "SOME"}""", "request.select must be one of ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES, SPECIFIC_ATTRIBUTES, COUNT" },
        { """{"operation": "BatchGetItem", "tables": {"t": []}}""", "request.tables.t must be an object" },
        { """{"operation": "BatchGetItem", "tables": {"t": {}}}""", "request.tables.t.keys is required" },
        { """{"operation": "BatchPutItem", "tables": {"t": {}}}""", "request.tables.t must be a list" },
        { """{"operation": "BatchDeleteItem"}""", "request.tables is required" },
        { """{"operation": "TransactGetItems", "transactItems": [{"key": {}}]}""", "request.transactItems[0].table is required" },
        { """{"operation": "TransactWriteItems", "transactItems": [{"table": "t", "key": {}, "operation": "GetItem"}]}""", "request.transactItems[0].operation must be one of PutItem, UpdateItem, DeleteItem, ConditionCheck" },
        { """{"operation": "TransactWriteItems", "transactItems": [{"table": "t", "key": {}, "operation": "ConditionCheck"}]}""", "request.transactItems[0].condition is required" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_request_that_is_none_is_not_sent(string request, string reason)
    {
        await using var server = await FakeLambda.ReturningAsync("{}");
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        Assert.Equal(reason, await fixture.GetInvalidAsync(request));
        Assert.Empty(server.Calls);
    }

    [Fact]
    public async Task Requests_are_signed_for_the_table_s_region()
    {
        await using var server = await FakeLambda.ReturningAsync("{}");
        await using var fixture = DataSourceFixture.CreateAt(
            server, s_source, null, [.. DataSourceFixture.Credentials, ("DataSources:SessionToken", "the-token")]);

        Assert.Equal("null", await fixture.GetResultAsync(Get));

        var call = Assert.Single(server.Calls);
        Assert.Equal(("POST /", "DynamoDB_20120810.GetItem", "the-token"), (call.RequestLine, call.Headers["X-Amz-Target"], call.Headers["X-Amz-Security-Token"]));
        SignedCalls.AssertSigned(call, "dynamodb", "eu-west-1");
    }

    [Fact]
    public async Task A_request_without_credentials_has_a_signature_of_a_made_up_key()
    {
        await using var server = await FakeLambda.ReturningAsync("{}");
        await using var fixture = DataSourceFixture.CreateAt(server, s_source, null, ("DataSources:Sources:s:Region", "local"));

        await fixture.GetResultAsync(Get);

        Assert.Matches(
            "^AWS4-HMAC-SHA256 Credential=fanfare/[0-9]{8}/local/dynamodb/aws4_request,", Assert.Single(server.Calls).Headers["Authorization"]);
    }

    [Fact]
    public async Task A_failed_condition_takes_the_item_that_the_service_sends_along()
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(
            400, """{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no", "Item": {"id": {"S": "a"}, "n": {"N": "1"}}}"""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        var answer = await fixture.CallAsync("""{"operation": "DeleteItem", "key": {"id": {"S": "a"}}, "condition": {"expression": "n = m"}}""");

        Assert.Equal(("DynamoDB:ConditionalCheckFailedException", "no"), (answer.Error?.Type, answer.Error?.Message));
        Assert.Equal("""{"id":"a","n":1}""", DataSourceFixture.TextOf(answer));
        var call = Assert.Single(server.Calls);
        AssertJson(
            """{"TableName": "t", "Key": {"id": {"S": "a"}}, "ConditionExpression": "n = m", "ReturnValues": "ALL_OLD", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}""",
            call.Body);
    }

    [Fact]
    public async Task A_transaction_reads_in_order()
    {
        await using var server = await FakeLambda.ReturningAsync("""{"Responses": [{}, {"Item": {"id": {"S": "b"}}}]}""");
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        AssertJson(
            """{"items": [null, {"id": "b"}], "cancellationReasons": null}""",
            await fixture.GetResultAsync("""
                {"operation": "TransactGetItems", "transactItems": [
                  {"table": "t", "key": {"id": {"S": "a"}}},
                  {"table": "u", "key": {"id": {"S": "b"}}, "projection": {"expression": "#i", "expressionNames": {"#i": "id"}}}]}
                """));

        AssertJson(
            """
            {"TransactItems": [{"Get": {"TableName": "t", "Key": {"id": {"S": "a"}}}},
              {"Get": {"TableName": "u", "Key": {"id": {"S": "b"}}, "ProjectionExpression": "#i", "ExpressionAttributeNames": {"#i": "id"}}}]}
            """,
            Assert.Single(server.Calls).Body);
    }

    [Fact]
    public async Task A_transaction_writes_all_and_gives_the_keys()
    {
        var answers = 0;
        await using var server = await FakeLambda.StartAsync(
            call => answers++ == 0 ? call.AnswerAsync(500, """{"__type": "x#InternalServerError"}""") : call.ReturnAsync("{}"));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        AssertJson(
            """{"keys": [{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}], "cancellationReasons": null}""",
            await fixture.GetResultAsync("""
                {"operation": "TransactWriteItems", "transactItems": [
                  {"table": "t", "operation": "PutItem", "key": {"id": {"S": "a"}}, "attributeValues": {"n": {"N": 1}, "id": {"S": "ignored"}},
                   "condition": {"expression": "attribute_not_exists(id)", "returnValuesOnConditionCheckFailure": false}},
                  {"table": "t", "operation": "UpdateItem", "key": {"id": {"S": "b"}},
                   "update": {"expression": "SET #n = :n", "expressionNames": {"#n": "n"}, "expressionValues": {":n": {"N": 2}}},
                   "condition": {"expression": "#n = :m", "expressionNames": {"#n": "n"}, "expressionValues": {":m": {"N": 1}}}},
                  {"table": "t", "operation": "DeleteItem", "key": {"id": {"S": "c"}}},
                  {"table": "u", "operation": "ConditionCheck", "key": {"id": {"S": "d"}}, "condition": {"expression": "attribute_exists(id)"}}]}
                """));

        Assert.Equal(2, server.Calls.Count);
        var sent = server.Calls.Select(call => call.Json).ToList();
        Assert.Equal((string?)sent[0]["ClientRequestToken"], (string?)sent[1]["ClientRequestToken"]);
        AssertJson(
            """
            [{"Put": {"TableName": "t", "Item": {"id": {"S": "a"}, "n": {"N": "1"}}, "ConditionExpression": "attribute_not_exists(id)", "ReturnValuesOnConditionCheckFailure": "NONE"}},
             {"Update": {"TableName": "t", "Key": {"id": {"S": "b"}}, "UpdateExpression": "SET #n = :n", "ConditionExpression": "#n = :m",
               "ExpressionAttributeNames": {"#n": "n"}, "ExpressionAttributeValues": {":m": {"N": "1"}, ":n": {"N": "2"}}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
             {"Delete": {"TableName": "t", "Key": {"id": {"S": "c"}}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
             {"ConditionCheck": {"TableName": "u", "Key": {"id": {"S": "d"}}, "ConditionExpression": "attribute_exists(id)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}]
            """,
            sent[0]["TransactItems"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"operation": "TransactGetItems", "transactItems": [{"table": "t", "key": {"id": {"S": "a"}}}]}""", "items")]
    [InlineData("""{"operation": "TransactWriteItems", "transactItems": [{"table": "t", "operation": "DeleteItem", "key": {"id": {"S": "a"}}}]}""", "keys")]
    public async Task A_transaction_that_is_cancelled_says_why(string request, string member)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(400, """
            {"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Transaction cancelled",
             "CancellationReasons": [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "no", "Item": {"id": {"S": "a"}}}]}
            """));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        var answer = await fixture.CallAsync(request);

        Assert.Equal("DynamoDB:TransactionCanceledException", answer.Error?.Type);
        AssertJson(
            $$"""
            {"{{member}}": null, "cancellationReasons": [{"type": "None", "message": null}, {"item": {"id": "a"}, "type": "ConditionalCheckFailed", "message": "no"} ] }
            """,
            DataSourceFixture.TextOf(answer));
    }

    [Theory]
    [InlineData(
        """{"operation": "BatchGetItem", "tables": {"t": {"keys": [{"id": {"S": "a"}}, {"id": {"S": "b"}}]}}}""",
        """{"Responses": {"t": [{"id": {"S": "b"}, "n": {"N": "1"}}]}, "UnprocessedKeys": {"t": {"Keys": [{"id": {"S": "a"}}]}}}""",
        """{"data": {"t": [null, {"id": "b", "n": 1}]}, "unprocessedKeys": {"t": [{"id": "a"}]}}""")]
    [InlineData(
        """{"operation": "BatchPutItem", "tables": {"t": [{"id": {"S": "a"}, "n": {"N": 1}}, {"id": {"S": "b"}}], "u": [{"id": {"S": "a"}}]}}""",
        """{"UnprocessedItems": {"t": [{"PutRequest": {"Item": {"n": {"N": "1"}, "id": {"S": "a"}}}}]}}""",
        """{"data": {"t": [null, {"id": "b"}], "u": [{"id": "a"}]}, "unprocessedItems": {"t": [{"n": 1, "id": "a"}], "u": []}}""")]
    [InlineData(
        """{"operation": "BatchDeleteItem", "tables": {"t": [{"id": {"S": "a"}}, {"id": {"S": "b"}}]}}""",
        """{"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": {"id": {"S": "b"}}}}]}}""",
        """{"data": {"t": [{"id": "a"}, null]}, "unprocessedKeys": {"t": [{"id": "b"}]}}""")]
    public async Task What_a_batch_leaves_undone_is_told(string request, string answer, string result)
    {
        await using var server = await FakeLambda.ReturningAsync(answer);
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        AssertJson(result, await fixture.GetResultAsync(request));
        Assert.Single(server.Calls);
    }

    [Theory]
    [InlineData(Get, 400, "ThrottlingException", 3)]
    [InlineData(Update, 400, "ProvisionedThroughputExceededException", 3)]
    [InlineData(Get, 500, "InternalServerError", 2)]
    [InlineData(Update, 500, "InternalServerError", 1)]
    [InlineData(Get, 400, "ResourceNotFoundException", 1)]
    public async Task Only_what_does_no_harm_twice_is_tried_again(string request, int status, string type, int calls)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(
            status, new JsonObject { ["__type"] = $"com.amazonaws.dynamodb.v20120810#{type}", ["message"] = "m" }.ToJsonString()));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        var error = await fixture.GetErrorAsync(request);

        Assert.Equal(($"DynamoDB:{type}", "m", calls), (error.Type, error.Message, server.Calls.Count));
    }

    [Theory]
    [InlineData(Get, 2)]
    [InlineData(Update, 1)]
    public async Task A_connection_that_breaks_is_an_error(string request, int calls)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AbortAsync());
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        Assert.Equal("DynamoDB:ConnectionException", (await fixture.GetErrorAsync(request)).Type);
        Assert.Equal(calls, server.Calls.Count);
    }

    [Theory]
    [InlineData("<html>", 200)]
    [InlineData("<html>", 502)]
    public async Task An_answer_that_is_none_of_the_service_s_is_an_error(string body, int status)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(status, body));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        Assert.StartsWith("DynamoDB:", (await fixture.GetErrorAsync(Update)).Type, StringComparison.Ordinal);
    }

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), $"Expected {expected}, but it is {actual}.");
}
