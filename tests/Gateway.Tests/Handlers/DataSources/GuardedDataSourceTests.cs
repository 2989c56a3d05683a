using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Handlers.DataSources;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>What all data sources have in common: bounds, time, credentials and what is told of a call.</summary>
public sealed class GuardedDataSourceTests
{
    private const string Secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    /// <summary>One of each kind that is called over a network of its own, with a request that it takes.</summary>
    public static TheoryData<DataSource, string, string> Remote => new()
    {
        { Source(DataSourceKind.Http) with { Http = new HttpSourceSettings("http://x.invalid") }, """{"method": "POST", "resourcePath": "/"}""", "Http" },
        { Source(DataSourceKind.DynamoDB) with { Table = new TableSettings("t", "r") }, """{"operation": "GetItem", "key": {"id": {"S": "a"}}}""", "DynamoDB" },
        { Source(DataSourceKind.EventBridge) with { EventBusArn = "b" }, """{"operation": "PutEvents", "events": [{"source": "s", "detailType": "d", "detail": {}}]}""", "EventBridge" },
        { Source(DataSourceKind.RelationalDatabase) with { Database = new DatabaseSettings("c", "s", "r") }, """{"statements": ["a"]}""", "Rds" },
        { Source(DataSourceKind.OpenSearch) with { SearchDomain = new SearchDomainSettings("http://x.invalid", "r") }, """{"operation": "POST", "path": "/"}""", "OpenSearch" },
        { Source(DataSourceKind.Bedrock), """{"operation": "InvokeModel", "modelId": "m", "body": {}}""", "Bedrock" },
    };

    /// <summary>The other operations of DynamoDB.</summary>
    public static TheoryData<DataSource, string, string> TableRequests => new(
        from request in (string[])[
            """{"operation": "PutItem", "key": {"id": {"S": "a"}}, "attributeValues": {"a": {"M": {"b": {"NS": [1]}}}}, "condition": {"expression": "a = :a", "expressionValues": {":a": {"L": []}}, "equalsIgnore": ["a"]}}""",
            """{"operation": "UpdateItem", "key": {"id": {"B": "AA=="}}, "update": {"expression": "SET #a = :a", "expressionNames": {"#a": "a"}, "expressionValues": {":a": {"NULL": true}}}}""",
            """{"operation": "Query", "query": {"expression": "a", "expressionNames": {"#a": "a"}}, "index": "i", "limit": 1, "nextToken": "e30", "filter": {"expression": "f"}, "select": "COUNT"}""",
            """{"operation": "Scan", "totalSegments": 2, "segment": 1, "projection": {"expression": "p"}, "consistentRead": true}""",
            """{"operation": "BatchGetItem", "tables": {"t": {"keys": [{"id": {"S": "a"}}], "projection": {"expression": "p"}}}}""",
            """{"operation": "BatchPutItem", "tables": {"t": [{"id": {"BS": ["AA=="]}}]}}""",
            """{"operation": "BatchDeleteItem", "tables": {"t": [{"id": {"BOOL": true}}]}}""",
            """{"operation": "TransactGetItems", "transactItems": [{"table": "t", "key": {"id": {"S": "a"}}, "projection": {"expression": "p"}}]}""",
            """{"operation": "TransactWriteItems", "transactItems": [{"table": "t", "operation": "UpdateItem", "key": {"id": {"S": "a"}}, "update": {"expression": "u"}, "condition": {"expression": "c"}}]}""",
        ]
        select new TheoryDataRow<DataSource, string, string>(
            Source(DataSourceKind.DynamoDB) with { Table = new TableSettings("t", "r") }, request, "DynamoDB"));

    [Theory]
    [MemberData(nameof(Remote))]
    public async Task A_call_that_takes_too_long_is_an_error(DataSource source, string request, string name)
    {
        var clock = new ManualTimeProvider();
        await using var server = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = DataSourceFixture.CreateAt(server, source, clock, ("DataSources:Sources:s:Timeout", "00:00:02"));
        var answer = fixture.CallAsync(request);
        var call = await server.NextCallAsync();

        clock.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(
            new DataSourceError($"{name}:TimeoutException", "Execution timed out."), (await Deadline.WaitAsync(answer, "the time to be up")).Error);
        await Deadline.WaitAsync(
            Task.Delay(Timeout.Infinite, call.Aborted).ContinueWith(_ => true, TaskScheduler.Default), "the end of the call");
    }

