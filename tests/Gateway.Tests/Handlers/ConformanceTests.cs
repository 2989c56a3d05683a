using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>The conformance cases of event handlers (handlers, appendix A), each on the wire; the numbers are the appendix's.</summary>
public sealed class ConformanceTests
{
    private const string NotAuthorized = "You are not authorized to make this call.";
    private const string NotProcessed = "Unable to process request";

    [Fact]
    public async Task Case_1_What_comes_back_untouched_is_delivered()
    {
        await AssertAsync(
            "export function onPublish(ctx) { return ctx.events }", ["""{"a":1}""", "2"], delivered: ["""{"a":1}""", "2"], successful: [0, 1]);
    }

    [Fact]
    public async Task Case_2_What_is_left_out_is_successful_and_goes_nowhere()
    {
        await AssertAsync("export const onPublish = (ctx) => ([])", ["1", "2"], delivered: [], successful: [0, 1]);
    }

    [Fact]
    public async Task Case_3_A_filter_lets_through_what_it_keeps()
    {
        await AssertAsync(
            "export function onPublish(ctx) { return ctx.events.filter((e) => e.payload.n > 1) }",
            ["""{"n":1}""", """{"n":2}""", """{"n":3}"""],
            delivered: ["""{"n":2}""", """{"n":3}"""],
            successful: [0, 1, 2]);
    }

    [Fact]
    public async Task Case_4_An_error_of_an_event_fails_it_alone()
    {
        await AssertAsync(
            "export function onPublish(ctx) { return ctx.events.map((e, i) => i === 0 ? { id: e.id, error: 'no' } : e) }",
            ["1", "2"],
            delivered: ["2"],
            successful: [1],
            failed: [(0, "CustomError", "no")]);
    }

    [Fact]
    public async Task Case_5_An_error_written_into_an_event_fails_it()
    {
        await AssertAsync(
            "export function onPublish(ctx) { ctx.events[0].error = 'bad'; return ctx.events }",
            ["1"],
            delivered: [],
            successful: [],
            failed: [(0, "CustomError", "bad")]);
    }

    [Fact]
    public async Task Case_6_util_error_rejects_with_its_type_and_text_and_needs_no_import()
    {
        await using var fixture = await HandlerFixture.StartAsync("export function onPublish(ctx) { util.error('stop', 'Maintenance') }");
        (await fixture.PostAsync("/chat/a", "1")).AssertError(403, "Maintenance", "stop");
    }

    [Fact]
    public async Task Case_7_util_unauthorized_refuses_a_publish()
    {
        await using var fixture = await HandlerFixture.StartAsync("export function onPublish() { util.unauthorized() }");
        await using var socket = await fixture.ConnectAsync();

        (await fixture.PostAsync("/chat/a", "1")).AssertError(401, "UnauthorizedException", NotAuthorized);
        var answer = await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        Assert.Equal(NotAuthorized, WireError.AssertReply(answer, "publish_error", "p", "UnauthorizedException").Message);
    }

