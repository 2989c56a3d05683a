using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>A gateway in which code and a function return what a test says, each to the publishes of its own namespace.</summary>
/// <remarks>The namespaces are <c>code</c> and <c>direct</c>; what a publish returns, its channel names.</remarks>
public sealed class ResultGateway : IAsyncLifetime
{
    private static readonly string[] s_errors = ["""{ "b" : 1, "a": "é\"" }""", """["x", null]""", "1.5", "false", "\"text\""];

    /// <summary>Every result of the table, by a name.</summary>
    private static readonly Dictionary<string, (string Code, Func<Event[], string> Function)> s_results = new()
    {
        ["untouched"] = ("ctx.events", events => List(events)),
        ["nothing"] = ("[]", _ => """{"events":[]}"""),
        ["null"] = ("null", _ => """{"events":null}"""),
        ["undefined"] = ("undefined", _ => "{}"),
        ["null alone"] = ("null", _ => "null"),
        ["first left out"] = ("ctx.events.slice(1)", events => List(events[1..])),
        ["reversed"] = ("ctx.events.reverse()", events => List([.. events.Reverse()])),
        ["null items"] = ("[null, ctx.events[1], undefined, ctx.events[0], null]", events => List([null, events[1], null, events[0], null])),
        ["changed"] = (
            "ctx.events.map((e) => ({ id: e.id, payload: { was: e.payload, b: 1, a: [undefined, null] } }))",
            events => List([.. events.Select(e => e with { Payload = $$"""{ "was": {{e.Payload}}, "b":1,"a":[ null, null ] }""" })])),
        ["last changed first"] = (
            "[{ id: ctx.events[2].id, payload: 'new' }, ctx.events[0], ctx.events[1]]",
            events => List([events[2] with { Payload = "\"new\"" }, events[0], events[1]])),
        ["failed"] = (
            "ctx.events.map((e) => ({ id: e.id, error: `no ${e.payload}` }))",
            events => List([.. events.Select(e => e with { Error = $"\"no {e.Payload}\"" })])),
        ["failed with payload"] = (
            "ctx.events.map((e) => ({ id: e.id, payload: e.payload, error: '' }))", events => List([.. events.Select(e => e with { Error = "\"\"" })])),
        ["error null"] = (
            "ctx.events.map((e) => ({ ...e, error: null }))", events => List([.. events.Select(e => e with { Error = "null" })])),
        ["errors of all kinds"] = (
            "[{ b: 1, a: 'é\"' }, ['x', null], 1.5, false, 'text'].map((error, i) => ({ id: ctx.events[i].id, error }))",
            events => List([.. s_errors.Select((error, i) => events[i] with { Error = error })])),
        ["no payload"] = ("ctx.events.map((e) => ({ id: e.id }))", events => List([.. events.Select(e => e with { Payload = null })])),
        ["more members"] = (
            "ctx.events.map((e) => ({ ...e, channel: '/other/x', index: 7, nested: { id: 1 } }))",
            events => List([.. events.Select(e => e with { More = ""","channel":"/other/x","index":7,"nested":{"id":1}""" })])),
        ["mixed"] = (
            "[{ id: ctx.events[4].id, error: 'four' }, ctx.events[3], { id: ctx.events[0].id, error: 'zero' }, { id: ctx.events[1].id, payload: 'x'.repeat(250000) }]",
            events => List([events[4] with { Error = "\"four\"" }, events[3], events[0] with { Error = "\"zero\"" }, events[1] with { Payload = Messages.EventOf(250_000) }])),
        ["twice"] = ("[ctx.events[0], { id: ctx.events[1].id, error: 'e' }, ctx.events[0]]", events => List([events[0], events[1] with { Error = "\"e\"" }, events[0]])),
        ["failed twice"] = (
            "[{ id: ctx.events[0].id, error: 'e' }, { id: ctx.events[0].id, error: 'e' }]",
            events => List([events[0] with { Error = "\"e\"" }, events[0] with { Error = "\"e\"" }])),
        ["unknown"] = (
            "[{ id: ctx.events[0].id, error: 'e' }, { id: ctx.events[1].id, payload: 'changed' }, { id: '00000000-0000-4000-8000-000000000000', payload: 1 }]",
            events => List([events[0] with { Error = "\"e\"" }, events[1] with { Payload = "2" }, events[1] with { Id = "00000000-0000-4000-8000-000000000000" }])),
        ["id in capitals"] = (
            "[{ id: ctx.events[0].id.toUpperCase() + 'G', payload: 1 }]", events => List([events[0] with { Id = events[0].Id.ToUpperInvariant() + "G" }])),
        ["id of the wrong type"] = ("[{ id: 5, payload: 1 }]", _ => """{"events":[{"id":5,"payload":1}]}"""),
        ["id missing"] = ("[ctx.events[0], { payload: 1 }]", events => $$"""{"events":[{"id":"{{events[0].Id}}","payload":1},{"payload":1}]}"""),
        ["id lone surrogate"] = ("[{ id: '\\ud800', payload: 1 }]", _ => """{"events":[{"id":"\ud800","payload":1}]}"""),
        ["item a number"] = ("[ctx.events[0], 1]", events => $$"""{"events":[{"id":"{{events[0].Id}}","payload":1},1]}"""),
        ["item a list"] = ("[[ctx.events[0]]]", events => $$"""{"events":[[{"id":"{{events[0].Id}}","payload":1}]]}"""),
        ["an object"] = ("({ events: ctx.events })", _ => """{"events":{"id":"a"}}"""),
        ["a text"] = ("'text'", _ => """{"events":"text"}"""),
        ["a number"] = ("7", _ => "7"),
        ["false"] = ("false", _ => "false"),
        ["a function"] = ("(() => ctx.events)", _ => "true"),
        ["at the limit"] = (
            "[{ id: ctx.events[0].id, payload: 'x'.repeat(245760 - 36 - 2) }]", events => List([events[0] with { Payload = Messages.EventOf(245_760 - 36) }])),
        ["over the limit"] = (
            "[{ id: ctx.events[0].id, payload: 'x'.repeat(245760 - 36 - 1) }]", events => List([events[0] with { Payload = Messages.EventOf(245_760 - 36 + 1) }])),
        ["at the limit escaped"] = (
            "[{ id: ctx.events[0].id, payload: '\"'.repeat((245760 - 36 - 2) / 2) }]",
            events => List([events[0] with { Payload = $"\"{string.Concat(Enumerable.Repeat("\\\"", (245_760 - 36 - 2) / 2))}\"" }])),
        ["over the limit escaped"] = (
            "[{ id: ctx.events[0].id, payload: '\"'.repeat((245760 - 36 - 2) / 2) + 'x' }]",
            events => List([events[0] with { Payload = $"\"{string.Concat(Enumerable.Repeat("\\\"", (245_760 - 36 - 2) / 2))}x\"" }])),
        ["at the limit in bytes"] = (
            "[{ id: ctx.events[0].id, payload: 'é'.repeat((245760 - 36 - 2) / 2) }]",
            events => List([events[0] with { Payload = $"\"{new string('é', (245_760 - 36 - 2) / 2)}\"" }])),
        ["over the limit in bytes"] = (
            "[{ id: ctx.events[0].id, payload: 'é'.repeat((245760 - 36 - 2) / 2) + 'x' }]",
            events => List([events[0] with { Payload = $"\"{new string('é', (245_760 - 36 - 2) / 2)}x\"" }])),
        ["lone surrogates"] = (
            "ctx.events.map((e) => ({ id: e.id, payload: { '\\udfff': 'a\\ud800b' } }))",
            events => List([.. events.Select(e => e with { Payload = """{ "\udfff": "a\ud800b" }""" })])),
        ["lone surrogate error"] = (
            "ctx.events.map((e) => ({ id: e.id, error: 'a\\ud800b' }))", events => List([.. events.Select(e => e with { Error = """ "a\ud800b" """ })])),
        ["breaks and quotes"] = (
            "ctx.events.map((e) => ({ id: e.id, payload: 'a\"}\\n\\u0000\\u2028\\\\' }))",
            events => List([.. events.Select(e => e with { Payload = """ "a\"}\n\u0000\u2028\\" """ })])),
        ["errors with breaks and quotes"] = (
            "ctx.events.map((e) => ({ id: e.id, error: 'a\"}\\n\\u0000\\\\' }))",
            events => List([.. events.Select(e => e with { Error = """ "a\"}\n\u0000\\" """ })])),
        ["no numbers"] = (
            "ctx.events.map((e) => ({ id: e.id, payload: [0 / 0, 1 / 0, -1 / 0, -0, { a: undefined, b: () => 1 }] }))",
            events => List([.. events.Select(e => e with { Payload = "[null,null,null,0,{}]" })])),
        ["undefined payload"] = (
            "ctx.events.map((e) => ({ id: e.id, payload: undefined }))", events => List([.. events.Select(e => e with { Payload = null })])),
    };

    private FakeLambda? _function;
    private HandlerFixture? _fixture;

    /// <summary>The gateway.</summary>
    internal HandlerFixture Fixture => _fixture ?? throw new InvalidOperationException("The gateway has not started.");

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        _function = await FakeLambda.StartAsync(call => call.ReturnAsync(s_results[NameOf(call.Json)].Function(
            [.. call.Json["events"]!.AsArray().Select(item => new Event((string)item!["id"]!, item["payload"]?.ToJsonString() ?? "null"))])));
        var code = new StringBuilder("const results = {\n");
        foreach (var (name, (expression, _)) in s_results)
        {
            code.Append($"  {((JsonNode)name).ToJsonString()}: (ctx) => ({expression}),\n");
        }

        code.Append("}\nexport const onPublish = (ctx) => results[ctx.info.channel.segments[1].split('-').join(' ')](ctx)\n");
        _fixture = await HandlerFixture.StartAsync(
            [new TestNamespace("code", code.ToString()), new TestNamespace("direct", Configs: $"OnPublish: {HandlerFixture.Direct}")],
            HandlerFixture.FunctionSource,
            $"--Fanfare:Lambda:Functions:worker={_function.Address}");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await (_fixture?.DisposeAsync() ?? default);
        await (_function?.DisposeAsync() ?? default);
    }

    /// <summary>The channel whose publishes get a result.</summary>
    public static string ChannelOf(string ns, string result) => $"/{ns}/{result.Replace(' ', '-')}";

    private static string NameOf(JsonObject context) => ((string)context["info"]!["channel"]!["segments"]![1]!).Replace('-', ' ');

    private static string List(Event?[] events) => $$"""{"events": [{{string.Join(", ", events.Select(e => e?.ToString() ?? "null"))}}]}""";

    /// <summary>An event as a function returns it; each member JSON text.</summary>
    private sealed record Event(string Id, string? Payload, string? Error = null, string More = "")
    {
        public override string ToString() =>
            $$"""{"id":"{{Id}}"{{(Payload is null ? "" : $",\"payload\":{Payload}")}}{{(Error is null ? "" : $",\"error\":{Error}")}}{{More}}}""";
    }
}