    [Theory]
    [MemberData(nameof(Remote))]
    public async Task A_call_ends_with_its_caller_and_with_the_gateway(DataSource source, string request, string name)
    {
        Assert.NotEmpty(name);
        await using var server = await FakeLambda.StartAsync(call => Task.Delay(Timeout.Infinite, call.Aborted));
        await using var fixture = DataSourceFixture.CreateAt(server, source);
        using var cancelled = new CancellationTokenSource();
        var answer = fixture.CallAsync(request, cancellationToken: cancelled.Token);
        await server.NextCallAsync();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer.WaitAsync(Deadline.Default, TestContext.Current.CancellationToken));

        answer = fixture.CallAsync(request);
        await server.NextCallAsync();
        await fixture.DisposeAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer.WaitAsync(Deadline.Default, TestContext.Current.CancellationToken));
    }

    [Theory]
    [MemberData(nameof(Remote))]
    public async Task An_answer_is_read_up_to_the_limit(DataSource source, string request, string name)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(200, $"{{\"a\": \"{new string('x', 1000)}\"}}"));
        await using var fixture = DataSourceFixture.CreateAt(server, source, null, ("DataSources:ResponseBytesMax", "1000"));

        Assert.Equal($"{name}:ResponseTooLargeException", (await fixture.GetErrorAsync(request)).Type);
    }

    [Theory]
    [MemberData(nameof(Remote))]
    public async Task A_service_that_is_away_is_an_error(DataSource source, string request, string name)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        await using var fixture = DataSourceFixture.Create([source], [("DataSources:Sources:s:Endpoint", $"http://127.0.0.1:{port}")]);

        Assert.Equal(
            new DataSourceError($"{name}:ConnectionException", "The data source cannot be reached."), await fixture.GetErrorAsync(request));
    }

    [Theory]
    [MemberData(nameof(Remote))]
    public async Task What_nothing_says_the_place_of_is_unsupported(DataSource source, string request, string name)
    {
        // Those two have an address of the template's, if it is one.
        var homeless = source with
        {
            Http = source.Http is null ? null : new HttpSourceSettings("stack-Balancer-DNSName"),
            SearchDomain = source.SearchDomain is null ? null : new SearchDomainSettings("", "r"),
        };
        await using var fixture = DataSourceFixture.Create([homeless], []);

        var error = await fixture.GetErrorAsync(request);

        Assert.Equal("UnsupportedDataSource", error.Type);
        Assert.Contains("'s'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(name, error.Type, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_signed_server_cannot_be_called_without_credentials()
    {
        var source = Source(DataSourceKind.Http) with
        {
            Http = new HttpSourceSettings("http://127.0.0.1:1") { SigningRegion = "r", SigningServiceName = "s" },
        };
        await using var fixture = DataSourceFixture.Create([source], []);

        Assert.Equal("UnsupportedDataSource", (await fixture.GetErrorAsync("""{"method": "GET", "resourcePath": "/"}""")).Type);
    }

    [Fact]
    public async Task A_name_that_the_api_does_not_have_is_unsupported()
    {
        await using var fixture = DataSourceFixture.Create([], []);

        Assert.Equal("UnsupportedDataSource", (await fixture.GetErrorAsync("{}", "gone")).Type);
    }

    [Theory]
    [InlineData("""{"payload": {"a": [1.50, null]}}""", """{"a": [1.50, null]}""")]
    [InlineData("""{"payload": null}""", "null")]
    [InlineData("{}", "null")]
    [InlineData("""{"payload": "\ud800 \udc00\ud83d\ude00 \\ud800"}""", """
        "\uFFFD \uFFFD\ud83d\ude00 \\ud800"
        """)]
    [InlineData("""{"payload": "\uD83Dx\uD83D\uD83D\uDE00"}""", """
        "\uFFFDx\uFFFD\uD83D\uDE00"
        """)]
    public async Task None_gives_the_payload_back_as_well_formed_text(string request, string result)
    {
        await using var fixture = DataSourceFixture.Create([Source(DataSourceKind.None)], []);

        Assert.Equal(result.Trim(), await fixture.GetResultAsync(request));
    }

    [Theory]
    [InlineData("\"text\"", "request must be an object", "null")]
    [InlineData("null", "request must be an object", "null")]
    [InlineData("""{"\ud800": 1, "payload": 2}""", null, "2")]
    public async Task None_needs_no_guard(string request, string? reason, string result)
    {
        using var document = JsonDocument.Parse(request);

        var answer = await new NoneDataSource().CallAsync(
            new DataSourceCall(document.RootElement, TimeSpan.FromSeconds(1)), TestContext.Current.CancellationToken);

        Assert.Equal((reason, result), (answer.InvalidReason, DataSourceFixture.TextOf(answer)));
    }

    [Fact]
    public async Task A_text_that_is_no_unicode_does_not_fail_a_call()
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(204, ""));
        await using var fixture = DataSourceFixture.CreateAt(
            server, Source(DataSourceKind.Http) with { Http = new HttpSourceSettings("http://x.invalid") });

        await fixture.GetResultAsync("""{"method": "POST", "resourcePath": "/", "\ud800": 1, "params": {"body": "\ud800", "query": {"\udfff": "\ud800"}}}""");

        var call = Assert.Single(server.Calls);
        Assert.Equal(("POST /?%EF%BF%BD=%EF%BF%BD", "\uFFFD"), (call.RequestLine, call.Body));
    }

    [Fact]
    public async Task Calls_and_those_that_wait_are_bounded()
    {
        var release = new TaskCompletionSource();
        await using var server = await FakeLambda.StartAsync(async call =>
        {
            await release.Task;
            await call.AnswerAsync(204, "");
        });
        await using var fixture = DataSourceFixture.CreateAt(
            server, Source(DataSourceKind.Http) with { Http = new HttpSourceSettings("http://x.invalid") }, null,
            ("DataSources:Sources:s:ConcurrencyMax", "2"), ("DataSources:WaitingMax", "3"));
        const string Request = """{"method": "POST", "resourcePath": "/"}""";
        var calls = Enumerable.Range(0, 5).Select(_ => fixture.CallAsync(Request)).ToList();
        await server.NextCallAsync();
        await server.NextCallAsync();

        var error = (await fixture.CallAsync(Request)).Error;
        Assert.Equal(new DataSourceError("Http:ThrottlingException", "Too many calls of the data source are under way."), error);

        release.SetResult();
        Assert.All(await Deadline.WaitAsync(Task.WhenAll(calls), "the calls that waited"), answer => Assert.Null(answer.Error));
        Assert.Equal((5, 2), (server.Calls.Count, server.MostRunning));
        Assert.Null((await fixture.CallAsync(Request)).Error);
    }

    [Fact]
    public async Task A_call_that_waits_in_vain_does_not_keep_its_place()
    {
        var clock = new ManualTimeProvider();
        var release = new TaskCompletionSource();
        await using var server = await FakeLambda.StartAsync(async call =>
        {
            await release.Task;
            await call.AnswerAsync(204, "");
        });
        await using var fixture = DataSourceFixture.CreateAt(
            server, Source(DataSourceKind.Http) with { Http = new HttpSourceSettings("http://x.invalid") }, clock,
            ("DataSources:ConcurrencyMax", "1"), ("DataSources:WaitingMax", "1"));
        const string Request = """{"method": "POST", "resourcePath": "/"}""";
        var first = fixture.CallAsync(Request, timeout: TimeSpan.FromSeconds(20));
        await server.NextCallAsync();
        var second = fixture.CallAsync(Request, timeout: TimeSpan.FromSeconds(5));

        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("Http:ThrottlingException", (await Deadline.WaitAsync(second, "the time to be up")).Error?.Type);

        var third = fixture.CallAsync(Request, timeout: TimeSpan.FromSeconds(5));
        release.SetResult();
        Assert.Null((await Deadline.WaitAsync(first, "the first call")).Error);
        Assert.Null((await Deadline.WaitAsync(third, "the third call")).Error);
    }

    [Fact]
    public async Task A_data_source_that_changes_is_made_anew()
    {
        await using var fixture = DataSourceFixture.Create([Source(DataSourceKind.None)], []);
        var one = DataSourceFixture.CreateApi([Source(DataSourceKind.None)]);
        var same = DataSourceFixture.CreateApi([Source(DataSourceKind.None)]);
        var other = DataSourceFixture.CreateApi([Source(DataSourceKind.Bedrock)]);

        Assert.Same(fixture.Directory.Get(one, "s"), fixture.Directory.Get(same, "s"));
        Assert.NotSame(fixture.Directory.Get(one, "s"), fixture.Directory.Get(other, "s"));
    }

    [Theory]
    [InlineData(200, "{}", "success")]
    [InlineData(400, """{"__type": "ValidationException", "message": "the-message"}""", "error")]
    [InlineData(200, "<html>", "malformed_response")]
    public async Task What_is_told_of_a_call_is_names_alone(int status, string body, string outcome)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(status, body));
        await using var fixture = DataSourceFixture.CreateAt(
            server, Source(DataSourceKind.EventBridge) with { EventBusArn = "the-bus" }, null,
            [.. DataSourceFixture.Credentials, ("DataSources:SessionToken", "the-token")]);
        var outcomes = new List<string>();
        var metrics = fixture.Services.GetRequiredService<GatewayMetrics>();
        using var listener = new MeterListener();
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) =>
            outcomes.Add(string.Join(',', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))));
        listener.EnableMeasurementEvents(metrics.DataSourceDuration);

        await fixture.CallAsync("""{"operation": "PutEvents", "events": [{"source": "the-payload", "detailType": "d", "detail": {}}]}""");

        Assert.Equal([$"api=k7h2aaaaaaaaaaaaaaaaaaaaaa,source=s,kind=AMAZON_EVENTBRIDGE,outcome={outcome}"], outcomes);
        var log = string.Concat(fixture.Log.Entries.Select(line => line.Text + line.Values));
        Assert.All(
            (string[])[Secret, "the-token", "the-payload", "the-message", "the-bus"],
            text => Assert.DoesNotContain(text, log, StringComparison.Ordinal));
        Assert.Equal(
            outcome switch { "success" => [], "error" => [LogLevel.Debug], _ => [LogLevel.Warning] },
            fixture.Log.Lines.Select(line => line.Level));
    }

    [Fact]
    public async Task A_call_without_time_or_request_is_answered()
    {
        await using var fixture = DataSourceFixture.Create([Source(DataSourceKind.None)], []);
        var source = fixture.Directory.Get(DataSourceFixture.CreateApi([Source(DataSourceKind.None)]), "s");

        var late = await fixture.CallAsync("{}", timeout: TimeSpan.FromMilliseconds(-1));
        Assert.Equal("None:TimeoutException", late.Error?.Type);
        var empty = await source.CallAsync(new DataSourceCall(default, TimeSpan.FromSeconds(1)), TestContext.Current.CancellationToken);
        Assert.Equal("request must be an object", empty.InvalidReason);
    }

    [Theory]
    [MemberData(nameof(Remote))]
    [MemberData(nameof(TableRequests))]
    public async Task Requests_of_any_shape_are_answered(DataSource source, string request, string name)
    {
        Assert.NotEmpty(name);
        await using var server = await FakeLambda.ReturningAsync("{}");
        await using var fixture = DataSourceFixture.CreateAt(server, source);
        string[] others = ["null", "1", "\"x\"", "[]", "{}", "[[]]", """{"a": 1}"""];
        foreach (var path in GetPaths(JsonNode.Parse(request)!))
        {
            foreach (var other in others)
            {
                var changed = JsonNode.Parse(request)!;
                Replace(changed, path, JsonNode.Parse(other));

                // Whatever it is, it does not throw.
                await fixture.CallAsync(changed.ToJsonString());
            }
        }
    }

    private static DataSource Source(DataSourceKind kind) => DataSourceFixture.Source(kind);

    private static IEnumerable<string[]> GetPaths(JsonNode node) => node switch
    {
        JsonObject members => members.SelectMany(member => Below(member.Key, member.Value)),
        JsonArray items => items.SelectMany((item, i) => Below($"{i}", item)),
        _ => [],
    };

    private static IEnumerable<string[]> Below(string step, JsonNode? node)
    {
        yield return [step];
        if (node is not null)
        {
            foreach (var path in GetPaths(node))
            {
                yield return [step, .. path];
            }
        }
    }

    private static void Replace(JsonNode node, ReadOnlySpan<string> path, JsonNode? value)
    {
        var step = path[0];
        if (path.Length > 1)
        {
            Replace(node is JsonArray list ? list[int.Parse(step, null)]! : node[step]!, path[1..], value);
        }
        else if (node is JsonArray items)
        {
            items[int.Parse(step, null)] = value;
        }
        else
        {
            node[step] = value;
        }
    }
}
