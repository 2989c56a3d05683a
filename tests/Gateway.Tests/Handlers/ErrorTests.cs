using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>How handlers fail, and what clients are told of it (handlers, 1.6 and 7.1).</summary>
public sealed class ErrorTests
{
    private const string NotAuthorized = "You are not authorized to make this call.";
    private const string NotProcessed = "Unable to process request";

    /// <summary>What a handler does; then the type, the type in the header, the text, and the status.</summary>
    public static TheoryData<string, string, string?, string, int> Failures => new()
    {
        // Rejections.
        { "util.error('stop')", "HandlerExecutionError", null, "stop", 403 },
        { "util.error('stop', 'MyType')", "MyType", null, "stop", 403 },
        { "util.error('stop', 'MyType', { a: 1 }, { b: 2 })", "MyType", null, "stop", 403 },
        { "util.error('é\"\\n\\u0000\\u2028<>', 'T')", "T", null, "é\"\n\0\u2028<>", 403 },
        { "util.error({ b: 1, a: [undefined] })", "HandlerExecutionError", null, """{"b":1,"a":[null]}""", 403 },
        { "util.error(['x'])", "HandlerExecutionError", null, """["x"]""", 403 },
        { "util.error(5)", "HandlerExecutionError", null, "5", 403 },
        { "util.error(true, 'T')", "T", null, "true", 403 },
        { "util.error()", "HandlerExecutionError", null, NotProcessed, 403 },
        { "util.error('', 'T')", "T", null, "", 403 },
        { "util.error('x', 'a b\\r\\nset-cookie: c=1; é/(d)')", "a b\r\nset-cookie: c=1; é/(d)", "abset-cookie:c1d", "x", 403 },
        { "util.error('x', 'A.b_c:D-9')", "A.b_c:D-9", null, "x", 403 },
        { "util.error('x', 'T'.repeat(129))", new string('T', 129), new string('T', 128), "x", 403 },
        
        { "util.error('x', 'é' + 'T'.repeat(300))", "é" + new string('T', 300), new string('T', 128), "x", 403 },
        { "util.error('x', 'ошибка')", "ошибка", "HandlerExecutionError", "x", 403 },
        { "util.error('a\\ud800b', 'T\\udfffU')", "T\ufffdU", "TU", "a\ufffdb", 403 },
        { "try { util.error('first', 'T') } catch (e) {} util.error('second')", "T", null, "first", 403 },

        // Malfunctions.
        { "return ctx.nothing.here", "HandlerExecutionError", null, NotProcessed, 403 },
        { "throw new Error('secret')", "HandlerExecutionError", null, NotProcessed, 403 },
        { "throw 'secret'", "HandlerExecutionError", null, NotProcessed, 403 },
        { "throw null", "HandlerExecutionError", null, NotProcessed, 403 },
        { "throw { message: 'secret', type: 'T' }", "HandlerExecutionError", null, NotProcessed, 403 },
        { "const f = () => f(); f()", "HandlerExecutionError", null, NotProcessed, 403 },
        { "for (;;) {}", "HandlerExecutionError", null, NotProcessed, 403 },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_failure_tells_the_client_what_it_may_know(string statement, string type, string? header, string message, int status)
    {
        var code = $"export function onPublish(ctx) {{ {statement} }}\nexport function onSubscribe(ctx) {{ {statement} }}";
        await using var fixture = await HandlerFixture.StartAsync(code, "--Fanfare:Handlers:Workers=1");
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("before", "/other/a");

        var answer = await fixture.PostAsync("/chat/a", "1", "2");
        Assert.True(status == answer.Status, answer.Body);
        Assert.Equal(header ?? type, answer.Header("x-amzn-errortype"));
        Assert.DoesNotContain(answer.Headers, item => item.Name.Equals("set-cookie", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(new WireError(type, message, null), WireError.Of(answer.Json));
        Assert.Equal(message, (string?)answer.Json["message"]);

        AssertError(await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1"), "publish_error", "p");
        AssertError(await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a"), "subscribe_error", "s");

        // The refused subscription is none, and the other one lives.
        await socket.SendAsync(Messages.Unsubscribe("s"));
        WireError.AssertReply(await socket.NextAsync(), "unsubscribe_error", "s", "UnknownOperationError");
        await fixture.PostAsync("/other/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("before"));

        void AssertError(JsonObject reply, string kind, string id) =>
            Assert.Equal(message, WireError.AssertReply(reply, kind, id, type).Message);
    }

    [Theory]
    [InlineData("util.unauthorized()")]
    [InlineData("util.unauthorized('secret', 'T')")]
    public async Task A_refusal_has_a_type_of_its_own_for_subscribes(string statement)
    {
        var code = $"export const onPublish = () => {{ {statement} }}\nexport const onSubscribe = (ctx) => {{ {statement} }}";
        await using var fixture = await HandlerFixture.StartAsync(code);
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("before", "/other/a");

        (await fixture.PostAsync("/chat/a", "1")).AssertError(401, "UnauthorizedException", NotAuthorized);
        var reply = await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        Assert.Equal(NotAuthorized, WireError.AssertReply(reply, "publish_error", "p", "UnauthorizedException").Message);
        reply = await HandlerFixture.SubscribeAsync(socket, "s", "/chat/*");
        Assert.Equal(NotAuthorized, WireError.AssertReply(reply, "subscribe_error", "s", "Unauthorized").Message);

        await fixture.PostAsync("/other/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("before"));
    }

    [Theory]
    [InlineData("'text'")]
    [InlineData("false")]
    [InlineData("{ error: 'no' }")]
    [InlineData("[1]")]
    [InlineData("undefined")]
    public async Task What_code_returns_for_a_subscribe_does_not_matter(string value)
    {
        await using var fixture = await HandlerFixture.StartAsync($"export const onSubscribe = (ctx) => ({value})");
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("s", "/chat/a");
        await fixture.PostAsync("/chat/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("s"));
    }

    [Theory]
    [InlineData("request: () => ({}), response: () => util.error('late', 'T')", "T", "late")]
    [InlineData("request: () => util.error('early', 'T'), response: (ctx) => ctx.events", "T", "early")]
    [InlineData("request: () => null.x, response: (ctx) => ctx.events", "HandlerExecutionError", NotProcessed)]
    [InlineData("request: () => ({}), response: () => null.x", "HandlerExecutionError", NotProcessed)]
    public async Task Either_function_of_the_object_form_can_fail(string members, string type, string message)
    {
        await using var fixture = await HandlerFixture.StartAsync(
            $"const both = {{ {members} }}\nexport {{ both as onPublish, both as onSubscribe }}");
        await using var socket = await fixture.ConnectAsync();

        (await fixture.PostAsync("/chat/a", "1")).AssertError(403, type, message);
        var reply = await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        Assert.Equal(message, WireError.AssertReply(reply, "publish_error", "p", type).Message);
        reply = await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a");
        Assert.Equal(message, WireError.AssertReply(reply, "subscribe_error", "s", type).Message);
    }

    [Fact]
    public async Task A_data_source_that_is_asked_nonsense_is_a_malfunction_and_its_failure_is_for_response_to_judge()
    {
        await using var function = await FakeLambda.StartAsync(
            call => call.AnswerAsync(200, """{"errorType":"E","errorMessage":"from afar"}""", ("X-Amz-Function-Error", "Unhandled")));
        const string Code = """
            export const onPublish = {
              request: (ctx) => ctx.events[0].payload,
              response: (ctx) => (ctx.error ? util.error(ctx.error.message, ctx.error.type) : ctx.events),
            }
            export const onSubscribe = { request: (ctx) => ({ operation: 'Invoke' }), response: (ctx) => null }
            """;
        const string Configs = "OnPublish: {Behavior: CODE, Integration: {DataSourceName: worker}}, OnSubscribe: {Behavior: CODE, Integration: {DataSourceName: worker}}";
        await using var fixture = await HandlerFixture.StartAsync(
            [new TestNamespace("chat", Code, Configs)], HandlerFixture.FunctionSource, $"--Fanfare:Lambda:Functions:worker={function.Address}");
        await using var socket = await fixture.ConnectAsync();

        (await fixture.PostAsync("/chat/a", "1")).AssertError(403, "HandlerExecutionError", NotProcessed);
        Assert.Empty(function.Calls);
        (await fixture.PostAsync("/chat/a", """{"operation":"Invoke"}""")).AssertError(403, "Lambda:Unhandled", "from afar");
        await socket.SubscribeAsync("s", "/chat/a");
    }

    [Fact]
    public async Task A_refused_or_malformed_request_runs_no_handler()
    {
        const string Code = """
            export const onPublish = (ctx) => { console.log('ran'); return ctx.events }
            export const onSubscribe = (ctx) => { console.log('ran') }
            """;
        await using var fixture = await HandlerFixture.StartAsync(Code);
        await using var socket = await fixture.ConnectAsync();
        var stranger = Credentials.KeyAuthorization(Credentials.UnknownKey);

        await ReplyAsync(Messages.Publish("p", "/chat/a", stranger.DeepClone().AsObject(), "1"), "publish_error");
        await ReplyAsync(Messages.Publish("p", "/chat/*", "1"), "publish_error");
        await ReplyAsync(Messages.Publish("p", "/chat/a", "{"), "publish_error");
        await ReplyAsync(Messages.Publish("p", "/chat/a"), "publish_error");
        await ReplyAsync(Messages.Publish("p", "/chat/a", "1", "2", "3", "4", "5", "6"), "publish_error");
        await ReplyAsync(Messages.Publish("p", "/nowhere/a", "1"), "publish_error");
        await ReplyAsync(Messages.Subscribe("p", "/chat/a", stranger.DeepClone().AsObject()), "subscribe_error");
        await ReplyAsync(Messages.Subscribe("p", "/chat/a/*/b"), "subscribe_error");
        await ReplyAsync(Messages.Subscribe("p", "/chat"[..0]), "subscribe_error");
        Assert.Equal(400, (await fixture.PostAsync("/chat/a", "nonsense")).Status);
        Assert.Equal(400, (await fixture.PostAsync("/chat/*", "1")).Status);
        Assert.Equal(401, (await HttpPublisher.SendAsync(
            fixture.Server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody("/chat/a", "1")),
            ("x-api-key", Credentials.UnknownKey))).Status);
        Assert.Equal(0, CountRuns(fixture));

        async Task ReplyAsync(string message, string type)
        {
            await socket.SendAsync(message);
            await socket.NextAsync(type, "p");
        }
    }

    [Fact]
    public async Task A_handler_runs_once_for_a_publish_and_once_for_a_subscribe_and_never_else()
    {
        const string Code = """
            export const onPublish = (ctx) => { console.log('ran'); return ctx.events }
            export const onSubscribe = (ctx) => { console.log('ran') }
            """;
        await using var fixture = await HandlerFixture.StartAsync(Code);
        await using var socket = await fixture.ConnectAsync();
        Assert.Equal(0, CountRuns(fixture));
        await socket.SubscribeAsync("s", "/chat/*");
        Assert.Equal(1, CountRuns(fixture));

        // As Amplify does after it lost an answer.
        await socket.SubscribeAsync("s", "/chat/*");
        Assert.Equal(1, CountRuns(fixture));
        await socket.SendAsync(Messages.Subscribe("s", "/chat/other"));
        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "DuplicatedOperationError");
        Assert.Equal(1, CountRuns(fixture));

        await fixture.PostAsync("/chat/a", "1", "2", "3", "4", "5");
        Assert.Equal(2, CountRuns(fixture));
        for (var i = 1; i <= 5; i++)
        {
            Assert.Equal($"{i}", await socket.NextEventAsync("s"));
        }

        await socket.UnsubscribeAsync("s");
        await socket.DisposeAsync();
        Assert.Equal(2, CountRuns(fixture));
        await fixture.PostAsync("/chat/a", Messages.EventOf((240 * 1024) + 1));
        Assert.Equal(2, CountRuns(fixture)); // there was nothing to handle
    }

    [Fact]
    public async Task A_subscription_that_was_refused_once_can_be_tried_again_with_its_id()
    {
        await using var fixture = await HandlerFixture.StartAsync(
            "export const onSubscribe = (ctx) => { if (ctx.request.headers['x-pass'] !== 'yes') util.unauthorized() }");
        await using var socket = await fixture.ConnectAsync();
        WireError.AssertReply(await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a"), "subscribe_error", "s", "Unauthorized");
        await fixture.PostAsync("/chat/a", "\"before\"");

        var authorization = Credentials.KeyAuthorization();
        authorization["X-Pass"] = "yes";
        await socket.SendAsync(Messages.Subscribe("s", "/chat/a", authorization));
        await socket.NextAsync("subscribe_success", "s");
        await fixture.PostAsync("/chat/a", "\"after\"");
        Assert.Equal("\"after\"", await socket.NextEventAsync("s"));
    }

    // A worker's reply carries the lines of its call, so they are there before the answer is.
    private static int CountRuns(HandlerFixture fixture) =>
        fixture.Server.Log.Lines.Count(line => line.Text.Contains(": ran", StringComparison.Ordinal));
}
