using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>Every operation of DynamoDB, against an implementation of it that nobody here wrote.</summary>
public sealed class DynaliteTests : IAsyncLifetime
{
    private const string KeyA = """{"room": {"S": "a"}, "n": {"N": 1}}""";

    private Dynalite? _database;
    private DataSourceFixture? _fixture;

    private DataSourceFixture Fixture => _fixture!;

    public async ValueTask InitializeAsync()
    {
        _database = await Dynalite.StartAsync();
        _fixture = DataSourceFixture.Create(
            [DataSourceFixture.Source(DataSourceKind.DynamoDB) with { Table = new TableSettings("messages", "us-east-1") }],
            [("DataSources:DynamoDBEndpoint", _database.Address.AbsoluteUri)]);
    }

    [Fact]
    public async Task What_is_put_is_got_as_plain_json()
    {
        const string Put = $$"""
            {"operation": "PutItem", "version": "2018-05-29", "key": {{KeyA}}, "attributeValues": {
              "text": {"S": "hé \"quoted\""}, "count": {"N": 12.5}, "big": {"N": "12345678901234567890123456789012345678"},
              "yes": {"BOOL": true}, "nothing": {"NULL": true}, "bytes": {"B": "AAEC"},
              "list": {"L": [{"N": "1"}, {"S": "x"}, {"L": []}]}, "map": {"M": {"deep": {"M": {} } } },
              "texts": {"SS": ["p"]}, "numbers": {"NS": [1, "2"]}, "binaries": {"BS": ["AAEC"]} } }
            """;
        const string Item = """
            {"room": "a", "n": 1, "text": "hé \"quoted\"", "count": 12.5, "big": 12345678901234567890123456789012345678,
             "yes": true, "nothing": null, "bytes": "AAEC", "list": [1, "x", []], "map": {"deep": {}},
             "texts": ["p"], "numbers": [1, 2], "binaries": ["AAEC"]}
            """;

        AssertJson(Item, await Fixture.GetResultAsync(Put));
        var got = await Fixture.GetResultAsync($$"""{"operation": "GetItem", "key": {{KeyA}}, "consistentRead": true}""");
        AssertJson(Item, got);
        Assert.Contains("12345678901234567890123456789012345678", got, StringComparison.Ordinal);
        AssertJson(
            """{"map": {"deep": {}}, "text": "hé \"quoted\""}""",
            await Fixture.GetResultAsync($$"""
                {"operation": "GetItem", "key": {{KeyA}}, "projection": {"expression": "#t, #m.deep", "expressionNames": {"#t": "text", "#m": "map"} } }
                """));
        Assert.Equal("null", await Fixture.GetResultAsync(
            """{"operation": "GetItem", "key": {"room": {"S": "a"}, "n": {"N": "2"}}}"""));
    }

    [Fact]
    public async Task An_update_gives_the_item_after_it_and_shares_placeholders_with_its_condition()
    {
        await PutAsync("a", 1, "one");

        AssertJson(
            """{"room": "a", "n": 1, "text": "one", "count": 3}""",
            await Fixture.GetResultAsync(Update("""{"expression": "#c = :none OR attribute_not_exists(#c)", "expressionValues": {":none": {"N": 0}}}""")));
        AssertJson("""{"room": "b", "n": 1, "count": 3}""", await Fixture.GetResultAsync(
            Update("null").Replace("\"a\"", "\"b\"", StringComparison.Ordinal)));

        static string Update(string condition) => $$"""
            {"operation": "UpdateItem", "key": {{KeyA}}, "condition": {{condition}}, "update": {
              "expression": "SET #c = :c", "expressionNames": {"#c": "count"}, "expressionValues": {":c": {"N": 3} } } }
            """;
    }

    [Fact]
    public async Task A_deletion_gives_what_was_there()
    {
        await PutAsync("a", 1, "one");

        AssertJson("""{"room": "a", "n": 1, "text": "one"}""", await Fixture.GetResultAsync($$"""{"operation": "DeleteItem", "key": {{KeyA}} }"""));
        Assert.Equal("null", await Fixture.GetResultAsync($$"""{"operation": "DeleteItem", "key": {{KeyA}} }"""));
    }

