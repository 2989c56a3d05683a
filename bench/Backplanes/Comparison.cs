using static Fanfare.Bench.Report;

namespace Fanfare.Backplanes;

/// <summary>What to measure and how long; see the command's help.</summary>
internal sealed record ComparisonOptions(
    HashSet<string> Parts, TimeSpan Duration, int RoundCount, int ConnectionCount, int Window, int Rate, int[] SiloCounts, int SampleCount,
    HashSet<string> Deployments, OtherBuild[] OtherBuilds, bool UsesPriorBuild);

/// <summary>A build of the cluster's program that is measured beside the one of this folder.</summary>
internal sealed record OtherBuild(string Name, string Assembly);

/// <summary>Measures all deployments in one run, in rounds that each come to all of them, and prints tables.</summary>
/// <remarks>All run all the time: what else there is on the machine, and what the idle ones cost, is the same for each.</remarks>
internal static class Comparison
{
    private static readonly string[] s_projects = ["Gateway", "Broker"];
    private static readonly string[] s_redisPrograms = ["redis-server", "valkey-server"];

    /// <summary>Runs it.</summary>
    public static async Task RunAsync(ComparisonOptions options)
    {
        var hasOrleans = await BuildAsync(options.UsesPriorBuild);
        var data = Directory.CreateTempSubdirectory("fanfare-backplanes-");
        try
        {
            var programs = new Programs(Repository.GetAssembly("Gateway"), Repository.GetAssembly("Broker"), FindRedis(), data.FullName);
            Console.WriteLine(Machine);
            if (options.Parts.Contains("publishes"))
            {
                await ComparePublishesAsync(options, programs, hasOrleans);
            }

            if (options.Parts.Contains("calls") && hasOrleans)
            {
                await CountCallsAsync(programs);
            }

            if (options.Parts.Contains("wildcards") && hasOrleans)
            {
                await CompareWildcardsAsync(options, programs);
            }

            Console.WriteLine($"\nLoad at the end {Report.Load}");
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    private static async Task ComparePublishesAsync(ComparisonOptions options, Programs programs, bool hasOrleans)
    {
        var deployments = new List<Deployment>();
        try
        {
            Progress("Starting the deployments");
            deployments.Add(await Deployment.StartEmbeddedAsync(programs));
            if (options.Deployments.Contains("redis"))
            {
                deployments.Add(await Deployment.StartRedisAsync(programs));
            }

            if (hasOrleans)
            {
                await StartClustersAsync(deployments, options, programs);
                foreach (var build in options.OtherBuilds)
                {
                    await StartClustersAsync(deployments, options, programs with { Broker = build.Assembly, BrokerName = build.Name });
                }
            }

            var throughputs = deployments.Select(_ => Load.All.Select(_ => new List<Throughput>()).ToArray()).ToArray();
            var latencies = deployments.Select(_ => new List<Latency>()).ToArray();
            // The first rounds are for the compilers of all processes, and are not counted.
            for (var round = 1 - WarmUpCount; round <= options.RoundCount; round++)
            {
                Progress($"Publishes, round {round} of {options.RoundCount}, load {Report.Load}");
                for (var load = 0; load < Load.All.Length; load++)
                {
                    foreach (var i in GetOrder(deployments.Count, round + WarmUpCount))
                    {
                        var measured = await Throughput.MeasureAsync(
                            deployments[i].Target, Load.All[load].With(options.ConnectionCount, options.Window), options.Duration,
                            () => [deployments[i].GetProcessorTime()]);
                        Progress($"  {Load.All[load].Name}, {deployments[i].Name}: " + FormattableString.Invariant(
                            $"{measured.PublishesPerSecond:F0}/s, {measured.AllServersMicroseconds:F0} us"));
                        if (round > 0)
                        {
                            throughputs[i][load].Add(measured);
                        }
                    }
                }

                foreach (var i in GetOrder(deployments.Count, round + WarmUpCount))
                {
                    var measured = await Latency.MeasureAsync(deployments[i].Target, options.Rate, options.Duration);
                    Progress(FormattableString.Invariant(
                        $"  {options.Rate}/s, {deployments[i].Name}: {measured.DeliveryMedian:F2} ms, {measured.DeliveryP99:F2} ms"));
                    if (round > 0)
                    {
                        latencies[i].Add(measured);
                    }
                }
            }

            PrintThroughputs(
                "Publishes/s against embedded", deployments, throughputs,
                (list, yardstick) => Ratio(list, yardstick, figure => figure.PublishesPerSecond));
            PrintThroughputs(
                "Processor time of all server processes per publish against embedded", deployments, throughputs,
                (list, yardstick) => Ratio(list, yardstick, figure => figure.AllServersMicroseconds));
            PrintThroughputs(
                "Publishes/s (and µs of processor time of the servers + of the load generator for each)", deployments, throughputs,
                (list, _) => FormattableString.Invariant($"{Median(list, figure => figure.PublishesPerSecond):N0} ")
                    + FormattableString.Invariant($"({Median(list, figure => figure.AllServersMicroseconds):F0} + ")
                    + FormattableString.Invariant($"{Median(list, figure => figure.ClientMicroseconds):F0})"));
            Func<Latency, double>[] figures =
                [figure => figure.DeliveryMedian, figure => figure.DeliveryP99, figure => figure.AnswerMedian, figure => figure.AnswerP99];
            PrintTable(
                $"Latency at {options.Rate} publishes/s: ratio to embedded, added milliseconds, milliseconds",
                ["deployment", "delivery p50", "delivery p99", "answer p50", "answer p99"],
                deployments.Select((deployment, i) => Row(deployment.Name, figures.Select(figure =>
                    $"{Ratio(latencies[i], latencies[0], figure)}, {Added(latencies[i], latencies[0], figure)}, "
                    + Figure(Median(latencies[i], figure), "F2")))));
        }
        finally
        {
            deployments.ForEach(deployment => deployment.Dispose());
        }
    }

    private static async Task StartClustersAsync(List<Deployment> deployments, ComparisonOptions options, Programs programs)
    {
        if (options.Deployments.Contains("node"))
        {
            deployments.Add(await Deployment.StartNodesAsync(programs, 1));
        }

        if (options.Deployments.Contains("nodes"))
        {
            deployments.Add(await Deployment.StartNodesAsync(programs, 2));
        }

        if (options.Deployments.Contains("separate"))
        {
            deployments.Add(await Deployment.StartSeparateAsync(programs, 2, 2));
        }
    }

    private static void PrintThroughputs(
        string title, List<Deployment> deployments, List<Throughput>[][] throughputs, Func<List<Throughput>, List<Throughput>, string> getCell) =>
        PrintTable(title, ["deployment", .. Load.All.Select(load => load.Name)], deployments.Select((deployment, i) =>
            Row(deployment.Name, throughputs[i].Select((list, load) => getCell(list, throughputs[0][load])))));

    private static async Task CountCallsAsync(Programs programs)
    {
        Progress("Counting calls");
        using var deployment = await Deployment.StartSeparateAsync(programs, 2, 2);
        const int Count = 4096;
        PrintTable(
            $"Messages in the cluster ({deployment.Name}, {Count} publishes each)",
            ["publishes", "messages to silos per publish", "messages to gateways per publish and interested gateway"],
            (await Calls.MeasureAsync(deployment, Count)).Select(calls => Row(
                calls.Name, [Figure(calls.CallsPerPublish, "F3"), Figure(calls.DeliveriesPerPublish, "F3")])));
    }

    private static async Task CompareWildcardsAsync(ComparisonOptions options, Programs programs)
    {
        var deployments = new List<Deployment>();
        try
        {
            deployments.Add(await Deployment.StartEmbeddedAsync(programs));
            deployments.Add(await Deployment.StartRedisAsync(programs));
            var firstCluster = deployments.Count;
            foreach (var count in options.SiloCounts)
            {
                Progress($"Starting {count} silos");
                deployments.Add(await Deployment.StartSeparateAsync(programs, count, 1));
            }

            foreach (var hasChannels in new[] { true, false })
            {
                var times = deployments.Select(_ => new List<double>()).ToArray();
                var warmUpCount = options.SampleCount / 5;
                for (var sample = -warmUpCount; sample < options.SampleCount; sample++)
                {
                    foreach (var i in GetOrder(deployments.Count, sample + warmUpCount))
                    {
                        var name = $"{(hasChannels ? "known" : "new")}{sample + warmUpCount}";
                        var time = await Wildcards.MeasureAsync(deployments[i], name, hasChannels);
                        if (sample >= 0)
                        {
                            times[i].Add(time);
                        }
                    }
                }

                PrintTable(
                    $"A gateway's first subscription to a wildcard, {(hasChannels ? "channels below it active on all silos" : "known to nobody")}, "
                    + $"{options.SampleCount} of them",
                    ["deployment", "median against embedded", "median ms", "p90 ms"],
                    times.Select((list, i) => Row(deployments[i].Name,
                    [
                        Figure(Statistics.GetMedian(list) / Statistics.GetMedian(times[0]), "F2"), Figure(Statistics.GetMedian(list), "F2"),
                        Figure(Statistics.GetPercentile([.. list.Order()], 0.9), "F2"),
                    ])));
                if (options.SiloCounts.Length > 1)
                {
                    var (a, b, fit) = Statistics.FitLine([.. options.SiloCounts.Zip(
                        times.Skip(firstCluster), (count, list) => ((double)count, Statistics.GetMedian(list)))]);
                    Console.WriteLine(FormattableString.Invariant($"\nMedian = {a:F2} ms + {b:F3} ms × silos (R² {fit:F2}). Load {Report.Load}."));
                }
            }
        }
        finally
        {
            deployments.ForEach(deployment => deployment.Dispose());
        }
    }

    // Returns whether there is a program of the cluster to measure: not every feed has what it is built on.
    private static async Task<bool> BuildAsync(bool usesPriorBuild)
    {
        foreach (var project in usesPriorBuild ? [] : s_projects)
        {
            if (await Repository.BuildAsync(project) is { } output)
            {
                if (project == "Gateway")
                {
                    throw new MeasurementException($"{project} does not build:\n{output}");
                }

                Progress($"{project} does not build, so Orleans is left out:\n{output}");
                return false;
            }
        }

        return File.Exists(Repository.GetAssembly("Broker"));
    }

    private static string FindRedis() =>
        (from program in s_redisPrograms
         from folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
         let path = Path.Combine(folder, program)
         where File.Exists(path)
         select path).FirstOrDefault()
        ?? throw new MeasurementException("There is no redis-server and no valkey-server.");
}
