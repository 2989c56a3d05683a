using Fanfare.Chaos.Checking;
using Fanfare.Chaos.Load;
using Fanfare.Chaos.Processes;

namespace Fanfare.Chaos.Scenarios;

/// <summary>Silos die.</summary>
internal sealed class SilosScenario() : FaultScenario("silos", "a silo is killed and restarted every 10 s", TimeSpan.FromSeconds(180))
{
    /// <inheritdoc/>
    protected override Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console) =>
        KillInTurnAsync(cluster.Silos, time, console);
}

/// <summary>Gateways die; their clients go to others.</summary>
internal sealed class GatewaysScenario() : FaultScenario("gateways", "a gateway is killed and restarted every 10 s", TimeSpan.FromSeconds(180))
{
    /// <inheritdoc/>
    protected override Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console) =>
        KillInTurnAsync(cluster.Gateways, time, console);
}

/// <summary>Redis dies.</summary>
internal sealed class RedisScenario() : FaultScenario("redis", "Redis is killed and restarted every 10 s", TimeSpan.FromSeconds(60))
{
    /// <inheritdoc/>
    protected override Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console) =>
        KillInTurnAsync([cluster.Redis], time, console);
}

/// <summary>A silo is cut off.</summary>
internal sealed class PartitionScenario() : FaultScenario("partition", "a silo is cut off the network for 40 s", TimeSpan.FromSeconds(40))
{
    private static readonly TimeSpan s_afterHealing = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public override async Task<string?> FindObstacleAsync()
    {
        var (network, problem) = await VirtualNetwork.TryCreateAsync();
        await using (network)
        {
            return problem;
        }
    }

    /// <inheritdoc/>
    protected override async Task<VirtualNetwork?> CreateNetworkAsync() => (await VirtualNetwork.TryCreateAsync()).Network;

    /// <inheritdoc/>
    protected override async Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console)
    {
        var silo = cluster.Silos[0];
        console.Say($"{silo.Name} is cut off");
        await cluster.CutAsync(silo);
        await Task.Delay(time);
        console.Say($"{silo.Name} is connected again; it {(silo.IsRunning ? "runs" : "has ended")}");
        await cluster.HealAsync(silo);
        // One that was found dead ends itself when it learns of it, and whatever watches over it starts it again.
        await Task.WhenAny(silo.Exited, Task.Delay(s_afterHealing));
        console.Say($"{silo.Name} {(silo.IsRunning ? "still runs" : "has ended itself")}");
    }

    /// <inheritdoc/>
    protected override bool IsExpected(ProcessEnd end) => end.Name == "silo-1";
}

/// <summary>All nodes are restarted in turn, as an upgrade does.</summary>
internal sealed class RollingScenario() : FaultScenario("rolling", "every node is stopped by SIGTERM and restarted", TimeSpan.Zero)
{
    private const string DrainTime = "Fanfare__DrainTime";
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(3);

    /// <inheritdoc/>
    protected override bool Resends => true;

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> GetSettings(ScenarioOptions options) =>
        options.Settings.ContainsKey(DrainTime)
            ? options.Settings
            : new Dictionary<string, string>(options.Settings) { [DrainTime] = "00:00:05" };

    /// <inheritdoc/>
    protected override async Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console)
    {
        foreach (var node in cluster.Silos.Concat(cluster.Gateways))
        {
            console.Say($"stop {node.Name}");
            await node.StopAsync();
            console.Say($"{node.Name} has stopped with {node.Ends[^1].Code}");
            await node.StartAsync();
            console.Say($"{node.Name} is back");
            await Task.Delay(s_pause);
        }
    }

    /// <inheritdoc/>
    protected override IEnumerable<string> FindFailures(Verdict verdict, LoadRun run)
    {
        if (verdict.Refused + verdict.Unanswered > 0)
        {
            yield return $"{verdict.Refused} publishes were refused and {verdict.Unanswered} had no answer";
        }

        foreach (var (code, count) in run.Closes.Where(close => close.Key != 1001))
        {
            yield return $"{count} connections were closed with {code}, which is no reason to go elsewhere at once";
        }
    }
}
