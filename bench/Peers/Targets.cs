using static Fanfare.Bench.Report;

namespace Fanfare.Peers;

/// <summary>What the gateway is to reach beside the floor and the peers, and what it did.</summary>
internal static class Targets
{
    private const double ClusterMin = 0.6;
    private const double MemoryKilobytesMax = 6;
    private const double AllocatedBytesPerDeliveryMax = 1;
    private const double AllocatedBytesPerPublishMax = 128;

    /// <summary>Prints the targets that something was measured for.</summary>
    /// <param name="results">What was measured.</param>
    /// <param name="servers">The servers.</param>
    /// <param name="clusters">Publishes/s through clusters against those without, by the cluster's name.</param>
    public static void Print(Results results, IReadOnlyList<MeasuredServer> servers, IReadOnlyList<(string Name, double Ratio)> clusters)
    {
        var rows = new List<string[]>();
        foreach (var server in servers.Where(server => server.IsFanfare))
        {
            var prefix = servers.Count(other => other.IsFanfare) > 1 ? $"{server.Name}: " : "";
            rows.AddRange(new Rows(results, servers, server).Create().Select(row => Row(prefix + row[0], row[1..])));
        }

        rows.AddRange(clusters.Select(cluster => CreateRow($"publishes/s, {cluster.Name} against embedded", "≥", cluster.Ratio, ClusterMin, "")));
        if (rows.Count > 0)
        {
            PrintTable("Targets", ["what", "measured", "target", ""], rows);
        }
    }

    private static string[] CreateRow(string what, string relation, double value, double bound, string unit) =>
    [
        what, Figure(value, "0.00") + unit, $"{relation} {Figure(bound, "0.##")}{unit}",
        (relation == "≥" ? value >= bound : value <= bound) ? "met" : "not met",
    ];

    private sealed class Rows(Results results, IReadOnlyList<MeasuredServer> servers, MeasuredServer server)
    {
        private readonly List<string[]> _rows = [];

        public List<string[]> Create()
        {
            foreach (var load in (Load[])[Load.Fanout100, Load.Fanout1000, Load.Fanout5000, Load.Wildcards])
            {
                AddBestPeer(load, Measure.Deliveries, 2);
                Add(load, Measure.Deliveries, MeasuredServer.FloorKey, 0.6);
            }

            AddBestPeer(Load.Single, Measure.Deliveries, 1);
            Add(Load.Single, Measure.Deliveries, MeasuredServer.FloorKey, 0.75);

            Add(Load.Steady, Measure.DeliveryTime, MeasuredServer.FloorKey, 1.5);
            AddBestPeer(Load.Steady, Measure.DeliveryTime, 0.65);
            Add(Load.Steady, Measure.DeliveryTime, MeasuredServer.SignalRKey, 0.27);
            AddBestPeer(Load.Steady, Measure.Latency, 1);

            AddBestPeer(Load.ChannelsSteady, Measure.DeliveryTime, 0.8);
            AddBestPeer(Load.ChannelsFull, Measure.DeliveryTime, 0.8);

            AddValue(Load.Idle, Measure.Memory, MemoryKilobytesMax, " KB");
            AddBestPeer(Load.Idle, Measure.Memory, 1);
            AddValue(Load.DeliveryAllocations, Measure.DeliveryAllocations, AllocatedBytesPerDeliveryMax, " bytes");
            AddValue(Load.SteadyAllocations, Measure.DeliveryAllocations, AllocatedBytesPerDeliveryMax, " bytes");
            AddValue(Load.PublishAllocations, Measure.PublishAllocations, AllocatedBytesPerPublishMax, " bytes");
            Add(Load.Storm, Measure.Connects, MeasuredServer.SignalRKey, 3);
            AddGrowth();
            Add(Load.Publish, Measure.Publishes, MeasuredServer.SignalRKey, 0.7);
            return _rows;
        }

        private void Add(Load load, Measure measure, string key, double bound)
        {
            if (servers.FirstOrDefault(other => other.Key == key) is { } other)
            {
                Add(load, measure, other, other.Name, bound);
            }
        }

        private void AddBestPeer(Load load, Measure measure, double bound)
        {
            if (results.FindBestPeer(load, measure) is { } best)
            {
                Add(load, measure, best, $"the best peer ({best.Name})", bound);
            }
        }

        private void Add(Load load, Measure measure, MeasuredServer other, string name, double bound)
        {
            if (results.GetRatio(load, server, other, measure) is { } ratio)
            {
                _rows.Add(CreateRow($"{load.Name}: {measure.Name} against {name}", measure.IsCost ? "≤" : "≥", ratio, bound, " ×"));
            }
        }

        private void AddValue(Load load, Measure measure, double bound, string unit)
        {
            if (results.GetMedian(load, server, measure) is { } value)
            {
                _rows.Add(CreateRow($"{load.Name}: {measure.Name}", "≤", value, bound, unit));
            }
        }

        // The floor's growth is the bound, since with more subscribers each costs the kernel more.
        private void AddGrowth()
        {
            var floor = servers.FirstOrDefault(other => other.Key == MeasuredServer.FloorKey);
            if (floor is not null
                && results.GetGrowth(Load.Fanout100, Load.Fanout5000, server, Measure.DeliveryTime) is { } growth
                && results.GetGrowth(Load.Fanout100, Load.Fanout5000, floor, Measure.DeliveryTime) is { } bound)
            {
                _rows.Add(CreateRow("full speed: server CPU per delivery with 5,000 subscribers against 100", "≤", growth, bound, " ×"));
            }
        }
    }
}
