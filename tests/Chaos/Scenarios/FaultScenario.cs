using System.Diagnostics;
using Fanfare.Chaos.Checking;
using Fanfare.Chaos.Load;
using Fanfare.Chaos.Processes;

namespace Fanfare.Chaos.Scenarios;

/// <summary>Faults under a steady load: 20 channels, published to at every gateway; subscribers on channels and on wildcards of every level.</summary>
internal abstract class FaultScenario(string name, string description, TimeSpan time, int silos = 3, int gateways = 3)
    : Scenario(name, description, time)
{
    private const int ChannelCount = 20;
    private const int PipelinedPerGateway = 2;
    private const int PipelinedWindow = 8;
    private static readonly TimeSpan s_calm = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_recoveryTimeout = TimeSpan.FromSeconds(60);

    /// <summary>Five levels, so that there are wildcards of four.</summary>
    protected static readonly string[] Channels =
        [.. Enumerable.Range(0, ChannelCount).Select(i => $"/default/r{i % 2}/a{i % 5}{(i % 4 == 3 ? "/b" : "")}/k{i}")];

    /// <inheritdoc/>
    public override async Task<ScenarioResult> RunAsync(ScenarioOptions options, ScenarioConsole console)
    {
        await using var network = await CreateNetworkAsync();
        await using var cluster = await Cluster.StartAsync(silos, gateways, network, GetSettings(options));
        console.LogFolder = cluster.LogFolder;
        console.Say($"{silos} silos and {gateways} gateways are up; logs in {cluster.LogFolder}");

        using var run = new LoadRun(new GatewayChoice([.. cluster.Gateways.Select(gateway => gateway.Address)])) { ResendsAfterClose = Resends };
        await run.SubscribeAsync(CreateSubscribers(run, options.Subscribers));
        console.Say($"{options.Subscribers} subscribers are subscribed");
        run.Publish(CreatePublishers(run, options.Rate));
        await Task.Delay(s_calm);
        console.Say($"{run.Accepted} publishes accepted in the first {s_calm.TotalSeconds} s, without faults");

        run.AddNote($"channels on each silo at the start: {string.Join(", ", await Task.WhenAll(cluster.Silos.Select(silo => silo.ReadMetricAsync("fanfare_cluster_channels_active"))))}");

        using var progress = new CancellationTokenSource();
        var telling = TellProgressAsync(run, console, progress.Token);
        var failures = new List<string>();
        try
        {
            await HurtAsync(cluster, run, options.Time ?? Time, console);
            await Task.WhenAll(cluster.Processes.Where(process => !process.IsRunning).Select(process => process.StartAsync()));
            await WaitUntilHealthyAsync(cluster, console, failures);
            await Task.Delay(s_calm);
        }
        finally
        {
            await progress.CancelAsync();
            await telling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        var history = await run.StopAsync();
        console.Say($"stopped; checking {history.Publishes.Count} publishes and {history.Subscriptions.Count} subscriptions");
        var verdict = Checker.Check(history, run.PublishingEnded);
        var errors = cluster.FindErrors();
        var ends = cluster.Processes.SelectMany(process => process.Ends).ToList();
        failures.AddRange(ends.Where(end => !end.IsExpected && !IsExpected(end)).Select(end => $"{end.Name} ended with {end.Code}"));
        failures.AddRange(FindFailures(verdict, run));
        return new ScenarioResult { Verdict = verdict, Run = run, Ends = ends, Errors = errors, Notes = run.Notes, Failures = failures };
    }

    /// <summary>Whether publishers send again what had no answer when a gateway closed their connection.</summary>
    protected virtual bool Resends => false;

    /// <summary>Further settings of the nodes.</summary>
    protected virtual IReadOnlyDictionary<string, string> GetSettings(ScenarioOptions options) => options.Settings;

    /// <summary>The network that nodes live in; <see langword="null"/> for loopback.</summary>
    protected virtual Task<VirtualNetwork?> CreateNetworkAsync() => Task.FromResult<VirtualNetwork?>(null);

    /// <summary>Brings the faults about.</summary>
    protected abstract Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console);

    /// <summary>Whether an end that this program did not bring about is as it should be.</summary>
    protected virtual bool IsExpected(ProcessEnd end) => false;

    /// <summary>Broken promises of this scenario.</summary>
    protected virtual IEnumerable<string> FindFailures(Verdict verdict, LoadRun run) => [];

    /// <summary>Kills one process after the other and starts it again, after a while that differs from time to time.</summary>
    protected static async Task KillInTurnAsync(IReadOnlyList<ChildProcess> processes, TimeSpan time, ScenarioConsole console)
    {
        var interval = TimeSpan.FromSeconds(10);
        // From "before anybody can have noticed" to "after it has long been found dead".
        TimeSpan[] pauses = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(3)];
        var began = Stopwatch.GetTimestamp();
        for (var round = 0; Stopwatch.GetElapsedTime(began) < time; round++)
        {
            var next = Task.Delay(interval);
            var process = processes[round % processes.Count];
            var pause = pauses[(round / processes.Count + round) % pauses.Length];
            console.Say($"kill -9 {process.Name}, restart in {pause.TotalSeconds} s");
            await process.KillAsync();
            await Task.Delay(pause);
            await process.StartAsync();
            console.Say($"{process.Name} is back");
            await next;
        }
    }

    private static List<Subscriber> CreateSubscribers(LoadRun run, int count)
    {
        string[] wildcards =
        [
            .. Channels.Select(channel => channel[..channel.LastIndexOf('/')] + "/*").Distinct(),
            "/default/r0/*", "/default/r1/*", "/default/*",
        ];
        var subscribers = new List<Subscriber>();
        for (var i = 0; i < count; i++)
        {
            var channel = Channels[i % ChannelCount];
            List<string> patterns = [channel];
            if (i % 3 == 0)
            {
                // Those at the top match everything: few, so that the load stays one of faults and not of fan-out.
                patterns = [wildcards[i / 3 % wildcards.Length]];
            }
            else if (i % 10 == 1)
            {
                // The same connection has the channel and a wildcard above it: one copy for each.
                patterns.Add(channel[..channel.LastIndexOf('/')] + "/*");
            }

            subscribers.Add(new Subscriber(run, $"subscriber {i}", i, patterns));
        }

        return subscribers;
    }

    // Of each channel one publisher at every gateway, who waits for each answer, and some at every gateway that do not and use all channels.
    private static IEnumerable<Publisher> CreatePublishers(LoadRun run, int rate)
    {
        var perGateway = rate / (double)run.Gateways.Count;
        var pipelinedRate = perGateway / 4 / PipelinedPerGateway;
        var steadyRate = perGateway * 3 / 4 / ChannelCount;
        for (var gateway = 0; gateway < run.Gateways.Count; gateway++)
        {
            foreach (var channel in Channels)
            {
                yield return new Publisher(run, gateway, [channel], TimeSpan.FromSeconds(1 / steadyRate), window: 1);
            }

            for (var i = 0; i < PipelinedPerGateway; i++)
            {
                yield return new Publisher(run, gateway, Channels, TimeSpan.FromSeconds(1 / pipelinedRate), PipelinedWindow);
            }
        }
    }

    private static async Task WaitUntilHealthyAsync(Cluster cluster, ScenarioConsole console, List<string> failures)
    {
        var began = Stopwatch.GetTimestamp();
        foreach (var node in cluster.Silos.Concat(cluster.Gateways))
        {
            while (!await node.IsHealthyAsync())
            {
                if (Stopwatch.GetElapsedTime(began) > s_recoveryTimeout)
                {
                    failures.Add($"{node.Name} is not healthy {s_recoveryTimeout.TotalSeconds} s after the last fault");
                    break;
                }

                await Task.Delay(100);
            }
        }

        console.Say($"all nodes are healthy, {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s after the last fault");
    }

    private static async Task TellProgressAsync(LoadRun run, ScenarioConsole console, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(10));
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            console.Say($"accepted {run.Accepted}, refused {run.Refusals.Values.Sum()}");
        }
    }
}