    [Theory]
    [InlineData("PutItem", """ "attributeValues": {"text": {"S": "two"}} """)]
    [InlineData("UpdateItem", """ "update": {"expression": "REMOVE #t", "expressionNames": {"#t": "text"}} """)]
    [InlineData("DeleteItem", """ "version": "2018-05-29" """)]
    public async Task A_condition_that_fails_is_an_error_with_the_current_item(string operation, string more)
    {
        await PutAsync("a", 1, "one");

        var answer = await Fixture.CallAsync(Request("attribute_not_exists(room)", KeyA));
        Assert.Equal("DynamoDB:ConditionalCheckFailedException", answer.Error?.Type);
        Assert.Equal("The conditional request failed", answer.Error?.Message);
        AssertJson("""{"room": "a", "n": 1, "text": "one"}""", DataSourceFixture.TextOf(answer));

        answer = await Fixture.CallAsync(Request("attribute_exists(room)", """{"room": {"S": "none"}, "n": {"N": 1}}"""));
        Assert.Equal("DynamoDB:ConditionalCheckFailedException", answer.Error?.Type);
        Assert.Equal("null", DataSourceFixture.TextOf(answer));

        string Request(string condition, string key) => $$"""
            {"operation": "{{operation}}", "key": {{key}}, "condition": {"expression": "{{condition}}", "consistentRead": false}, {{more}} }
            """;
    }

    [Fact]
    public async Task An_item_that_is_there_already_counts_as_put_where_the_condition_says_what_to_ignore()
    {
        await PutAsync("a", 1, "one");

        Assert.Null((await PutAgainAsync("one", "[\"at\"]")).Error);
        Assert.NotNull((await PutAgainAsync("two", "[\"at\"]")).Error);
        Assert.Null((await PutAgainAsync("two", "[\"at\", \"text\"]")).Error);
        Assert.NotNull((await PutAgainAsync("one", "null")).Error);

        Task<Fanfare.Gateway.Handlers.DataSources.DataSourceAnswer> PutAgainAsync(string text, string ignored) => Fixture.CallAsync($$"""
            {"operation": "PutItem", "key": {{KeyA}}, "attributeValues": {"text": {"S": "{{text}}"}, "at": {"N": 5} },
             "condition": {"expression": "attribute_not_exists(room)", "equalsIgnore": {{ignored}} } }
            """);
    }

    [Fact]
    public async Task A_query_goes_on_where_its_token_says()
    {
        for (var n = 1; n <= 5; n++)
        {
            await PutAsync("a", n, n % 2 == 0 ? "even" : "odd");
        }

        await PutAsync("b", 1, "odd");
        const string Key = """
            "query": {"expression": "room = :room", "expressionValues": {":room": {"S": "a"}}}
            """;
        var page = JsonNode.Parse(await Fixture.GetResultAsync($$"""{"operation": "Query", "limit": 2, "nextToken": null, {{Key}} }"""))!;
        Assert.Equal([1, 2], page["items"]!.AsArray().Select(item => (int)item!["n"]!));
        Assert.Equal(2, (int)page["scannedCount"]!);

        page = JsonNode.Parse(await Fixture.GetResultAsync(
            $$"""{"operation": "Query", "limit": 10, "nextToken": "{{page["nextToken"]}}", {{Key}} }"""))!;
        Assert.Equal([3, 4, 5], page["items"]!.AsArray().Select(item => (int)item!["n"]!));
        Assert.True(page.AsObject().ContainsKey("nextToken") && page["nextToken"] is null);

        AssertJson(
            """{"items": [{"n": 4}, {"n": 2}], "nextToken": null, "scannedCount": 5}""",
            await Fixture.GetResultAsync($$"""
                {"operation": "Query", {{Key}}, "scanIndexForward": false, "consistentRead": true,
                 "filter": {"expression": "#t = :t", "expressionNames": {"#t": "text"}, "expressionValues": {":t": {"S": "even"} } },
                 "projection": {"expression": "n"} }
                """));
        AssertJson(
            """{"items": [], "nextToken": null, "scannedCount": 5}""",
            await Fixture.GetResultAsync($$"""{"operation": "Query", {{Key}}, "select": "COUNT"}"""));
    }

    [Theory]
    [InlineData("nonsense!")]
    [InlineData("e30")]
    [InlineData("eyJyb29tIjp7IlMiOiJhIn19")] // {"room":{"S":"a"}}, half a key
    public async Task A_token_that_is_none_is_an_error(string token)
    {
        var error = await Fixture.GetErrorAsync($$"""{"operation": "Scan", "nextToken": "{{token}}"}""");

        Assert.Equal("DynamoDB:ValidationException", error.Type);
    }