/// <summary>What becomes of a publish whose handler returned something (handlers, 1.4 and 6.2), over both protocols.</summary>
public sealed class ResultTests(ResultGateway gateway) : IClassFixture<ResultGateway>
{
    private const string NotProcessed = "Unable to process request";
    private static readonly string[] s_both = ["code", "direct"];

    private HandlerFixture Fixture => gateway.Fixture;

    [Theory]
    [InlineData("untouched", "1 2 3", "1 2 3")]
    [InlineData("nothing", "1 2 3", "")]
    [InlineData("null", "1 2 3", "")]
    [InlineData("null alone", "1 2 3", "")]
    [InlineData("undefined", "1 2 3", "")]
    [InlineData("first left out", "1 2 3", "2 3")]
    [InlineData("first left out", "1", "")]
    [InlineData("reversed", "1 2 3 4 5", "5 4 3 2 1")]
    [InlineData("null items", "1 2 3", "2 1")]
    [InlineData("changed", "1 \"a\"", """{"was":1,"b":1,"a":[null,null]} {"was":"a","b":1,"a":[null,null]}""")]
    [InlineData("last changed first", "1 2 3", "\"new\" 1 2")]
    [InlineData("error null", "1 2", "1 2")]
    [InlineData("no payload", "1 2", "null null")]
    [InlineData("undefined payload", "1 2", "null null")]
    [InlineData("more members", "1 2", "1 2")]
    [InlineData("no numbers", "1", "[null,null,null,0,{}]")]
    public Task All_are_successful_and_those_returned_go_out_in_their_order(string result, string events, string delivered) =>
        AssertAsync(s_both, result, Split(events), Split(delivered), []);

