using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>HTTP data sources: what is sent, and that any answer of text is a result.</summary>
public sealed class HttpDataSourceTests
{
    private const string Get = """{"method": "GET", "resourcePath": "/a"}""";

    private static readonly DataSource s_source =
        DataSourceFixture.Source(DataSourceKind.Http) with { Http = new HttpSourceSettings("http://not-configured.invalid") };

    [Theory]
    [InlineData(Get, "GET /a", "", null)]
    [InlineData("""{"method": "DELETE", "resourcePath": "a/b c"}""", "DELETE /a/b%20c", "", null)]
    [InlineData("""{"method": "POST", "resourcePath": "/", "params": {"body": "text"}}""", "POST /", "text", null)]
    [InlineData("""{"method": "PUT", "resourcePath": "/", "params": {"body": {"a": 1}}}""", "PUT /", """{"a": 1}""", "application/json")]
    [InlineData("""{"method": "PATCH", "resourcePath": "/", "params": {"body": "[]", "headers": {"content-type": "text/x; charset=utf-8"}}}""", "PATCH /", "[]", "text/x; charset=utf-8")]
    [InlineData("""{"method": "GET", "resourcePath": "/?x=1", "params": {"query": {"a b": ["1", 2], "c": "é&", "d": null, "e": true}}}""", "GET /?x=1&a%20b=1&a%20b=2&c=%C3%A9%26&e=true", "", null)]
    public async Task A_request_is_sent_as_the_handler_says(string request, string line, string body, string? contentType)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(204, ""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        Assert.Equal(204, (int)JsonNode.Parse(await fixture.GetResultAsync(request))!["statusCode"]!);

        var call = Assert.Single(server.Calls);
        Assert.Equal((line, body, contentType), (call.RequestLine, call.Body, call.Headers.GetValueOrDefault("Content-Type")));
        Assert.False(call.Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Headers_are_sent_but_for_those_that_are_not_the_handler_s()
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(204, ""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        await fixture.GetResultAsync("""
            {"method": "POST", "resourcePath": "/", "params": {"body": "1234", "headers": {
              "x-one": "1", "X-Two": ["a", "b"], "x-utf8": "é", "x-none": null, "Authorization": "Bearer t",
              "Host": "evil.example", "Content-Length": "1", "Transfer-Encoding": "chunked", "User-Agent": "me", "Connection": "close", "Expect": "100-continue"}}}
            """);

        var call = Assert.Single(server.Calls);
        Assert.Equal(("1", "a,b", "Bearer t", "4"), (call.Headers["x-one"], call.Headers["x-two"].Replace(" ", "", StringComparison.Ordinal), call.Headers["Authorization"], call.Headers["Content-Length"]));
        Assert.Equal(server.Address.Authority, call.Headers["Host"]);
        Assert.DoesNotContain(call.Headers.Keys, name => name.ToUpperInvariant() is "USER-AGENT" or "EXPECT" or "TRANSFER-ENCODING" or "X-NONE");
    }

    [Theory]
    [InlineData(200)]
    [InlineData(302)]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(500)]
    public async Task Every_status_is_a_result(int status)
    {
        await using var server = await FakeLambda.StartAsync(
            call => call.AnswerAsync(status, """{"é": "\"}""", ("Content-Type", "application/json"), ("X-Two", "a"), ("Location", "/b")));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        var result = JsonNode.Parse(await fixture.GetResultAsync(Get))!;

        Assert.Equal((status, """{"é": "\"}"""), ((int)result["statusCode"]!, (string?)result["body"]));
        Assert.Equal(("application/json", "a"), ((string?)result["headers"]!["Content-Type"], (string?)result["headers"]!["X-Two"]));
        Assert.Single(server.Calls);
    }

    [Theory]
    [InlineData("text/html; charset=utf-8", true)]
    [InlineData("text/csv", true)]
    [InlineData("application/json", true)]
    [InlineData("application/xml", true)]
    [InlineData("application/soap+xml", true)]
    [InlineData("application/x-amz-json-1.1", true)]
    [InlineData("application/vnd.api+json; ext=1", true)]
    [InlineData("application/x-ndjson", true)]
    [InlineData("application/octet-stream", false)]
    [InlineData("image/png", false)]
    [InlineData("image/json", false)]
    [InlineData(null, false)]
    public async Task Only_text_is_taken(string? contentType, bool isTaken)
    {
        await using var server = await FakeLambda.StartAsync(
            call => call.AnswerAsync(200, "x", contentType is null ? [] : [("Content-Type", contentType)]));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        var answer = await fixture.CallAsync(Get);

        Assert.Equal(isTaken ? null : "Http:UnsupportedMediaTypeException", answer.Error?.Type);
    }

    [Theory]
    [InlineData("""{"resourcePath": "/"}""", "request.method is required")]
    [InlineData("""{"method": "get", "resourcePath": "/"}""", "request.method must be one of GET, POST, PUT, PATCH, DELETE")]
    [InlineData("""{"method": "TRACE", "resourcePath": "/"}""", "request.method must be one of GET, POST, PUT, PATCH, DELETE")]
    [InlineData("""{"method": "GET"}""", "request.resourcePath is required")]
    [InlineData("""{"method": "GET", "resourcePath": 1}""", "request.resourcePath must be a text")]
    [InlineData("""{"method": "GET", "resourcePath": "/", "params": []}""", "request.params must be an object")]
    [InlineData("""{"method": "GET", "resourcePath": "/", "params": {"query": {"a": {}}}}""", "request.params.query.a must be a text or a list of texts")]
    [InlineData("""{"method": "GET", "resourcePath": "/", "params": {"query": {"a": [["b"]]}}}""", "request.params.query.a[0] must be a text")]
    [InlineData("""{"method": "GET", "resourcePath": "/", "params": {"headers": {"a": "1\r\nb: 2"}}}""", "request.params.headers.a must be one line")]
    [InlineData("""{"method": "GET", "resourcePath": "/", "params": {"headers": {"a b": "1"}}}""", "request.params.headers holds a name that is no header's")]
    public async Task A_request_that_is_none_is_not_sent(string request, string reason)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(204, ""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        Assert.Equal(reason, await fixture.GetInvalidAsync(request));
        Assert.Empty(server.Calls);
    }

    [Theory]
    [InlineData("@evil.invalid/")]
    [InlineData("//evil.invalid/")]
    [InlineData(".evil.invalid/")]
    [InlineData(":1/")]
    [InlineData("https://evil.invalid/")]
    [InlineData("\\\\evil.invalid/")]
    public async Task No_path_leads_to_another_host(string path)
    {
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(204, ""));
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        await fixture.GetResultAsync(new JsonObject { ["method"] = "GET", ["resourcePath"] = path }.ToJsonString());

        Assert.Equal(server.Address.Authority, Assert.Single(server.Calls).Headers["Host"]);
    }

