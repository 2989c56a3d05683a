using static Fanfare.Bench.Report;

namespace Fanfare.Peers;

/// <summary>What to measure and how long; see the command's help.</summary>
internal sealed record ComparisonOptions(
    IReadOnlyCollection<string> Scenarios, IReadOnlyCollection<string> Servers, IReadOnlyList<(string Name, string Assembly)> Gateways,
    TimeSpan Duration, int RoundCount, TimeSpan WarmUp);

/// <summary>Measures servers in one run, in rounds that each come to all of them, and prints tables.</summary>
/// <remarks>All run all the time, but for what is measured of a server that has done nothing before: that one is started for it.</remarks>
internal sealed class Comparison : IDisposable
{
    /// <summary>The scenario that is left to <c>bench/Backplanes</c>.</summary>
    public const string ClusterScenario = "cluster";

    private const string AllocatedBytesMetric = "dotnet_gc_heap_total_allocated_bytes_total";
    private const int AllocationsFactor = 3;

    // How long the round lasts that is not counted; a server's own warm-up comes before.
    private static readonly TimeSpan s_leadIn = TimeSpan.FromSeconds(0.5);

    private readonly ComparisonOptions _options;
    private readonly IReadOnlyList<MeasuredServer> _servers;
    private readonly string _folder;
    private readonly Dictionary<(MeasuredServer Server, Setup Setup), ServerProcess> _running = [];
    private readonly Results _results = new();
    private readonly List<string> _failures = [];
    private readonly List<double> _foreignCores = [];
    private readonly CancellationToken _cancellationToken;

    private Comparison(ComparisonOptions options, IReadOnlyList<MeasuredServer> servers, string folder, CancellationToken cancellationToken) =>
        (_options, _servers, _folder, _cancellationToken) = (options, servers, folder, cancellationToken);

    /// <summary>All scenarios, in the order in which they are measured.</summary>
    public static string[] Scenarios { get; } = [.. Load.All.Select(load => load.Scenario).Distinct(), ClusterScenario];

