using System.Globalization;
using System.Runtime.InteropServices;

namespace Fanfare.Bench;

/// <summary>Figures of rounds as tables in Markdown.</summary>
internal static class Report
{
    /// <summary>Rounds at the beginning that are for the compilers of all processes, and are not counted.</summary>
    public const int WarmUpCount = 2;

    /// <summary>The machine, in a line.</summary>
    public static string Machine => FormattableString.Invariant(
        $".NET {Environment.Version}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} cores, load {Load}");

    /// <summary>The system's load, of the last minute.</summary>
    public static string Load => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    /// <summary>Returns the order of a round: each begins with another one, so that none always follows the same.</summary>
    /// <param name="count">How many there are.</param>
    /// <param name="round">The round, counted from 0.</param>
    public static IEnumerable<int> GetOrder(int count, int round) => Enumerable.Range(0, count).Select(i => (i + round) % count);

    /// <summary>Returns the median of a figure.</summary>
    public static double Median<T>(List<T> list, Func<T, double> figure) => Statistics.GetMedian(list.Select(figure));

    /// <summary>Returns the median of the ratios of each round, since the machine may be busier in one than in the next.</summary>
    public static string Ratio<T>(List<T> list, List<T> yardstick, Func<T, double> figure) =>
        Figure(Statistics.GetMedian(list.Zip(yardstick, (one, other) => figure(one) / figure(other))), "F2");

    /// <summary>Returns the median of the differences of each round.</summary>
    public static string Added<T>(List<T> list, List<T> yardstick, Func<T, double> figure) =>
        Figure(Statistics.GetMedian(list.Zip(yardstick, (one, other) => figure(one) - figure(other))), "+0.00;-0.00");

    /// <summary>Returns a number as a cell.</summary>
    public static string Figure(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>Returns a row of a table.</summary>
    public static string[] Row(string name, IEnumerable<string> cells) => [name, .. cells];

    /// <summary>Prints a table.</summary>
    public static void PrintTable(string title, string[] columns, IEnumerable<string[]> rows)
    {
        Console.WriteLine($"\n{title}\n\n| {string.Join(" | ", columns)} |\n| --- |{string.Concat(columns.Skip(1).Select(_ => " ---: |"))}");
        foreach (var row in rows)
        {
            Console.WriteLine($"| {string.Join(" | ", row)} |");
        }
    }

    /// <summary>Says what is being done, apart from the tables.</summary>
    public static void Progress(string text) => Console.Error.WriteLine(text);
}
