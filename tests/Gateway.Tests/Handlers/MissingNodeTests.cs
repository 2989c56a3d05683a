using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Handlers.Node;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>A machine without Node.js: what code would decide is refused, and everything else works.</summary>
public sealed class MissingNodeTests
{
    private const string Nowhere = "--Fanfare:Handlers:Node=/nowhere/node";
    private const string NotProcessed = "Unable to process request";

    [Fact]
    public async Task Each_namespace_with_code_is_told_of_once_and_its_decisions_are_refused()
    {
        await using var fixture = await HandlerFixture.StartAsync(
            [
                new TestNamespace("both", "export const onPublish = (ctx) => ctx.events\nexport const onSubscribe = () => null"),
                new TestNamespace("publishes", "export const onPublish = (ctx) => ctx.events"),
                new TestNamespace("subscribes", "export function onSubscribe() { }"),
            ],
            "",
            Nowhere);
        await using var socket = await fixture.ConnectAsync();

        foreach (var (ns, refusesPublish, refusesSubscribe) in new[] { ("both", true, true), ("publishes", true, false), ("subscribes", false, true), ("other", false, false) })
        {
            var line = Assert.Single(fixture.Server.Log.Lines.Where(
                line => line.Text.Contains($"'{ns}'", StringComparison.Ordinal) && line.Text.Contains("cannot run", StringComparison.Ordinal)).DefaultIfEmpty());
            Assert.Equal(ns == "other" ? default : LogLevel.Warning, line.Level);
            Assert.Equal(ns == "other" ? null : true, line.Text?.Contains("Fanfare:Handlers:Node", StringComparison.Ordinal));

            var reply = await HandlerFixture.SubscribeAsync(socket, ns, $"/{ns}/a");
            if (refusesSubscribe)
            {
                Assert.Equal(NotProcessed, WireError.AssertReply(reply, "subscribe_error", ns, "HandlerExecutionError").Message);
            }
            else
            {
                Assert.Equal("subscribe_success", (string?)reply["type"]);
            }

            var answer = await fixture.PostAsync($"/{ns}/a", "1");
            if (refusesPublish)
            {
                answer.AssertError(403, "HandlerExecutionError", NotProcessed);
                reply = await HandlerFixture.PublishAsync(socket, "p", $"/{ns}/a", "1");
                Assert.Equal(NotProcessed, WireError.AssertReply(reply, "publish_error", "p", "HandlerExecutionError").Message);
            }
            else
            {
                Assert.Equal(200, answer.Status);
                if (!refusesSubscribe)
                {
                    Assert.Equal("1", await socket.NextEventAsync(ns));
                }
            }
        }
    }

    [Fact]
    public async Task Functions_decide_without_it_even_beside_code_that_cannot_run()
    {
        await using var function = await FakeLambda.StartAsync(call => call.ReturnAsync("null"));
        await using var fixture = await HandlerFixture.StartAsync(
            [
                new TestNamespace("chat", Configs: $"OnPublish: {HandlerFixture.Direct}, OnSubscribe: {HandlerFixture.Direct}"),
                new TestNamespace("mixed", "export const onPublish = (ctx) => ctx.events", $"OnSubscribe: {HandlerFixture.Direct}"),
            ],
            HandlerFixture.FunctionSource,
            Nowhere,
            $"--Fanfare:Lambda:Functions:worker={function.Address}");
        await using var socket = await fixture.ConnectAsync();

        await socket.SubscribeAsync("s", "/chat/a");
        Assert.Equal(200, (await fixture.PostAsync("/chat/a", "1")).Status);
        await socket.SubscribeAsync("t", "/mixed/a");
        (await fixture.PostAsync("/mixed/a", "1")).AssertError(403, "HandlerExecutionError", NotProcessed);
        Assert.Equal(3, function.Calls.Count);
        await fixture.AssertDeliveredAsync(socket, "s");
    }

    [Fact]
    public async Task Code_that_is_not_run_because_functions_decide_needs_no_Node()
    {
        await using var function = await FakeLambda.StartAsync(call => call.ReturnAsync("null"));
        await using var fixture = await HandlerFixture.StartAsync(
            [new TestNamespace("chat", "export const onPublish = (ctx) => ctx.events", $"OnPublish: {HandlerFixture.Direct}, OnSubscribe: {HandlerFixture.Direct}")],
            HandlerFixture.FunctionSource,
            Nowhere,
            $"--Fanfare:Lambda:Functions:worker={function.Address}");

        Assert.DoesNotContain(fixture.Server.Log.Lines, line => line.Text.Contains("Node.js", StringComparison.Ordinal));
        Assert.Equal(200, (await fixture.PostAsync("/chat/a", "1")).Status);
    }

    [Fact]
    public async Task Without_code_no_process_is_started()
    {
        await using var function = await FakeLambda.StartAsync();
        await using var fixture = await HandlerFixture.StartDirectAsync(function.Address);
        await fixture.PostAsync("/chat/a", "1");
        await fixture.PostAsync("/other/a", "1");

        Assert.Empty(Assert.IsType<NodeRuntime>(fixture.Server.Services.GetRequiredService<IHandlerRuntime>()).ProcessIds);
        Assert.DoesNotContain(fixture.Server.Log.Entries, line => line.Category.EndsWith(nameof(NodeRuntime), StringComparison.Ordinal));
    }
}