    [Theory]
    [InlineData("failed", "1 2", "", "no 1", "no 2")]
    [InlineData("failed with payload", "1", "", "")]
    [InlineData("errors of all kinds", "1 2 3 4 5", "", """{"b":1,"a":"é\""}""", """["x",null]""", "1.5", "false", "text")]
    [InlineData("errors with breaks and quotes", "1", "", "a\"}\n\0\\")]
    public Task An_item_with_an_error_fails_alone_whatever_the_error_is(string result, string events, string delivered, params string[] errors) =>
        AssertAsync(s_both, result, Split(events), Split(delivered), [.. errors.Select((error, i) => (i, "CustomError", error))]);

    [Theory]
    [InlineData("twice")]
    [InlineData("failed twice")]
    [InlineData("unknown")]
    [InlineData("id in capitals")]
    [InlineData("id of the wrong type")]
    [InlineData("id missing")]
    [InlineData("id lone surrogate")]
    [InlineData("item a number")]
    [InlineData("item a list")]
    [InlineData("an object")]
    [InlineData("a text")]
    [InlineData("a number")]
    [InlineData("false")]
    [InlineData("a function")]
    public async Task A_result_against_the_rules_fails_the_publish_and_nothing_goes_out(string result)
    {
        foreach (var ns in s_both)
        {
            var channel = ResultGateway.ChannelOf(ns, result);
            await using var subscriber = await SubscribeAsync(channel);
            await using var publisher = await Fixture.ConnectAsync();

            var answer = await Fixture.PostAsync(channel, "1", "2", "3");
            answer.AssertError(
                ns == "code" ? 403 : 502, ns == "code" ? "HandlerExecutionError" : "DependencyFailedException", NotProcessed);
            var reply = await HandlerFixture.PublishAsync(publisher, "p", channel, "1", "2", "3");
            Assert.Equal(NotProcessed, WireError.AssertReply(reply, "publish_error", "p", "HandlerExecutionError").Message);
            await Fixture.AssertDeliveredAsync(subscriber, "s");
        }
    }

