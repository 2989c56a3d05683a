using System.Text.Json;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers.Node;

/// <summary>Runs handler code in Node.js processes of its own.</summary>
/// <remarks>
/// <para>
/// One lane for each core carries the calls of well-behaved code, many at a time. Where a worker gives no answer for a moment, it is the
/// code of its oldest call that takes so long, and calls of other namespaces behind it move to another lane at once: a call changes
/// nothing outside its context, so repeating it is safe. One lane more is there for when all others are held up.
/// </para>
/// <para>
/// A worker that takes too long is killed, and one that uses up its memory dies. If that left one call without an answer, its code is
/// the culprit. If it left several of one namespace, they are repeated one at a time, so that only the culprit's own call fails.
/// </para>
/// <para>
/// Code that brought a worker down runs in a third kind of lane from then on, one call at a time, where it holds up nobody but its like,
/// and after the second death not at all for a while that doubles each time (<see cref="NodeModule"/>).
/// </para>
/// </remarks>
internal sealed class NodeRuntime : IHandlerRuntime, IAsyncDisposable
{
    // A worker answers 100,000 calls a second; more than this waiting for it is an overload.
    private const int CallsPerWorkerMax = 1024;
    private const int SerialWaitingMax = 4096;
    private static readonly TimeSpan s_stallTime = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_watchPeriod = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_idleTime = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_exitTimeout = TimeSpan.FromSeconds(2);

    private readonly HandlerOptions _options;
    private readonly GatewayMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly WorkerLane[] _lanes;
    private readonly WorkerLane _overflow;
    private readonly WorkerLane _suspects;
    private readonly ITimer _watch;
    private readonly SemaphoreSlim _finding = new(1);
    private NodeInstallation? _installation;
    private uint _lastModule;
    private uint _nextLane;
    private bool _isWatching;

    public NodeRuntime(IOptions<GatewayOptions> options, GatewayMetrics metrics, TimeProvider timeProvider, ILogger<NodeRuntime> logger)
    {
        _metrics = metrics;
        _options = options.Value.Handlers;
        _timeProvider = timeProvider;
        _logger = logger;
        var count = _options.Workers > 0 ? _options.Workers : Environment.ProcessorCount;
        _lanes = [.. Enumerable.Range(0, count).Select(_ => new WorkerLane(StartWorker, CallsPerWorkerMax, waitingMax: 0, timeProvider))];
        _overflow = new WorkerLane(StartWorker, CallsPerWorkerMax, waitingMax: 0, timeProvider);
        _suspects = new WorkerLane(StartWorker, callsMax: 1, SerialWaitingMax, timeProvider);
        _watch = timeProvider.CreateTimer(static state => ((NodeRuntime)state!).Watch(), this, s_watchPeriod, s_watchPeriod);
    }

    /// <summary>The ids of the processes that run now.</summary>
    public IReadOnlyList<int> ProcessIds => [.. AllLanes.Select(lane => lane.Worker).OfType<NodeWorker>().Select(worker => worker.ProcessId)];

    private IEnumerable<WorkerLane> AllLanes => [.. _lanes, _overflow, _suspects];

    /// <inheritdoc/>
    public async ValueTask<HandlerModule> LoadAsync(HandlerOwner owner, string code, CancellationToken cancellationToken)
    {
        await EnsureInstalledAsync(cancellationToken);
        using var reply = await SendAsync(NodeCall.Compile(code), _lanes[0], cancellationToken);
        if (reply.Failure != HandlerFailure.None)
        {
            throw new HandlerRuntimeException($"Node.js ({_installation!.Program}) did not answer: {reply.Failure}.");
        }

        return Read(owner, reply.Output);
    }

    /// <inheritdoc/>
    public async ValueTask<HandlerReply> InvokeAsync(HandlerModule module, HandlerCall call, CancellationToken cancellationToken)
    {
        var compiled = (NodeModule)module;
        if (compiled.IsFenced)
        {
            return HandlerReply.Failed(HandlerFailure.Fenced);
        }

        var isSuspect = compiled.IsSuspect;
        var lane = isSuspect ? _suspects : ChooseLane();
        return await SendAsync(NodeCall.Invoke(compiled, call), lane, cancellationToken);
    }

