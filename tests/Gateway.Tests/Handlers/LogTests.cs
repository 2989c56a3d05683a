using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>What is logged of handlers, and what handlers log (handlers, 7.3); and what is counted of them (7.4).</summary>
public sealed class LogTests
{
    private const string Talker = """
        export const onPublish = (ctx) => {
          console.log('log', { a: 1 }, 5, null, undefined, ['x'])
          console.info('info')
          console.warn('warn')
          console.error('error')
          console.debug('debug')
          return ctx.events[0].payload === 'fail' ? ctx.nothing.here : ctx.events[0].payload === 'refuse' ? util.unauthorized() : ctx.events[0].payload === 'reject' ? util.error('m', 't') : ctx.events
        }
        """;

    private static readonly string[] s_words = ["log", "info", "warn", "error", "debug"];

    [Theory]
    [InlineData("NONE", "", false)]
    [InlineData("ERROR", "error", true)]
    [InlineData("INFO", "log info warn error", true)]
    [InlineData("DEBUG", "log info warn error debug", true)]
    [InlineData("ALL", "log info warn error debug", true)]
    public async Task Each_level_keeps_its_lines(string level, string kept, bool keepsFailures)
    {
        await using var server = await StartAsync(level, Talker);
        string?[] ids =
        [
            (await PostAsync(server, "\"ok\"")).Header("x-amzn-RequestId"), (await PostAsync(server, "\"fail\"")).Header("x-amzn-RequestId"),
            (await PostAsync(server, "\"refuse\"")).Header("x-amzn-RequestId"), (await PostAsync(server, "\"reject\"")).Header("x-amzn-RequestId"),
        ];

        var lines = HandlerLines(server);
        foreach (var id in ids)
        {
            var said = lines.Where(line => line.Text.StartsWith($"{id} chat ", StringComparison.Ordinal)).ToList();
            Assert.Equal(
                kept.Split(' ', StringSplitOptions.RemoveEmptyEntries),
                said.Select(line => s_words.Single(word => line.Text.Contains($": {word}", StringComparison.Ordinal))));
        }

        if (kept.Contains("info", StringComparison.Ordinal))
        {
            Assert.Contains(lines, line => line.Text.StartsWith($"{ids[0]} chat INFO - code.js:2:11: log {{\"a\":1}} 5 null undefined [\"x\"]", StringComparison.Ordinal)
                || line.Text.StartsWith($"{ids[0]} chat INFO - code.js:2:3: log {{\"a\":1}} 5 null undefined [\"x\"]", StringComparison.Ordinal));
            Assert.Contains(lines, line => line.Level == LogLevel.Error && line.Text.Contains("ERROR - code.js:5:", StringComparison.Ordinal));
        }

        var failures = lines.Where(line => line.Text.Contains("onPublish of chat", StringComparison.Ordinal)).Select(line => line.Text).ToList();
        if (keepsFailures)
        {
            Assert.Collection(
                failures,
                text => Assert.StartsWith($"{ids[1]} onPublish of chat failed: code.js:7:", text, StringComparison.Ordinal),
                text => Assert.StartsWith($"{ids[2]} onPublish of chat refused by util.unauthorized().", text, StringComparison.Ordinal),
                text => Assert.StartsWith($"{ids[3]} onPublish of chat refused by util.error: 't' 'm'", text, StringComparison.Ordinal));
        }
        else
        {
            Assert.Empty(failures);
        }
    }