    [Theory]
    [InlineData("at the limit", true)]
    [InlineData("over the limit", false)]
    [InlineData("at the limit escaped", true)]
    [InlineData("over the limit escaped", false)]
    [InlineData("at the limit in bytes", true)]
    [InlineData("over the limit in bytes", false)]
    public async Task A_changed_event_may_be_as_large_as_an_event_with_its_id(string result, bool isDelivered)
    {
        foreach (var ns in s_both)
        {
            var channel = ResultGateway.ChannelOf(ns, result);
            await using var subscriber = await SubscribeAsync(channel);
            await using var publisher = await Fixture.ConnectAsync();

            var answer = await HandlerFixture.PublishAsync(publisher, "p", channel, "1");

            Assert.Equal("publish_success", (string?)answer["type"]);
            if (isDelivered)
            {
                AssertItems(answer, 1, []);
                Assert.Equal(245_760 - 36, Encoding.UTF8.GetByteCount(await subscriber.NextEventAsync("s")));
            }
            else
            {
                AssertItems(answer, 1, [(0, "EventTooLargeException", "Transformed event is larger than 240KB")]);
            }

            await Fixture.AssertDeliveredAsync(subscriber, "s");
        }
    }

    [Fact]
    public async Task An_untouched_event_may_be_as_large_as_without_a_handler()
    {
        await AssertAsync(["code"], "untouched", [Messages.EventOf(245_760), "1"], [Messages.EventOf(245_760), "1"], []);
    }

    [Fact]
    public async Task Events_that_were_too_large_already_are_no_business_of_the_handler()
    {
        var large = Messages.EventOf(245_761);
        (int, string, string) tooLarge = (1, "EventTooLargeException", "Transformed event is larger than 240KB");
        await AssertAsync(s_both, "untouched", ["1", large, "2"], ["1", "2"], [tooLarge]);
        await AssertAsync(s_both, "reversed", ["1", large, "2"], ["2", "1"], [tooLarge]);
        await AssertAsync(s_both, "nothing", ["1", large, "2"], [], [tooLarge]);
        await AssertAsync(s_both, "failed", ["1", large], [], [(0, "CustomError", "no 1"), tooLarge]);
        await AssertAsync(s_both, "a number", [large], [], [tooLarge with { Item1 = 0 }]);
    }

    [Fact]
    public async Task Five_events_may_have_five_ends()
    {
        // 0 and 4 fail, 1 gets too large, 2 is left out, 3 goes out.
        await AssertAsync(
            s_both, "mixed", ["0", "1", "2", "3", "4"], ["3"],
            [(0, "CustomError", "zero"), (1, "EventTooLargeException", "Transformed event is larger than 240KB"), (4, "CustomError", "four")]);
    }

    [Theory]
    [InlineData("1.0")]
    [InlineData("1e3")]
    [InlineData("-0")]
    [InlineData("123456789012345678901234567890")]
    [InlineData(" { \"b\" : 1 ,\t\"a\":2.50 } ")]
    [InlineData("{\"a\":1,\"a\":2}")]
    [InlineData("{\"10\":1,\"9\":2}")]
    [InlineData("\"\\u0041\\/\\u00e9\\ud83d\\ude00\"")]
    [InlineData("\"\\ud800\"")]
    [InlineData("\"é😀\u2028\"")]
    [InlineData("{\"__proto__\":{\"a\":1},\"toJSON\":1}")]
    public async Task An_untouched_event_goes_out_as_the_bytes_that_came(string text)
    {
        await AssertAsync(["code"], "untouched", [text, "2", text], [text, "2", text], []);
        await AssertAsync(["code"], "last changed first", [text, text, "1"], ["\"new\"", text, text], []);
    }