    /// <summary>Runs it.</summary>
    public static async Task RunAsync(ComparisonOptions options, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("fanfare-peers-");
        try
        {
            Console.WriteLine(Machine);
            MeasuredServer[] servers = [.. MeasuredServer.FindAll(options.Servers, options.Gateways)];
            using var comparison = new Comparison(options, servers, folder.FullName, cancellationToken);
            foreach (var scenario in Scenarios.Where(options.Scenarios.Contains))
            {
                await comparison.CompareAsync([.. Load.All.Where(load => load.Scenario == scenario)]);
            }

            comparison.StopAll();
            var clusters = options.Scenarios.Contains(ClusterScenario)
                ? await Cluster.MeasureAsync(options.Duration, options.RoundCount, cancellationToken)
                : [];
            Targets.Print(comparison._results, servers, clusters);
            Console.WriteLine($"\nLoad at the end {Report.Load}");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => StopAll();

    private async Task CompareAsync(Load[] loads)
    {
        _failures.Clear();
        _foreignCores.Clear();
        for (var round = 0; round <= _options.RoundCount && loads.Length > 0; round++)
        {
            Progress($"{loads[0].Scenario}, round {round} of {_options.RoundCount}, load {Report.Load}");
            foreach (var load in loads)
            {
                // The round before the first is for compilers.
                MeasuredServer[] servers =
                    [.. _servers.Where(server => load.Takes(server) && (round > 0 || (server.IsCompiledAsItRuns && !load.IsFresh)))];
                foreach (var i in GetOrder(servers.Length, round))
                {
                    await MeasureAsync(load, servers[i], round);
                }
            }
        }

        PrintTables(loads);
    }

    // Rounds below 1 are not counted.
    private async Task MeasureAsync(Load load, MeasuredServer server, int round)
    {
        Dictionary<string, double>? figures = null;
        _cancellationToken.ThrowIfCancellationRequested();
        try
        {
            if (load.IsFresh)
            {
                using var process = await server.StartAsync(_folder, load.Setup);
                figures = await LoadGenerator.RunAsync(server, process, load.Arguments, _options.Duration, _cancellationToken);
            }
            else
            {
                var process = await GetRunningAsync(server, load.Setup);
                var duration = round == 0 ? s_leadIn : _options.Duration > load.DurationMin ? _options.Duration : load.DurationMin;
                figures = load.AllocationsPer is null
                    ? await LoadGenerator.RunAsync(server, process, load.Arguments, duration, _cancellationToken)
                    : await CountAllocationsAsync(server, process, load, duration);
            }

            Progress($"  {server.Name}, {load.Name}: " + string.Join(", ", load.Measures.Select(measure =>
                figures.TryGetValue(measure.Key, out var value) ? $"{Figure(value * measure.Factor, measure.Format)} {measure.Name}" : "")));
        }
        catch (Exception e) when (e is MeasurementException or HttpRequestException)
        {
            // A server that was started anew may be in a better state.
            Progress($"  {server.Name}, {load.Name}: {e.Message}");
            _failures.Add($"{server.Name}, {load.Name}, round {round}: {e.Message.Split('\n')[0]}");
            Stop(server, load.Setup);
        }

        if (round > 0)
        {
            _results.Add(load, server, figures);
            if (figures is not null && figures.TryGetValue("machine_cores", out var cores))
            {
                _foreignCores.Add(Math.Max(0, cores - figures["server_cores"] - figures["generator_cores"]));
            }
        }
    }

    // The difference of a longer and a shorter load, so that what connecting takes is left out.
    private async Task<Dictionary<string, double>> CountAllocationsAsync(MeasuredServer server, ServerProcess process, Load load, TimeSpan duration)
    {
        var (fewBytes, few) = await CountAsync(duration);
        var (manyBytes, many) = await CountAsync(duration * AllocationsFactor);
        return new() { [Measure.DeliveryAllocations.Key] = (manyBytes - fewBytes) / (many - few) };

        async Task<(double Bytes, double Count)> CountAsync(TimeSpan time)
        {
            var before = await process.GetMetricAsync(AllocatedBytesMetric);
            var figures = await LoadGenerator.RunAsync(server, process, load.Arguments, time, _cancellationToken);
            return (await process.GetMetricAsync(AllocatedBytesMetric) - before, figures[load.AllocationsPer!] * figures["seconds"]);
        }
    }

    private async Task<ServerProcess> GetRunningAsync(MeasuredServer server, Setup setup)
    {
        if (_running.TryGetValue((server, setup), out var process))
        {
            return process;
        }

        process = _running[(server, setup)] = await server.StartAsync(_folder, setup);
        if (server.IsCompiledAsItRuns)
        {
            Progress($"  {server.Name} warms up");
            await LoadGenerator.RunAsync(server, process, Load.Fanout100.Arguments, _options.WarmUp, _cancellationToken);
        }

        return process;
    }

    private void Stop(MeasuredServer server, Setup setup)
    {
        if (_running.Remove((server, setup), out var process))
        {
            process.Dispose();
        }
    }

    private void StopAll()
    {
        foreach (var process in _running.Values)
        {
            process.Dispose();
        }

        _running.Clear();
    }

    private void PrintTables(Load[] loads)
    {
        if (loads.Length == 0)
        {
            return;
        }

        MeasuredServer[] servers = [.. _servers.Where(server => loads.Any(load => load.Takes(server)))];
        PrintTable(loads[0].Scenario, _ => true, (load, server, measure) => _results.GetMedian(load, server, measure), measure => measure.Format);
        if (servers.FirstOrDefault(server => server.IsFanfare) is { } gateway && servers.Length > 1)
        {
            PrintRatios(gateway);
        }

        if (servers.FirstOrDefault(server => server.Key == MeasuredServer.FloorKey) is { } floor && servers.Length > 1)
        {
            PrintRatios(floor);
        }

        if (_foreignCores.Count > 0)
        {
            Console.WriteLine(FormattableString.Invariant(
                $"\nOf {Environment.ProcessorCount} cores, others used {Statistics.GetMedian(_foreignCores):F2} (median) to {_foreignCores.Max():F2}."));
        }

        foreach (var failure in _failures)
        {
            Console.WriteLine($"\n{failure}");
        }

        void PrintRatios(MeasuredServer yardstick) => PrintTable(
            $"{loads[0].Scenario}, ratio to {yardstick.Name}", measure => measure.IsCompared,
            (load, server, measure) => _results.GetRatio(load, server, yardstick, measure), _ => "F2");

        void PrintTable(
            string title, Func<Measure, bool> has, Func<Load, MeasuredServer, Measure, double?> get, Func<Measure, string> getFormat) =>
            Report.PrintTable(
                title,
                ["", .. servers.Select(server => server.Name)],
                from load in loads
                from measure in load.Measures
                where has(measure)
                let values = servers.Select(server => get(load, server, measure)).ToArray()
                where values.Any(value => value is not null)
                select Row(
                    $"{load.Name}: {measure.Name}", values.Select(value => value is null ? "–" : Figure(value.Value, getFormat(measure)))));
    }
}
