using static Fanfare.Bench.Report;

namespace Fanfare.Handlers;

/// <summary>What to measure and how long; see the command's help.</summary>
internal sealed record ComparisonOptions(
    HashSet<string> Parts, HashSet<string> Namespaces, TimeSpan Duration, int RoundCount, int ConnectionCount, int Window, int Rate, int WorkerCount,
    bool UsesPriorBuild);

/// <summary>Measures all cases in one run, in rounds that each come to all of them, and prints tables.</summary>
internal static class Comparison
{
    private const int ChannelsPerConnection = 4;

    private static readonly PublishShape[] s_shapes = [new(1, 200), new(5, 200), new(1, 10_000), new(5, 10_000)];
    private static readonly string[] s_subscribeNamespaces = ["none", "guarded"];

    /// <summary>Runs it.</summary>
    public static async Task RunAsync(ComparisonOptions options)
    {
        if (!options.UsesPriorBuild && await Repository.BuildAsync("Gateway") is { } output)
        {
            throw new MeasurementException($"The gateway does not build:\n{output}");
        }

        var data = Directory.CreateTempSubdirectory("fanfare-handlers-");
        try
        {
            using var gateway = await HandlerGateway.StartAsync(Repository.GetAssembly("Gateway"), data.FullName, options.WorkerCount);
            var run = new Run(options, gateway);
            Console.WriteLine(Machine);
            for (var round = 1 - WarmUpCount; round <= options.RoundCount; round++)
            {
                Progress($"Round {round} of {options.RoundCount}, load {Report.Load}");
                await run.MeasureAsync(round);
            }

            await gateway.CheckWorkersAsync();
            run.Print();
            Console.WriteLine($"\nLoad at the end {Report.Load}");
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    private sealed class Run(ComparisonOptions options, HandlerGateway gateway)
    {
        private readonly HandlerCase[] _cases =
            [.. HandlerCase.All.Where((one, i) => i == 0 || options.Namespaces.Contains(one.Namespace))];
        private readonly List<Throughput>[] _throughputs = CreateLists<Throughput>(HandlerCase.All.Length);
        private readonly List<double>[] _heard = CreateLists<double>(HandlerCase.All.Length);
        private readonly List<Latency>[] _latencies = CreateLists<Latency>(HandlerCase.All.Length);
        private readonly List<Throughput>[][] _shaped = [.. s_shapes.Select(_ => CreateLists<Throughput>(HandlerCase.Shaped.Length))];
        private readonly List<Subscribes>[] _subscribes = CreateLists<Subscribes>(s_subscribeNamespaces.Length);

        /// <summary>Measures all cases once. Rounds below 1 are not counted.</summary>
        public async Task MeasureAsync(int round)
        {
            if (options.Parts.Contains("publishes"))
            {
                foreach (var i in GetOrder(_cases.Length, round + WarmUpCount))
                {
                    var (measured, heard) = await MeasureAsync(_cases[i], PublishShape.Small);
                    Add(_throughputs[i], measured, round);
                    Add(_heard[i], heard, round);
                }
            }

            if (options.Parts.Contains("latency"))
            {
                foreach (var i in GetOrder(_cases.Length, round + WarmUpCount))
                {
                    var one = _cases[i];
                    var measured = await Latency.MeasureAsync(one.At(gateway.Port), options.Rate, options.Duration);
                    await gateway.DrainAsync(one.Calls, measured.PublishCount);
                    Progress(FormattableString.Invariant(
                        $"  {options.Rate}/s, {one.Name}: {measured.AnswerMedian:F2} ms, {measured.AnswerP99:F2} ms"));
                    Add(_latencies[i], measured, round);
                }
            }

            if (options.Parts.Contains("shapes"))
            {
                foreach (var shape in GetOrder(s_shapes.Length, round + WarmUpCount))
                {
                    foreach (var i in GetOrder(HandlerCase.Shaped.Length, round + WarmUpCount))
                    {
                        Add(_shaped[shape][i], (await MeasureAsync(HandlerCase.Shaped[i], s_shapes[shape])).Measured, round);
                    }
                }
            }

            if (options.Parts.Contains("subscribes"))
            {
                foreach (var i in GetOrder(s_subscribeNamespaces.Length, round + WarmUpCount))
                {
                    var measured = await Subscribes.MeasureAsync(
                        gateway.Port, s_subscribeNamespaces[i], options.ConnectionCount, options.Window, options.Duration, gateway.GetProcessorTimes);
                    Progress(FormattableString.Invariant($"  subscribes, {s_subscribeNamespaces[i]}: {measured.PerSecond:F0}/s"));
                    Add(_subscribes[i], measured, round);
                }
            }
        }

        /// <summary>Prints what was measured.</summary>
        public void Print()
        {
            if (options.Parts.Contains("publishes"))
            {
                PrintPublishes();
            }

            if (options.Parts.Contains("latency"))
            {
                Func<Latency, double>[] figures = [figure => figure.AnswerMedian, figure => figure.AnswerP99];
                PrintTable(
                    $"Answers at {options.Rate} publishes/s: ratio to no handler, added milliseconds, milliseconds",
                    ["handler", "p50: ratio", "added", "ms", "p99: ratio", "added", "ms"],
                    _cases.Select((one, i) => Row(one.Name, figures.SelectMany(figure => new[]
                    {
                        Ratio(_latencies[i], _latencies[0], figure), Added(_latencies[i], _latencies[0], figure),
                        Figure(Median(_latencies[i], figure), "F2"),
                    }))));
            }

            if (options.Parts.Contains("shapes"))
            {
                PrintShapes();
            }

            if (options.Parts.Contains("subscribes"))
            {
                PrintTable(
                    "Subscribes, each with its unsubscribe; processor time in µs for each",
                    ["handler", "ratio", "subscribes/s", "gateway", "workers"],
                    _subscribes.Select((list, i) => Row(i == 0 ? "no handler" : "`onSubscribe`",
                    [
                        Ratio(list, _subscribes[0], figure => figure.PerSecond), Figure(Median(list, figure => figure.PerSecond), "N0"),
                        .. Enumerable.Range(0, 2).Select(server => Figure(Median(list, figure => figure.ServerMicroseconds[server]), "F1")),
                    ])));
            }
        }

        private void PrintPublishes()
        {
            PrintTable(
                "Publishes of 1 event of 200 bytes to many channels, 1 subscriber; processor time in µs for each publish",
                [
                    "handler", "ratio", "publishes/s", .. HandlerGateway.Servers, "servers: ratio", "load generator", "cores in use",
                    "the function heard",
                ],
                _cases.Select((one, i) => Row(one.Name,
                [
                    Ratio(_throughputs[i], _throughputs[0], figure => figure.PublishesPerSecond),
                    Figure(Median(_throughputs[i], figure => figure.PublishesPerSecond), "N0"),
                    .. HandlerGateway.Servers.Select((_, server) =>
                        Figure(Median(_throughputs[i], figure => figure.ServerMicroseconds[server]), "F1")),
                    Ratio(_throughputs[i], _throughputs[0], figure => figure.AllServersMicroseconds),
                    Figure(Median(_throughputs[i], figure => figure.ClientMicroseconds), "F1"),
                    Figure(Median(_throughputs[i], GetCores), "F2"),
                    one.Calls == FunctionCalls.None ? "" : Figure(Median(_heard[i], heard => heard), "P0"),
                ])));
        }

        private void PrintShapes()
        {
            string[] columns = ["events of a publish", .. HandlerCase.Shaped.Select(one => one.Name)];
            PrintTable("Publishes/s against no handler", columns, s_shapes.Select((shape, row) => Row(
                Describe(shape), _shaped[row].Select(list => Ratio(list, _shaped[row][0], figure => figure.PublishesPerSecond)))));
            PrintTable(
                "Publishes/s (and µs of processor time of the gateway + of its workers for each)",
                columns,
                s_shapes.Select((shape, row) => Row(Describe(shape), _shaped[row].Select(list =>
                    FormattableString.Invariant($"{Median(list, figure => figure.PublishesPerSecond):N0} ")
                    + FormattableString.Invariant($"({Median(list, figure => figure.ServerMicroseconds[0]):F0} + ")
                    + FormattableString.Invariant($"{Median(list, figure => figure.ServerMicroseconds[1]):F0})")))));
        }

        private async Task<(Throughput Measured, double Heard)> MeasureAsync(HandlerCase one, PublishShape shape)
        {
            var heard = 0.0;
            var measured = await Throughput.MeasureAsync(
                one.At(gateway.Port),
                new PublishLoad(options.ConnectionCount, options.Window, ChannelsPerConnection, HasSubscriber: true, shape),
                options.Duration, gateway.GetProcessorTimes,
                async publishes => heard = (double)await gateway.DrainAsync(one.Calls, publishes) / publishes);
            var times = HandlerGateway.Servers.Zip(measured.ServerMicroseconds, (name, time) => $"{name} {Figure(time, "F0")}");
            Progress($"  {Describe(shape)}, {one.Name}: {Figure(measured.PublishesPerSecond, "F0")}/s, us of {string.Join(", ", times)}");
            return (measured, heard);
        }

        // Where this comes near the machine's, its processors are the limit.
        private static double GetCores(Throughput figure) =>
            (figure.AllServersMicroseconds + figure.ClientMicroseconds) * figure.PublishesPerSecond / TimeSpan.MicrosecondsPerSecond;

        private static string Describe(PublishShape shape) => FormattableString.Invariant($"{shape.Events} of {shape.EventBytes:N0} bytes");

        private static List<T>[] CreateLists<T>(int count) => [.. Enumerable.Range(0, count).Select(_ => new List<T>())];

        private static void Add<T>(List<T> list, T measured, int round)
        {
            if (round > 0)
            {
                list.Add(measured);
            }
        }
    }
}