    /// <inheritdoc/>
    public void Unload(HandlerModule module)
    {
        foreach (var lane in AllLanes)
        {
            lane.Worker?.Unload((NodeModule)module);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        var workers = AllLanes.Select(lane => lane.Close()).OfType<NodeWorker>().ToList();
        var ended = Task.WhenAll(workers.Select(worker => worker.Exited));
        try
        {
            await ended.WaitAsync(s_exitTimeout);
        }
        catch (TimeoutException)
        {
            foreach (var worker in workers)
            {
                worker.Kill(WorkerEnd.Stopped);
            }

            await ended;
        }

        _finding.Dispose();
    }

    private static async ValueTask<HandlerReply> SendAsync(NodeCall call, WorkerLane lane, CancellationToken cancellationToken)
    {
        var completion = call.Completion;
        lane.Send(call);
        if (completion.IsCompleted || !cancellationToken.CanBeCanceled)
        {
            return await completion;
        }

        using (cancellationToken.UnsafeRegister(static (state, token) => ((NodeCall)state!).Cancel(token), call))
        {
            return await completion;
        }
    }

    // The less loaded of two that take turns: as even as looking at all of them, at the cost of two. Where it is held up, or its worker
    // has yet to start, any other.
    private WorkerLane ChooseLane()
    {
        var next = Interlocked.Increment(ref _nextLane);
        var one = _lanes[next % (uint)_lanes.Length];
        var other = _lanes[(next + 1) % (uint)_lanes.Length];
        var lane = one.Load <= other.Load ? one : other;
        return IsFree(lane) ? lane : FindFreeLane() ?? FindStartingLane() ?? _overflow;
    }

    private static bool IsFree(WorkerLane lane) => lane.EnsureWorker() is { IsReady: true } worker && !worker.IsStalled(s_stallTime);

    private WorkerLane? FindFreeLane() => Array.Find(_lanes, IsFree);

    private WorkerLane? FindStartingLane() => Array.Find(_lanes, lane => lane.Worker is { IsReady: false });

    private async Task EnsureInstalledAsync(CancellationToken cancellationToken)
    {
        if (_installation is not null)
        {
            return;
        }

        await _finding.WaitAsync(cancellationToken);
        try
        {
            _installation ??= await NodeInstallation.FindAsync(_options.Node, cancellationToken);
        }
        finally
        {
            _finding.Release();
        }
    }

    private NodeWorker StartWorker(WorkerLane lane)
    {
        var worker = NodeWorker.Start(
            _installation!, _options, (ended, end, calls) => OnEnded(lane, ended, end, calls), lane.Continue, _timeProvider);
        NodeLog.WorkerStarted(_logger, worker.ProcessId);
        return worker;
    }

    private void OnEnded(WorkerLane lane, NodeWorker worker, WorkerEnd end, IReadOnlyList<UnansweredCall> calls)
    {
        if (end == WorkerEnd.Stopped)
        {
            NodeLog.WorkerStopped(_logger, worker.ProcessId);
        }
        else
        {
            _metrics.HandlerWorkersLost.Add(1, new KeyValuePair<string, object?>("reason", GetTag(end)));
            NodeLog.WorkerEnded(_logger, worker.ProcessId, end, calls.Count);
            NodeLog.WorkerErrors(_logger, worker.ProcessId, worker.ErrorOutput);
        }

        lane.OnEnded(worker, worker.IsReady);
        var left = calls.Where(call => !call.IsElsewhere).Select(call => call.Call).ToList();
        if (!worker.IsReady)
        {
            // It never came to run anybody's code.
            left.ForEach(call => call.Complete(HandlerReply.Failed(HandlerFailure.Unavailable)));
            return;
        }

        if (calls.Count == 0)
        {
            return;
        }

        // The calls come in their order, so that it ended in the code of the first.
        var (first, _) = calls[0];
        if (end != WorkerEnd.Stopped && calls.Count(call => call.Call.Module == first.Module) == 1)
        {
            Blame(first, end);
            left.Remove(first);
        }

        left.ForEach(call => (call.Module == first.Module ? _suspects : ChooseLane()).Send(call));
    }

    private static string GetTag(WorkerEnd end) => end switch
    {
        WorkerEnd.Overdue => "timed_out",
        WorkerEnd.TooLarge => "result_too_large",
        _ => "crashed",
    };

    private void Blame(NodeCall call, WorkerEnd end)
    {
        if (call.Module is { } module)
        {
            var fence = module.Strike();
            NodeLog.WorkerLost(_logger, module.Owner.Namespace, module.Owner.ApiId, end, fence);
        }

        call.Complete(HandlerReply.Failed(end switch
        {
            WorkerEnd.Overdue => HandlerFailure.TimedOut,
            WorkerEnd.TooLarge => HandlerFailure.TooLarge,
            _ => HandlerFailure.Crashed,
        }));
    }

    private void Watch()
    {
        // A look that takes longer than the period is not met by the next one.
        if (Interlocked.Exchange(ref _isWatching, true))
        {
            return;
        }

        foreach (var lane in AllLanes)
        {
            MoveStalled(lane);
        }

        foreach (var lane in AllLanes)
        {
            lane.Worker?.EndIfOverdue(_options.EvaluationTimeout, s_startTimeout);
        }

        _overflow.EndIfIdle(s_idleTime);
        _suspects.EndIfIdle(s_idleTime);
        Volatile.Write(ref _isWatching, false);
    }

    // Only to where they will not wait again, or they would be sent on and on.
    private void MoveStalled(WorkerLane lane)
    {
        if (lane.Worker?.IsStalled(s_stallTime) == true
            && (FindFreeLane() ?? (_overflow.Worker?.IsStalled(s_stallTime) == true ? null : _overflow)) is { } target)
        {
            foreach (var call in lane.Worker?.TakeStalled(s_stallTime) ?? [])
            {
                target.Send(call);
            }
        }
    }

    private NodeModule Read(HandlerOwner owner, ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        var problems = root.GetProperty("problems").EnumerateArray()
            .Select(problem => new CodeProblem(
                problem.GetProperty("line").GetInt32(), problem.GetProperty("column").GetInt32(),
                problem.GetProperty("message").GetString()!, problem.GetProperty("severity").ValueEquals("error"u8)))
            .ToArray();
        var exports = root.GetProperty("exports");
        using var program = new MemoryStream();
        using (var writer = new Utf8JsonWriter(program))
        {
            writer.WriteStartObject();
            foreach (var name in (ReadOnlySpan<string>)["code", "lineOffset", "insertions"])
            {
                writer.WritePropertyName(name);
                root.GetProperty(name).WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return new NodeModule(
            Interlocked.Increment(ref _lastModule), owner, program.ToArray(), problems,
            GetForm(exports.GetProperty("onPublish")), GetForm(exports.GetProperty("onSubscribe")), _timeProvider);
    }

    private static HandlerForm GetForm(JsonElement export) => export.ValueKind == JsonValueKind.Null
        ? HandlerForm.None
        : export.ValueEquals("object"u8) ? HandlerForm.Object : HandlerForm.Function;
}

/// <summary>What running handler code logs of its processes.</summary>
internal static partial class NodeLog
{
    [LoggerMessage(70, LogLevel.Debug, "The handler worker {ProcessId} has started.")]
    public static partial void WorkerStarted(ILogger logger, int processId);

    [LoggerMessage(71, LogLevel.Debug, "The handler worker {ProcessId} has ended, as it was asked to.")]
    public static partial void WorkerStopped(ILogger logger, int processId);

    [LoggerMessage(72, LogLevel.Warning, "The handler worker {ProcessId} has ended ({End}) and left {Calls} calls without an answer.")]
    public static partial void WorkerEnded(ILogger logger, int processId, WorkerEnd end, int calls);

    [LoggerMessage(73, LogLevel.Debug, "The handler worker {ProcessId} wrote: {Text}")]
    public static partial void WorkerErrors(ILogger logger, int processId, string text);

    [LoggerMessage(74, LogLevel.Warning,
        "The code of the namespace '{Namespace}' of API '{Api}' brought its worker down ({End}); its handlers are not run for {Fence}.")]
    public static partial void WorkerLost(ILogger logger, string @namespace, string api, WorkerEnd end, TimeSpan fence);
}
