using System.Globalization;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>One look at a gateway's <c>/metrics</c>.</summary>
public sealed partial class Metrics
{
    private readonly List<(string Name, string Labels, double Value)> _samples = [];

    private Metrics(string page)
    {
        foreach (Match match in SampleLine().Matches(page))
        {
            _samples.Add((
                match.Groups["name"].Value,
                match.Groups["labels"].Value,
                double.Parse(match.Groups["value"].Value, NumberStyles.Float, CultureInfo.InvariantCulture)));
        }
    }

    /// <summary>Every name on the page.</summary>
    public IReadOnlySet<string> Names => _samples.Select(sample => sample.Name).ToHashSet(StringComparer.Ordinal);

    /// <summary>Reads the page.</summary>
    public static async Task<Metrics> ReadAsync(GatewayServer gateway)
    {
        var answer = await HttpPublisher.SendAsync(gateway, HttpMethod.Get, "/metrics", null);
        Assert.Equal(200, answer.Status);
        return new Metrics(answer.Body);
    }

    /// <summary>Reads the page until a value is as expected, for what is counted a moment after the client sees it.</summary>
    public static Task<Metrics> WaitAsync(GatewayServer gateway, double expected, string name, params string[] labels)
    {
        var seen = double.NaN;
        return Deadline.WaitAsync(
            async token =>
            {
                while (true)
                {
                    var metrics = await ReadAsync(gateway);
                    seen = metrics.Sum(name, labels);
                    if (seen == expected)
                    {
                        return metrics;
                    }

                    if (token.IsCancellationRequested)
                    {
                        throw new TimeoutException($"{name} {string.Join(',', labels)} is {seen}, not {expected}.");
                    }
                }
            },
            $"{name} {string.Join(',', labels)} = {expected}");
    }

    /// <summary>The sum of all samples of a name that have all the labels, such as <c>outcome="success"</c>; 0 where there is none.</summary>
    public double Sum(string name, params string[] labels) => _samples
        .Where(sample => sample.Name == name && labels.All(label => sample.Labels.Contains(label, StringComparison.Ordinal)))
        .Sum(sample => sample.Value);

    [GeneratedRegex("""^(?<name>[a-z_:]+)(\{(?<labels>.*)\})? (?<value>\S+)$""", RegexOptions.Multiline)]
    private static partial Regex SampleLine();
}
