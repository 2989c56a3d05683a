using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Handlers.Node;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>The supervision of the processes that run code: what dies, what is repeated, who is blamed. Real processes throughout.</summary>
public sealed class NodeRuntimeTests : IAsyncDisposable
{
    private const string PassThrough = "export const onPublish = (ctx) => ctx.events";

    // A pattern whose matching takes practically for ever, in native code that counts no iterations.
    private const string Endless = "export const onPublish = (ctx) => { /^(a+)+$/.test('a'.repeat(60) + '!'); return ctx.events }";

    // Strings that no budget of iterations bounds.
    private const string Greedy = "export const onPublish = (ctx) => { const kept = []; for (;;) kept.push(JSON.stringify(Array(100000).fill(kept.length))) }";

    private readonly RecordingLogger _log = new();
    private readonly LoggerFactory _loggers;
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().AddSingleton<GatewayMetrics>().BuildServiceProvider();
    private readonly GatewayMetrics _metrics;
    private readonly List<NodeRuntime> _runtimes = [];

    public NodeRuntimeTests()
    {
        _loggers = new LoggerFactory([_log]);
        _metrics = _services.GetRequiredService<GatewayMetrics>();
    }

    [Fact]
    public async Task A_worker_starts_when_the_first_module_is_loaded_and_not_before()
    {
        var runtime = Create();
        Assert.Empty(runtime.ProcessIds);

        var module = await LoadAsync(runtime, PassThrough);
        Assert.Single(runtime.ProcessIds);
        Assert.Equal(HandlerForm.Function, module.GetForm(HandlerKind.OnPublish));
        Assert.Equal(HandlerForm.None, module.GetForm(HandlerKind.OnSubscribe));
        Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, module));
    }

    [Fact]
    public async Task Workers_inherit_no_environment_and_may_open_no_file()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var runtime = Create();
        await LoadAsync(runtime, PassThrough);
        var processId = Assert.Single(runtime.ProcessIds);

        Assert.Equal("", await File.ReadAllTextAsync($"/proc/{processId}/environ", TestContext.Current.CancellationToken));
        var arguments = (await File.ReadAllTextAsync($"/proc/{processId}/cmdline", TestContext.Current.CancellationToken)).Split('\0');
        Assert.Contains(arguments, argument => argument is "--permission" or "--experimental-permission");
        Assert.Contains("--disallow-code-generation-from-strings", arguments);
        Assert.DoesNotContain(arguments, argument => argument.StartsWith("--allow-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Code_that_takes_too_long_fails_its_own_call_and_the_next_worker_serves_the_rest()
    {
        var runtime = Create(options => options.EvaluationTimeout = TimeSpan.FromMilliseconds(300));
        var bad = await LoadAsync(runtime, Endless);
        var good = await LoadAsync(runtime, PassThrough);

        Assert.Equal(HandlerFailure.TimedOut, await FailAsync(runtime, bad));
        Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, good));
    }

    [Fact]
    public async Task Code_that_uses_up_its_memory_fails_its_own_call_and_the_next_worker_serves_the_rest()
    {
        var runtime = Create(options => (options.MemoryMaxMiB, options.EvaluationTimeout) = (32, TimeSpan.FromSeconds(30)));
        var bad = await LoadAsync(runtime, Greedy);
        var good = await LoadAsync(runtime, PassThrough);

        Assert.Equal(HandlerFailure.Crashed, await FailAsync(runtime, bad));
        Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, good));
    }

    [Fact]
    public async Task Of_many_calls_in_a_worker_that_hangs_only_the_culprits_fails()
    {
        var runtime = Create(options => (options.Workers, options.EvaluationTimeout) = (1, TimeSpan.FromMilliseconds(300)));
        var good = await LoadAsync(runtime, PassThrough);
        var bad = await LoadAsync(runtime, Endless);
        var calls = new List<Task<string>>();
        for (var i = 0; i < 100; i++)
        {
            calls.Add(InvokeAsync(runtime, good));
        }

        var culprit = FailAsync(runtime, bad);
        for (var i = 0; i < 100; i++)
        {
            calls.Add(InvokeAsync(runtime, good));
        }

        Assert.Equal(HandlerFailure.TimedOut, await culprit);
        Assert.All(await Deadline.WaitAsync(Task.WhenAll(calls), "the answers of the others"), answer => Assert.Equal("""[{"id":"a","same":true}]""", answer));
    }

    [Fact]
    public async Task Nobody_is_blamed_for_code_that_hangs_where_it_came_too_late()
    {
        var runtime = Create(options => options.Workers = 1);
        var slow = await LoadAsync(
            runtime, "export const onPublish = (ctx) => { /^(a+)+$/.test('a'.repeat(23) + '!'); return ctx.events }");
        var bad = await LoadAsync(runtime, Endless);
        var good = await LoadAsync(runtime, PassThrough);
        await InvokeAsync(runtime, good);

        // The second moves to another worker while it waits behind the first, whose worker comes to it all the same.
        var first = InvokeAsync(runtime, slow);
        var culprit = FailAsync(runtime, bad);
        Assert.Equal("""[{"id":"a","same":true}]""", await first);

        while (!culprit.IsCompleted)
        {
            Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, good));
        }

        Assert.Equal(HandlerFailure.TimedOut, await culprit);
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, good));
        }
    }

    [Fact]
    public async Task Code_that_keeps_killing_workers_is_not_run_for_a_while_and_then_again()
    {
        var clock = new ManualTimeProvider();
        var runtime = Create(options => options.MemoryMaxMiB = 32, clock);
        var bad = await LoadAsync(runtime, Greedy);
        var good = await LoadAsync(runtime, PassThrough);

        Assert.Equal(HandlerFailure.Crashed, await FailAsync(runtime, bad));
        Assert.Equal(HandlerFailure.Crashed, await FailAsync(runtime, bad));
        Assert.Equal(HandlerFailure.Fenced, await FailAsync(runtime, bad));
        Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, good));

        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HandlerFailure.Crashed, await FailAsync(runtime, bad));

        // Each time twice as long.
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HandlerFailure.Fenced, await FailAsync(runtime, bad));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HandlerFailure.Crashed, await FailAsync(runtime, bad));
        Assert.Contains(_log.Lines, line => line.Level == LogLevel.Warning && line.Text.Contains("'chat'", StringComparison.Ordinal) && line.Text.Contains("00:00:02", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_worker_that_somebody_killed_is_replaced()
    {
        var runtime = Create(options => options.Workers = 1);
        var module = await LoadAsync(runtime, PassThrough);
        await InvokeAsync(runtime, module);
        var first = Assert.Single(runtime.ProcessIds);
        using (var process = Process.GetProcessById(first))
        {
            process.Kill();
            await Deadline.WaitAsync(async token => await process.WaitForExitAsync(token), "the end of the worker");
        }

        Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, module));
        Assert.NotEqual(first, Assert.Single(runtime.ProcessIds));
    }

    [Fact]
    public async Task A_result_that_is_too_large_is_a_fault_and_not_an_answer()
    {
        var runtime = Create(options => options.ResultBytesMax = 64 * 1024);
        var module = await LoadAsync(
            runtime, "export const onPublish = (ctx) => ctx.events.map((e) => ({ id: e.id, payload: Array(100000).fill(e.payload) }))");

        var output = await OutputAsync(runtime, module);
        Assert.Equal("fault", (string?)output["failure"]!["kind"]);
    }

    [Fact]
    public async Task Promises_that_nobody_waits_for_leave_nothing_behind()
    {
        var runtime = Create(options => (options.Workers, options.MemoryMaxMiB) = (1, 16));
        var module = await LoadAsync(
            runtime,
            "export const onPublish = (ctx) => { for (const i of Array(1000).fill(0)) (async () => { throw i })(); return ctx.events }");
        await InvokeAsync(runtime, module);
        var worker = Assert.Single(runtime.ProcessIds);

        // A quarter of a million at 160 bytes each would not fit.
        for (var i = 0; i < 2_500; i++)
        {
            Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, module));
        }

        Assert.Equal(worker, Assert.Single(runtime.ProcessIds));
    }

    [Fact]
    public async Task Who_stops_waiting_is_not_kept_waiting()
    {
        var runtime = Create();
        var module = await LoadAsync(runtime, Endless);
        using var gone = new CancellationTokenSource();
        var call = runtime.InvokeAsync(module, CreateCall(), gone.Token).AsTask();

        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task The_end_of_the_runtime_ends_its_processes_and_answers_its_calls()
    {
        var runtime = Create();
        var module = await LoadAsync(runtime, Endless);
        var call = FailAsync(runtime, module);
        var processes = runtime.ProcessIds.Select(Process.GetProcessById).ToList();

        await Deadline.WaitAsync(async _ => await runtime.DisposeAsync(), "the end of the runtime");

        Assert.NotEqual(HandlerFailure.None, await call);
        foreach (var process in processes)
        {
            Assert.True(process.WaitForExit(TimeSpan.FromSeconds(10)));
            process.Dispose();
        }
    }

    [Fact]
    public async Task What_was_unloaded_can_be_loaded_again()
    {
        var runtime = Create(options => options.Workers = 1);
        var first = await LoadAsync(runtime, "export const onPublish = (ctx) => []");
        Assert.Equal("[]", await InvokeAsync(runtime, first));
        runtime.Unload(first);
        var second = await LoadAsync(runtime, PassThrough);
        Assert.Equal("""[{"id":"a","same":true}]""", await InvokeAsync(runtime, second));
    }

    [Theory]
    [InlineData("exit 1")] // dies before it answers
    [InlineData("printf '\\000\\000\\000\\000\\000\\000\\000\\000'; cat >/dev/null")] // a frame that is none
    [InlineData("printf '\\377\\377\\377\\377\\000\\000\\000\\000'; cat >/dev/null")] // a frame of 4 GB
    [InlineData("head -c 100000000 /dev/zero | tr '\\0' x >&2; exit 1")] // floods its standard error
    public async Task A_program_that_is_no_worker_is_an_engine_that_is_not_there(string behavior)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "makes a script for a Unix shell");
        using var folder = new TemporaryFolder();
        var program = Path.Combine(folder.Path, "node");
        await File.WriteAllTextAsync(
            program, $"#!/bin/sh\nPATH=/usr/bin:/bin\nif [ \"$1\" = --version ]; then echo v22.13.0; else {behavior}; fi\n",
            TestContext.Current.CancellationToken);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        var runtime = Create(options => options.Node = program);
        await Assert.ThrowsAsync<HandlerRuntimeException>(() => LoadAsync(runtime, PassThrough));
        await Assert.ThrowsAsync<HandlerRuntimeException>(() => LoadAsync(runtime, PassThrough));
    }

    [Theory]
    [InlineData("/nowhere/node")]
    [InlineData("/bin/false")]
    public async Task Without_Node_loading_says_what_to_install(string program)
    {
        var runtime = Create(options => options.Node = program);
        var problem = await Assert.ThrowsAsync<HandlerRuntimeException>(() => LoadAsync(runtime, PassThrough));
        Assert.Contains("Node.js 20.19 or newer", problem.Message, StringComparison.Ordinal);
        Assert.Contains(program, problem.Message, StringComparison.Ordinal);
        Assert.Contains("Fanfare:Handlers:Node", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Node_that_is_too_old_is_named_with_its_version()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "makes a script for a Unix shell");
        using var folder = new TemporaryFolder();
        var program = Path.Combine(folder.Path, "node");
        await File.WriteAllTextAsync(program, "#!/bin/sh\necho v18.20.4\n", TestContext.Current.CancellationToken);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        var runtime = Create(options => options.Node = program);

        var problem = await Assert.ThrowsAsync<HandlerRuntimeException>(() => LoadAsync(runtime, PassThrough));
        Assert.Contains("18.20.4", problem.Message, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var runtime in _runtimes)
        {
            await runtime.DisposeAsync();
        }

        _loggers.Dispose();
        await _services.DisposeAsync();
    }

    private NodeRuntime Create(Action<HandlerOptions>? configure = null, TimeProvider? clock = null)
    {
        var options = new GatewayOptions();
        configure?.Invoke(options.Handlers);
        var runtime = new NodeRuntime(Options.Create(options), _metrics, clock ?? TimeProvider.System, _loggers.CreateLogger<NodeRuntime>());
        _runtimes.Add(runtime);
        return runtime;
    }

    private static Task<HandlerModule> LoadAsync(NodeRuntime runtime, string code) => Deadline.WaitAsync(
        async token => await runtime.LoadAsync(new HandlerOwner("api", "chat"), code, token), "a loaded module", TimeSpan.FromSeconds(60));

    private static HandlerCall CreateCall() => new(HandlerKind.OnPublish, HandlerPhase.Function, Encoding.UTF8.GetBytes("""
        {"identity":null,"request":{"headers":{},"domainName":null},"info":{"channel":{"path":"/chat/a","segments":["chat","a"]},
        "channelNamespace":{"name":"chat"},"operation":"PUBLISH"},"authType":"API Key Authorization","logLevel":0,
        "events":[["a","1"]],"stash":{},"outErrors":[],"result":null,"error":null}
        """));

    private static async Task<JsonObject> OutputAsync(NodeRuntime runtime, HandlerModule module)
    {
        using var reply = await Deadline.WaitAsync(
            token => runtime.InvokeAsync(module, CreateCall(), token), "the answer to a call", TimeSpan.FromSeconds(60));
        Assert.Equal(HandlerFailure.None, reply.Failure);
        return JsonNode.Parse(reply.Output.Span)!.AsObject();
    }

    private static async Task<string> InvokeAsync(NodeRuntime runtime, HandlerModule module) =>
        (await OutputAsync(runtime, module))["result"]!.ToJsonString();

    private static async Task<HandlerFailure> FailAsync(NodeRuntime runtime, HandlerModule module)
    {
        using var reply = await Deadline.WaitAsync(
            token => runtime.InvokeAsync(module, CreateCall(), token), "the failure of a call", TimeSpan.FromSeconds(60));
        return reply.Failure;
    }
}
