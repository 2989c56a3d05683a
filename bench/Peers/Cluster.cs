using System.Diagnostics;
using System.Globalization;

namespace Fanfare.Peers;

/// <summary>What joins gateways, which <c>bench/Backplanes</c> measures.</summary>
internal static class Cluster
{
    private const string TableTitle = "Publishes/s against embedded";

    /// <summary>Measures, and prints its tables.</summary>
    /// <returns>Publishes/s through clusters against those of one gateway by itself, with many channels and no subscriber.</returns>
    public static async Task<List<(string Name, double Ratio)>> MeasureAsync(TimeSpan duration, int roundCount, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [
                "run", "-c", "Release", "--project", Repository.GetPath("bench", "Backplanes"), "--", "--parts", "publishes",
                "--seconds", duration.TotalSeconds.ToString(CultureInfo.InvariantCulture),
                "--rounds", roundCount.ToString(CultureInfo.InvariantCulture),
            ])
        {
            RedirectStandardOutput = true,
        };
        using var comparison = Process.Start(start)!;
        try
        {
            var output = await comparison.StandardOutput.ReadToEndAsync(cancellationToken);
            await comparison.WaitForExitAsync(cancellationToken);
            Console.WriteLine(output);
            return comparison.ExitCode == 0 ? Read(output) : [];
        }
        finally
        {
            if (!comparison.HasExited)
            {
                comparison.Kill(entireProcessTree: true);
            }
        }
    }

    private static List<(string Name, double Ratio)> Read(string output)
    {
        var ratios = new List<(string, double)>();
        var lines = output.Split('\n').SkipWhile(line => line != TableTitle).Skip(2).TakeWhile(line => line.StartsWith('|'));
        foreach (var cells in lines.Select(line => line.Split('|', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)))
        {
            if (cells[0].StartsWith("Orleans", StringComparison.Ordinal)
                && double.TryParse(cells[1], NumberStyles.Float, CultureInfo.InvariantCulture, out var ratio))
            {
                ratios.Add((cells[0], ratio));
            }
        }

        return ratios;
    }
}