    [Theory]
    [InlineData("/private/somebody", false)]
    [InlineData("/private/ana", true)]
    public async Task Cases_8_and_9_A_private_channel_opens_to_its_owner_alone(string channel, bool isAllowed)
    {
        // The key has no identity, so that the channel's owner comes from a header here; stacks.test.mjs has a signed-in user.
        const string Code = """
            export function onSubscribe(ctx) {
              if (ctx.info.channel.path !== '/private/' + ctx.request.headers['x-user']) {
                console.log('denied ' + ctx.channel)
                util.unauthorized()
              }
            }
            """;
        await using var fixture = await HandlerFixture.StartAsync([new TestNamespace("private", Code)]);
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("before", "/other/a");
        var authorization = Credentials.KeyAuthorization();
        authorization["x-user"] = "ana";
        await socket.SendAsync(Messages.Subscribe("s", channel, authorization));

        var answer = await socket.NextAsync();

        if (isAllowed)
        {
            Assert.Equal("subscribe_success", (string?)answer["type"]);
        }
        else
        {
            Assert.Equal(NotAuthorized, WireError.AssertReply(answer, "subscribe_error", "s", "Unauthorized").Message);
            Assert.Contains(fixture.Server.Log.Lines, line => line.Text.Contains("INFO - code.js:3:", StringComparison.Ordinal) && line.Text.Contains("denied undefined", StringComparison.Ordinal));
        }

        await fixture.PostAsync("/other/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("before"));
    }

    [Fact]
    public async Task Case_10_A_handler_sees_the_star_of_a_wildcard()
    {
        await using var fixture = await HandlerFixture.StartAsync(
            "export function onSubscribe(ctx) { if (ctx.info.channel.segments.includes('*')) util.error('no wildcards') }");
        await using var socket = await fixture.ConnectAsync();

        var answer = await HandlerFixture.SubscribeAsync(socket, "s", "/chat/*");
        Assert.Equal("no wildcards", WireError.AssertReply(answer, "subscribe_error", "s", "HandlerExecutionError").Message);
        await socket.SubscribeAsync("t", "/chat/a");
    }

    [Theory]
    [InlineData("export const onPublish = (ctx) => [{ id: 'nope', payload: 1 }]")]
    [InlineData("export const onPublish = (ctx) => [ctx.events[0], ctx.events[0]]")]
    [InlineData("export const onPublish = (ctx) => ctx.events[0]")]
    [InlineData("export const onPublish = (ctx) => [1]")]
    [InlineData("export const onPublish = (ctx) => [{ payload: 1 }]")]
    [InlineData("export const onPublish = (ctx) => [{ id: 1, payload: 1 }]")]
    [InlineData("export const onPublish = (ctx) => 'text'")]
    public async Task Case_11_A_result_against_the_rules_fails_the_publish_and_delivers_nothing(string code)
    {
        await using var fixture = await HandlerFixture.StartAsync(code);
        await using var subscriber = await fixture.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/chat/a");

        (await fixture.PostAsync("/chat/a", "1")).AssertError(403, "HandlerExecutionError", NotProcessed);
        await fixture.AssertDeliveredAsync(subscriber, "s");
    }

    [Fact]
    public async Task Case_12_A_fault_tells_the_client_nothing_and_the_log_where()
    {
        await using var fixture = await HandlerFixture.StartAsync("\nexport const onPublish = (ctx) =>\n  ctx.nothing.here");
        await using var socket = await fixture.ConnectAsync();

        (await fixture.PostAsync("/chat/a", "1")).AssertError(403, "HandlerExecutionError", NotProcessed);
        var answer = await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        Assert.Equal(NotProcessed, WireError.AssertReply(answer, "publish_error", "p", "HandlerExecutionError").Message);
        Assert.Contains(fixture.Server.Log.Lines, line => line.Text.Contains("code.js:3:15: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Case_13_Loops_without_end_in_sight_end_within_the_budget()
    {
        await using var fixture = await HandlerFixture.StartAsync("""
            export function onPublish(ctx) { let n = 0; for (const a of ctx.events[0].payload) for (const b of ctx.events[0].payload) for (const c of ctx.events[0].payload) n += 1; return ctx.events }
            """);

        var numbers = $"[{string.Join(',', Enumerable.Range(0, 20_000))}]";
        (await fixture.PostAsync("/chat/a", numbers)).AssertError(403, "HandlerExecutionError", NotProcessed);
        Assert.Equal(200, (await fixture.PostAsync("/chat/a", "[1,2,3]")).Status);
    }

    [Fact]
    public async Task Case_14_Unsupported_code_stops_a_strict_start_with_its_position_and_is_reported_else()
    {
        const string Code = "export function onPublish(ctx) { while (true) {} }";
        var refused = await Assert.ThrowsAsync<GatewayStartException>(() => HandlerFixture.StartAsync(Code, "--Fanfare:Handlers:Strict=true"));
        Assert.Contains("code.js:1:34: ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("while", refused.Message, StringComparison.Ordinal);

        await using var fixture = await HandlerFixture.StartAsync(Code);
        Assert.Contains(fixture.Server.Log.Lines, line => line.Level == LogLevel.Warning && line.Text.Contains("code.js:1:34: ", StringComparison.Ordinal));
        (await fixture.PostAsync("/chat/a", "1")).AssertError(403, "HandlerExecutionError", NotProcessed);
    }

    [Theory]
    [InlineData("import x from 'fs'\nexport const onPublish = (ctx) => ctx.events", "code.js:1:")]
    [InlineData("import { readFileSync } from 'node:fs'\nexport const onPublish = (ctx) => ctx.events", "code.js:1:")]
    [InlineData("export const onPublish = (ctx) => {\n  return ctx.events", "code.js:2:")]
    [InlineData("export const other = 1", "code.js:1:")]
    public async Task Case_15_Code_that_cannot_run_stops_the_start(string code, string position)
    {
        var refused = await Assert.ThrowsAsync<GatewayStartException>(() => HandlerFixture.StartAsync(code));
        Assert.Contains(position, refused.Message, StringComparison.Ordinal);
        Assert.Contains("'chat'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Case_16_Imports_exports_and_patterns_of_bundlers_work()
    {
        await AssertAsync(
            "import { util as u, runtime } from '@aws-appsync/utils'; export { f as onPublish }; function f(ctx) { return ctx.events.map(({ id, payload: { text = 'none', ...rest } }) => ({ id, payload: { ...rest, text: u.str.normalize(text, 'nfc') } })) }",
            ["""{"a":1}"""],
            delivered: ["""{"a":1,"text":"none"}"""],
            successful: [0]);
    }

    [Fact]
    public async Task Case_17_earlyReturn_ends_the_handler_before_its_data_source()
    {
        await AssertAsync(
            """
            import { runtime } from '@aws-appsync/utils'
            export const onPublish = {
              request: (ctx) => { ctx.stash.k = 1; return runtime.earlyReturn(ctx.events) },
              response: () => util.error('not reached'),
            }
            """,
            ["1"],
            delivered: ["1"],
            successful: [0]);
    }

    [Fact]
    public async Task Case_18_A_function_that_answers_a_subscribe_with_anything_but_null_refuses_it()
    {
        await using var function = await FakeLambda.ReturningAsync("true");
        await using var fixture = await StartDirectAsync(function, $"OnSubscribe: {HandlerFixture.Direct}");
        await using var socket = await fixture.ConnectAsync();

        var answer = await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a");
        Assert.Equal(NotProcessed, WireError.AssertReply(answer, "subscribe_error", "s", "HandlerExecutionError").Message);

        function.Answer = call => call.ReturnAsync("null");
        await socket.SubscribeAsync("t", "/chat/a");
        function.Answer = call => call.ReturnAsync("{}");
        await socket.SubscribeAsync("u", "/chat/b");
    }

    [Fact]
    public async Task Case_19_A_function_that_throws_fails_the_publish()
    {
        await using var function = await FakeLambda.StartAsync(
            call => call.AnswerAsync(200, """{"errorType":"Error","errorMessage":"secret"}""", ("X-Amz-Function-Error", "Unhandled")));
        await using var fixture = await StartDirectAsync(function, $"OnPublish: {HandlerFixture.Direct}");
        await using var socket = await fixture.ConnectAsync();

        (await fixture.PostAsync("/chat/a", "1")).AssertError(502, "DependencyFailedException", NotProcessed);
        var answer = await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        Assert.Equal(NotProcessed, WireError.AssertReply(answer, "publish_error", "p", "HandlerExecutionError").Message);
    }

    [Fact]
    public async Task Case_20_A_function_that_is_only_notified_changes_nothing_even_where_it_throws()
    {
        await using var function = await FakeLambda.StartAsync(call => call.AnswerAsync(500, """{"Message":"no"}"""));
        await using var fixture = await StartDirectAsync(
            function, $"OnPublish: {HandlerFixture.DirectEvent}, OnSubscribe: {HandlerFixture.DirectEvent}");
        await using var subscriber = await fixture.ConnectAsync();

        await subscriber.SubscribeAsync("s", "/chat/a");
        Assert.Equal("SUBSCRIBE", (string?)(await function.NextCallAsync()).Json["info"]!["operation"]);
        AssertAnswer(await fixture.PostAsync("/chat/a", "1.0"), successful: [0]);
        await fixture.AssertDeliveredAsync(subscriber, "s", "1.0");
        var call = await function.NextCallAsync();
        Assert.Equal("PUBLISH", (string?)call.Json["info"]!["operation"]);
        Assert.Equal("Event", call.Headers["X-Amz-Invocation-Type"]);
    }

    [Fact]
    public async Task Case_21_A_key_has_no_identity()
    {
        await AssertAsync(
            "export const onPublish = (ctx) => ctx.events.map((e) => ({ id: e.id, payload: ctx.identity?.sub ?? 'anon' }))",
            ["1"],
            delivered: ["\"anon\""],
            successful: [0]);
    }

    [Fact]
    public async Task Case_22_What_a_handler_made_too_large_fails_alone()
    {
        await AssertAsync(
            "export const onPublish = (ctx) => ctx.events.map((e, i) => i === 0 ? { id: e.id, payload: 'x'.repeat(300 * 1024) } : e)",
            ["1", "2"],
            delivered: ["2"],
            successful: [1],
            failed: [(0, "EventTooLargeException", "Transformed event is larger than 240KB")]);
    }

    private static Task<HandlerFixture> StartDirectAsync(FakeLambda function, string configs) => HandlerFixture.StartAsync(
        [new TestNamespace("chat", Configs: configs)],
        HandlerFixture.FunctionSource,
        $"--Fanfare:Lambda:Functions:worker={new Uri(function.Address, "/2015-03-31/functions/worker/invocations")}");

    private static async Task AssertAsync(
        string code, string[] events, string[] delivered, int[] successful, (int Index, string Code, string Message)[]? failed = null)
    {
        await using var fixture = await HandlerFixture.StartAsync(code);
        await using var subscriber = await fixture.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/chat/a");

        AssertAnswer(await fixture.PostAsync("/chat/a", events), successful, failed);
        await fixture.AssertDeliveredAsync(subscriber, "s", delivered);

        await using var publisher = await fixture.ConnectAsync();
        var answer = await HandlerFixture.PublishAsync(publisher, "p", "/chat/a", events);
        Assert.Equal("publish_success", (string?)answer["type"]);
        AssertItems(answer, successful, failed ?? []);
        await fixture.AssertDeliveredAsync(subscriber, "s", delivered);
    }

    private static void AssertAnswer(HttpAnswer answer, int[] successful, (int Index, string Code, string Message)[]? failed = null)
    {
        Assert.Equal(200, answer.Status);
        AssertItems(answer.Json, successful, failed ?? []);
    }

    private static void AssertItems(JsonObject answer, int[] successful, (int Index, string Code, string Message)[] failed)
    {
        Assert.Equal(successful, answer["successful"]!.AsArray().Select(item => (int)item!["index"]!));
        Assert.Equal(
            failed,
            answer["failed"]!.AsArray().Select(item => ((int)item!["index"]!, (string)item["code"]!, (string)item["message"]!)));
        Assert.All(
            answer["successful"]!.AsArray().Concat(answer["failed"]!.AsArray()), item => Assert.True(Guid.TryParse((string?)item!["identifier"], out _)));
    }
}
