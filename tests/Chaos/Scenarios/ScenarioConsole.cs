using System.Diagnostics;
using System.Globalization;

namespace Fanfare.Chaos.Scenarios;

/// <summary>Tells what happens while it happens.</summary>
internal sealed class ScenarioConsole(string scenario)
{
    private readonly long _began = Stopwatch.GetTimestamp();

    /// <summary>The folder with the logs, for the message at a failure.</summary>
    public string? LogFolder { get; set; }

    /// <summary>Writes a line with the time since the beginning.</summary>
    public void Say(FormattableString text) => Console.WriteLine(
        string.Create(CultureInfo.InvariantCulture, $"{scenario} {Stopwatch.GetElapsedTime(_began).TotalSeconds,6:0.0}s  ") + FormattableString.Invariant(text));
}