    [Theory]
    [InlineData("console.log(T); return ctx.events")]
    [InlineData("console.error(T, { T }); return ctx.events")]
    [InlineData("util.error(T, T, T, { T })")]
    [InlineData("throw new Error(T)")]
    [InlineData("throw T")]
    [InlineData("console.log(T + '\\ud800'); util.error(T, T + '\\ud800')")]
    [InlineData("ctx.nothing[T].x")]
    [InlineData("return ctx.events.map((e) => ({ id: T, payload: 1 }))")]
    [InlineData("return ctx.events.map((e) => ({ id: e.id, error: T }))")]
    public async Task No_text_of_a_handler_looks_like_lines_of_ours(string statement)
    {
        var code = $"export const onPublish = (ctx) => {{ const T = 'a\\nwarn: Fanfare[1] forged\\r\\nb\\rc\\u2028d\\u0085e\\u001b[2Jf\\u0000g\\fh'; {statement} }}";
        await using var server = await StartAsync("ALL", code);
        var answer = await PostAsync(server, "1");
        Assert.InRange(answer.Status, 200, 403);
        await server.StopAsync();

        Assert.All(server.Log.Entries, line =>
        {
            Assert.DoesNotContain(line.Text.TrimEnd(), c => (char.IsControl(c) && c != '\t') || c is '\u2028' or '\u2029');
            Assert.DoesNotContain("\nwarn: Fanfare[1] forged", line.Values, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_functions_words_look_like_no_lines_of_ours_either()
    {
        await using var function = await FakeLambda.ReturningAsync("""{"error":"a\nwarn: forged\u001b[2J\ud800"}""");
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        (await fixture.PostAsync("/chat/a", "1")).AssertError(502, "DependencyFailedException");
        function.Answer = call => call.AnswerAsync(
            200, """{"errorType":"a\nwarn: forged","errorMessage":"b\nwarn: forged"}""", ("X-Amz-Function-Error", "Unhandled"));
        (await fixture.PostAsync("/chat/a", "1")).AssertError(502, "DependencyFailedException");

        Assert.Contains(fixture.Server.Log.Lines, line => line.Text.Contains("The function refused: a\\nwarn: forged\\u001b[2J\ufffd", StringComparison.Ordinal));
        Assert.All(fixture.Server.Log.Lines, line => Assert.DoesNotContain("\nwarn: forged", line.Text, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("NONE")]
    [InlineData("ALL")]
    public async Task No_key_token_or_event_is_logged_but_by_a_handler(string level)
    {
        const string Token = "opaque-token-of-a-user";
        const string Event = "confidential-event";
        const string Code = """
            export const onPublish = (ctx) => ctx.events[0].payload.fail ? ctx.nothing.here : ctx.events
            export const onSubscribe = (ctx) => util.unauthorized()
            """;
        await using var server = await StartAsync(level, Code);
        await using var socket = await server.ConnectAsync();
        await socket.InitAsync();
        var authorization = Credentials.KeyAuthorization();
        authorization["x-token"] = Token;
        await socket.SendAsync(Messages.Subscribe("s", "/chat/a", authorization.DeepClone().AsObject()));
        await socket.NextAsync("subscribe_error", "s");
        await socket.SendAsync(Messages.Publish("p", "/chat/a", authorization, $"{{\"fail\":true,\"text\":\"{Event}\"}}"));
        await socket.NextAsync("publish_error", "p");
        await HttpPublisher.PostAsync(server, Messages.HttpBody("/chat/a", $"\"{Event}\""), ("x-token", Token), ("Authorization", Token));
        await socket.DisposeAsync();
        await server.StopAsync();

        Assert.All(
            (string[])[Credentials.ApiKey, Token, Event],
            secret => Assert.DoesNotContain(server.Log.Entries, line => $"{line.Text} {line.Values}".Contains(secret, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Handlers_are_counted_by_outcome_and_events_by_what_became_of_them()
    {
        const string Code = """
            export const onPublish = (ctx) => {
              const word = ctx.events[0].payload
              if (word === 'fail') return ctx.nothing.here
              if (word === 'refuse') util.unauthorized()
              if (word === 'reject') util.error('m', 't')
              return [ctx.events[0], { id: ctx.events[1].id, error: 'e' }, { id: ctx.events[2].id, payload: 'x'.repeat(250000) }]
            }
            export const onSubscribe = (ctx) => { if (ctx.info.channel.path.endsWith('*')) util.unauthorized() }
            """;
        await using var fixture = await HandlerFixture.StartAsync(Code);
        await using var socket = await fixture.ConnectAsync();
        await socket.SubscribeAsync("s", "/chat/a");
        await HandlerFixture.SubscribeAsync(socket, "t", "/chat/*");
        await fixture.PostAsync("/chat/b", "1", "2", "3", "4", "5"); // 1 goes out, 2 fail, 2 are left out
        await fixture.PostAsync("/chat/b", "1", "2", "3", Messages.EventOf((240 * 1024) + 1)); // 1 goes out, 3 fail
        await fixture.PostAsync("/chat/b", "\"fail\"", "2");
        await fixture.PostAsync("/chat/b", "\"refuse\"");
        await fixture.PostAsync("/chat/b", "\"reject\"");

        var metrics = await Metrics.WaitAsync(fixture.Server, 5, "fanfare_publish_http_requests_total");

        Assert.Equal(2, Runs("onPublish", "success"));
        Assert.Equal(1, Runs("onPublish", "code_failed"));
        Assert.Equal(1, Runs("onPublish", "unauthorized"));
        Assert.Equal(1, Runs("onPublish", "rejected"));
        Assert.Equal(1, Runs("onSubscribe", "success"));
        Assert.Equal(1, Runs("onSubscribe", "unauthorized"));
        Assert.Equal(7, metrics.Sum("fanfare_handler_duration_seconds_count", "namespace=\"chat\""));
        Assert.Equal(2, metrics.Sum("fanfare_events_dropped_total", "namespace=\"chat\""));
        Assert.Equal(2 + 3 + 2 + 1 + 1, metrics.Sum("fanfare_events_failed_total", "namespace=\"chat\""));
        Assert.Equal(3 + 1, metrics.Sum("fanfare_events_successful_total", "namespace=\"chat\"")); // left out is successful, too

        double Runs(string handler, string outcome) => metrics.Sum(
            "fanfare_handler_duration_seconds_count", "namespace=\"chat\"", $"handler=\"{handler}\"", $"outcome=\"{outcome}\"");
    }

    [Fact]
    public async Task Functions_are_counted_by_outcome()
    {
        await using var function = await FakeLambda.ReturningAsync("null");
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        await fixture.PostAsync("/chat/a", "1", "2");
        function.Answer = call => call.ReturnAsync("true");
        await fixture.PostAsync("/chat/a", "1", "2");

        var metrics = await Metrics.WaitAsync(fixture.Server, 2, "fanfare_publish_http_requests_total");
        Assert.Equal(1, metrics.Sum("fanfare_handler_duration_seconds_count", "outcome=\"success\""));
        Assert.Equal(1, metrics.Sum("fanfare_handler_duration_seconds_count", "outcome=\"function_failed\""));
        Assert.Equal(2, metrics.Sum("fanfare_events_dropped_total", "namespace=\"chat\""));
        Assert.Equal(2, metrics.Sum("fanfare_events_failed_total", "namespace=\"chat\""));
    }

    [Fact]
    public async Task Types_that_handlers_make_up_make_no_metrics()
    {
        await using var fixture = await HandlerFixture.StartAsync("export const onPublish = (ctx) => util.error('m', `made-up-${ctx.events[0].payload}`)");
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(403, (await fixture.PostAsync("/chat/a", $"{i}")).Status);
        }

        var page = await HttpPublisher.SendAsync(fixture.Server, HttpMethod.Get, "/metrics", null);
        Assert.DoesNotContain("made-up", page.Body, StringComparison.Ordinal);
        var metrics = await Metrics.ReadAsync(fixture.Server);
        Assert.Equal(5, metrics.Sum("fanfare_publish_errors_total", "type=\"HandlerRejection\""));
    }

    private static Task<GatewayServer> StartAsync(string level, string code) =>
        GatewayServer.StartWithTemplateAsync(HandlerFixture.CreateTemplate([new TestNamespace("chat", code)], logLevel: level));

    private static Task<HttpAnswer> PostAsync(GatewayServer server, string text) => HttpPublisher.PostAsync(server, Messages.HttpBody("/chat/a", text));

    private static List<(LogLevel Level, string Text)> HandlerLines(GatewayServer server) =>
    [
        .. server.Log.Entries
            .Where(line => line.Category == "Fanfare.Api" && !line.Text.StartsWith("RequestSummary ", StringComparison.Ordinal))
            .Select(line => (line.Level, line.Text)),
    ];
}