    [Fact]
    public async Task A_request_is_signed_where_the_template_says_so()
    {
        var source = s_source with
        {
            Http = new HttpSourceSettings("https://x.invalid") { SigningRegion = "eu-central-1", SigningServiceName = "execute-api" },
        };
        await using var server = await FakeLambda.StartAsync(call => call.AnswerAsync(204, ""));
        await using var fixture = DataSourceFixture.CreateAt(server, source, null, DataSourceFixture.Credentials);

        await fixture.GetResultAsync("""
            {"method": "POST", "resourcePath": "/a b/c", "params": {"query": {"b": "2", "a": "1"}, "body": {"é": 1}, "headers": {"x-amz-meta": "m  n", "x-other": "o"}}}
            """);

        SignedCalls.AssertSigned(Assert.Single(server.Calls), "execute-api", "eu-central-1");
    }

    [Fact]
    public async Task A_server_that_is_away_or_hangs_up_is_an_error()
    {
        await using var server = await FakeLambda.StartAsync(call => call.AbortAsync());
        await using var fixture = DataSourceFixture.CreateAt(server, s_source);

        Assert.Equal("Http:ConnectionException", (await fixture.GetErrorAsync(Get)).Type);
        Assert.Equal(2, server.Calls.Count); // what reads is tried once more
        Assert.Equal("Http:ConnectionException", (await fixture.GetErrorAsync("""{"method": "POST", "resourcePath": "/"}""")).Type);
        Assert.Equal(3, server.Calls.Count);
    }
}
