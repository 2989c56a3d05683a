using System.Diagnostics;
using System.Globalization;
using System.Text;
using Fanfare.Chaos.Scenarios;

namespace Fanfare.Chaos;

/// <summary>Puts results into words and a table.</summary>
internal static class Report
{
    private const int LinesMax = 15;

    /// <summary>Describes one scenario's result.</summary>
    public static string Describe(Scenario scenario, ScenarioResult result)
    {
        var (verdict, run) = (result.Verdict, result.Run);
        var text = new StringBuilder();
        Add($"{scenario.Name}: {scenario.Description}");
        Add($"  publishes accepted   {verdict.Accepted}");
        Add($"  publishes refused    {verdict.Refused}{List(run.Refusals)}");
        Add($"  without an answer    {verdict.Unanswered}");
        Add($"  deliveries due       {verdict.Due}");
        Add($"  missing              {verdict.Missing}");
        Add($"  duplicate            {verdict.Duplicates}");
        Add($"  out of order         {verdict.OutOfOrder}");
        Add($"  unexpected           {verdict.Unexpected}");
        var stallBegan = Stopwatch.GetElapsedTime(run.Began, verdict.LongestStallBegan).TotalSeconds;
        if (verdict.LongestStall > TimeSpan.Zero)
        {
            Add($"  longest stall        {verdict.LongestStall.TotalSeconds:0.00} s, from {stallBegan:0.0} s on");
        }

        Add($"  slowest publish      {verdict.SlowestPublish.TotalSeconds:0.00} s, sent at {Stopwatch.GetElapsedTime(run.Began, verdict.SlowestPublishSent).TotalSeconds:0.0} s");
        Add($"  slowest subscribe    {run.SlowestSubscribe.TotalSeconds:0.00} s, {run.SubscribeErrors} refused");
        Add($"  closed by gateways   {run.Closes.Values.Sum()}{List(run.Closes)}");
        Add($"  ended processes      {string.Join(", ", result.Ends.GroupBy(end => (end.Name, end.Code)).Select(group => $"{group.Key.Name}: {group.Key.Code} × {group.Count()}"))}");
        AddAll("  kinds of errors logged", result.Errors);
        AddAll("  notes", result.Notes);
        AddAll("  broken", [.. result.Failures, .. verdict.Examples]);
        Add($"  {(result.IsClean ? "every promise was kept" : "A PROMISE WAS BROKEN")}");
        return text.ToString();

        void Add(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));

        void AddAll(string title, IReadOnlyList<string> lines)
        {
            if (lines.Count > 0)
            {
                Add($"{title}:");
            }

            foreach (var line in lines.Take(LinesMax))
            {
                Add($"    {line}");
            }
        }
    }

    /// <summary>The results as a Markdown table.</summary>
    public static string Tabulate(IReadOnlyList<(Scenario Scenario, ScenarioResult Result)> results)
    {
        var text = new StringBuilder()
            .AppendLine("| scenario | accepted | refused | no answer | deliveries due | missing | duplicate | out of order | longest stall | slowest publish |")
            .AppendLine("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        foreach (var (scenario, result) in results)
        {
            var verdict = result.Verdict;
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| `{scenario.Name}` | {verdict.Accepted:n0} | {verdict.Refused:n0} | {verdict.Unanswered:n0} | {verdict.Due:n0} | {verdict.Missing:n0} | {verdict.Duplicates:n0} | {verdict.OutOfOrder:n0} | {verdict.LongestStall.TotalSeconds:0.0} s | {verdict.SlowestPublish.TotalSeconds:0.0} s |");
        }

        return text.ToString();
    }

    private static string List<TKey>(IReadOnlyDictionary<TKey, int> counts) =>
        counts.Count == 0 ? "" : $" ({string.Join(", ", counts.Select(entry => $"{entry.Key}: {entry.Value}"))})";
}