    [Fact]
    public async Task Lone_surrogates_of_a_handler_break_no_frame()
    {
        await AssertAsync(s_both, "lone surrogates", ["1"], ["""{"\udfff":"a\ud800b"}"""], []);
        await AssertAsync(["code"], "breaks and quotes", ["1"], ["\"a\\\"}\\n\\u0000\u2028\\\\\""], []);
        await AssertAsync(["direct"], "breaks and quotes", ["1"], ["""
            "a\"}\n\u0000\u2028\\"
            """], []);

        // What is answered goes through strings that cannot hold half a pair.
        foreach (var ns in s_both)
        {
            await using var publisher = await Fixture.ConnectAsync();
            var channel = ResultGateway.ChannelOf(ns, "lone surrogate error");
            var answer = await HandlerFixture.PublishAsync(publisher, "p", channel, "1");
            Assert.Equal("a\ufffdb", (string?)answer["failed"]?[0]?["message"]);
        }
    }

    [Fact]
    public async Task A_fault_after_some_events_were_fine_delivers_nothing()
    {
        await using var fixture = await HandlerFixture.StartAsync(
            "export const onPublish = (ctx) => ctx.events.map((e) => ({ id: e.id, payload: e.payload.n.toFixed(1) }))");
        await using var subscriber = await fixture.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/chat/a");

        (await fixture.PostAsync("/chat/a", "{\"n\":1}", "{}", "{\"n\":2}")).AssertError(403, "HandlerExecutionError", NotProcessed);
        await fixture.AssertDeliveredAsync(subscriber, "s");
        Assert.Equal(200, (await fixture.PostAsync("/chat/a", "{\"n\":1}")).Status);
        await fixture.AssertDeliveredAsync(subscriber, "s", "\"1.0\"");
    }

    [Fact]
    public async Task A_deep_event_passes_a_handler_as_it_passes_without_one()
    {
        var deep = new string('[', 1000) + new string(']', 1000);
        await AssertAsync(["code"], "untouched", [deep], [deep], []);
        await using var function = await FakeLambda.StartAsync(
            call => call.ReturnAsync($$"""{"events":[{"id":"{{call.Body[(call.Body.LastIndexOf("\"id\":\"", StringComparison.Ordinal) + 6)..][..36]}}","payload":{{deep}}}]}"""));
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);

        Assert.Equal(200, (await fixture.PostAsync("/chat/a", deep)).Status);
    }

    /// <summary>Publishes over both protocols and asserts answer and deliveries.</summary>
    private async Task AssertAsync(
        string[] namespaces, string result, string[] events, string[] delivered, (int Index, string Code, string Message)[] failed)
    {
        foreach (var ns in namespaces)
        {
            var channel = ResultGateway.ChannelOf(ns, result);
            await using var subscriber = await SubscribeAsync(channel);
            var answer = await Fixture.PostAsync(channel, events);
            Assert.True(answer.Status == 200, $"{ns}: {answer.Status} {answer.Body}");
            AssertItems(answer.Json, events.Length, failed);
            await Fixture.AssertDeliveredAsync(subscriber, "s", delivered);

            await using var publisher = await Fixture.ConnectAsync();
            var reply = await HandlerFixture.PublishAsync(publisher, "p", channel, events);
            Assert.Equal("publish_success", (string?)reply["type"]);
            AssertItems(reply, events.Length, failed);
            await Fixture.AssertDeliveredAsync(subscriber, "s", delivered);
        }
    }

    private async Task<RawWebSocket> SubscribeAsync(string channel)
    {
        var subscriber = await Fixture.ConnectAsync();
        await subscriber.SubscribeAsync("s", channel);
        return subscriber;
    }

    // Both lists ascend by index, and each event is in one of them.
    private static void AssertItems(JsonObject answer, int count, (int Index, string Code, string Message)[] failed)
    {
        Assert.Equal(
            failed,
            answer["failed"]!.AsArray().Select(item => ((int)item!["index"]!, (string)item["code"]!, (string)item["message"]!)));
        Assert.Equal(
            Enumerable.Range(0, count).Except(failed.Select(item => item.Index)),
            answer["successful"]!.AsArray().Select(item => (int)item!["index"]!));
    }

    private static string[] Split(string events) => events.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