    [Fact]
    public async Task A_scan_may_be_done_in_segments()
    {
        for (var n = 1; n <= 4; n++)
        {
            await PutAsync($"room {n}", n, "x");
        }

        var all = JsonNode.Parse(await Fixture.GetResultAsync("""{"operation": "Scan"}"""))!;
        Assert.Equal(4, all["items"]!.AsArray().Count);
        var counts = 0;
        for (var segment = 0; segment < 2; segment++)
        {
            var part = JsonNode.Parse(await Fixture.GetResultAsync(
                $$"""{"operation": "Scan", "totalSegments": 2, "segment": {{segment}}, "filter": {"expression": "n > :n", "expressionValues": {":n": {"N": 1} } } }"""))!;
            counts += part["items"]!.AsArray().Count;
        }

        Assert.Equal(3, counts);
        var page = JsonNode.Parse(await Fixture.GetResultAsync("""{"operation": "Scan", "limit": 3}"""))!;
        var rest = JsonNode.Parse(await Fixture.GetResultAsync($$"""{"operation": "Scan", "limit": 3, "nextToken": "{{page["nextToken"]}}"}"""))!;
        Assert.Equal((3, 1), (page["items"]!.AsArray().Count, rest["items"]!.AsArray().Count));
    }

    [Fact]
    public async Task Batches_answer_in_the_order_of_what_was_asked()
    {
        AssertJson(
            """
            {"data": {"messages": [{"room": "a", "n": 1, "text": "x"}, {"room": "b", "n": 2}], "other": [{"room": "c", "n": 3}]},
             "unprocessedItems": {"messages": [], "other": []}}
            """,
            await Fixture.GetResultAsync("""
                {"operation": "BatchPutItem", "tables": {
                  "messages": [{"room": {"S": "a"}, "n": {"N": 1}, "text": {"S": "x"}}, {"room": {"S": "b"}, "n": {"N": 2}}],
                  "other": [{"room": {"S": "c"}, "n": {"N": 3}}]}}
                """));
        AssertJson(
            """
            {"data": {"messages": [{"room": "b", "n": 2}, null, {"room": "a", "n": 1, "text": "x"}], "other": [{"n": 3, "room": "c"}]},
             "unprocessedKeys": {"messages": [], "other": []}}
            """,
            await Fixture.GetResultAsync("""
                {"operation": "BatchGetItem", "tables": {
                  "messages": {"consistentRead": true, "keys": [
                    {"room": {"S": "b"}, "n": {"N": 2.0}}, {"room": {"S": "z"}, "n": {"N": 2}}, {"room": {"S": "a"}, "n": {"N": "1"}}]},
                  "other": {"keys": [{"room": {"S": "c"}, "n": {"N": 3}}], "projection": {"expression": "#n, room", "expressionNames": {"#n": "n"}}}}}
                """));
        AssertJson(
            """{"data": {"messages": [{"room": "a", "n": 1}]}, "unprocessedKeys": {"messages": []}}""",
            await Fixture.GetResultAsync(
                """{"operation": "BatchDeleteItem", "tables": {"messages": [{"room": {"S": "a"}, "n": {"N": 1}}]}}"""));
        Assert.Equal("null", await Fixture.GetResultAsync($$"""{"operation": "GetItem", "key": {{KeyA}} }"""));
    }

    [Fact]
    public async Task What_the_service_refuses_is_an_error_with_its_name()
    {
        var error = await Fixture.GetErrorAsync("""{"operation": "GetItem", "key": {"room": {"S": "a"}}}""");
        Assert.Equal(("DynamoDB:ValidationException", "The provided key element does not match the schema"), (error.Type, error.Message));

        error = await Fixture.GetErrorAsync("""{"operation": "BatchDeleteItem", "tables": {"nowhere": [{"room": {"S": "a"}}]}}""");
        Assert.Equal("DynamoDB:ResourceNotFoundException", error.Type);
    }

    public async ValueTask DisposeAsync()
    {
        if (_fixture is not null)
        {
            await _fixture.DisposeAsync();
        }

        if (_database is not null)
        {
            await _database.DisposeAsync();
        }
    }

    private Task<string> PutAsync(string room, int n, string text) => Fixture.GetResultAsync($$"""
        {"operation": "PutItem", "key": {"room": {"S": "{{room}}"}, "n": {"N": {{n}} } }, "attributeValues": {"text": {"S": "{{text}}"} } }
        """);

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), $"Expected {expected}, but it is {actual}.");
}
