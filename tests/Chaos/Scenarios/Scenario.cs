using Fanfare.Chaos.Checking;
using Fanfare.Chaos.Load;
using Fanfare.Chaos.Processes;

namespace Fanfare.Chaos.Scenarios;

/// <summary>What the command line asks for.</summary>
/// <param name="Time">How long faults go on; <see langword="null"/> for the scenario's own choice.</param>
/// <param name="Subscribers">How many subscribers.</param>
/// <param name="Rate">How many publishes a second, all publishers together.</param>
/// <param name="Channels">How many channels <c>channels</c> uses.</param>
/// <param name="Settings">Further settings of every node, by environment name.</param>
internal sealed record ScenarioOptions(
    TimeSpan? Time, int Subscribers, int Rate, int Channels, IReadOnlyDictionary<string, string> Settings);

/// <summary>What came of a scenario.</summary>
internal sealed class ScenarioResult
{
    /// <summary>What subscribers and publishers saw.</summary>
    public required Verdict Verdict { get; init; }

    /// <summary>The run.</summary>
    public required LoadRun Run { get; init; }

    /// <summary>How processes ended, in order.</summary>
    public required IReadOnlyList<ProcessEnd> Ends { get; init; }

    /// <summary>The errors in the nodes' logs, by kind.</summary>
    public required IReadOnlyList<string> Errors { get; init; }

    /// <summary>Further figures, for people.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Promises of this scenario that were broken, beside the verdict's.</summary>
    public IReadOnlyList<string> Failures { get; init; } = [];

    /// <summary>Whether every promise was kept.</summary>
    public bool IsClean => Verdict.IsClean && Failures.Count == 0;
}

/// <summary>A way to hurt a cluster, and what is promised all the same.</summary>
internal abstract class Scenario(string name, string description, TimeSpan time)
{
    /// <summary>Its name on the command line.</summary>
    public string Name => name;

    /// <summary>What happens, in a few words.</summary>
    public string Description => description;

    /// <summary>How long faults go on, unless the command line says otherwise.</summary>
    public TimeSpan Time => time;

    /// <summary>Why it can't run here, or <see langword="null"/>.</summary>
    public virtual Task<string?> FindObstacleAsync() => Task.FromResult<string?>(null);

    /// <summary>Runs it.</summary>
    /// <returns>The result, and the folder with the logs of the nodes.</returns>
    public abstract Task<ScenarioResult> RunAsync(ScenarioOptions options, ScenarioConsole console);
}
