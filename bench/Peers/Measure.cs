namespace Fanfare.Peers;

/// <summary>A figure that the load generator reports.</summary>
/// <param name="Key">The generator's name for it.</param>
/// <param name="Name">Its name in tables, with its unit there.</param>
/// <param name="Format">How it is written.</param>
/// <param name="Factor">From the generator's unit to the one of tables.</param>
/// <param name="IsCost">Whether less is better.</param>
/// <param name="IsCompared">Whether ratios of it say something.</param>
internal sealed record Measure(string Key, string Name, string Format, double Factor = 1, bool IsCost = false, bool IsCompared = true)
{
    /// <summary>Events that arrived.</summary>
    public static readonly Measure Deliveries = new("deliveries_per_s", "k deliveries/s", "N0", 1e-3);

    /// <summary>Processor time of the server for each of them: a µs each is a second for a million.</summary>
    public static readonly Measure DeliveryTime = new("server_us_per_delivery", "server CPU, s per M deliveries", "F2", IsCost: true);

    /// <summary>Time from when a publish was due to its delivery.</summary>
    public static readonly Measure MedianLatency = new("latency_p50_us", "p50 ms", "F2", 1e-3, IsCost: true);

    /// <summary>The same, where one of a hundred takes longer.</summary>
    public static readonly Measure Latency = new("latency_p99_us", "p99 ms", "F2", 1e-3, IsCost: true);

    /// <summary>Events whose publish was acknowledged.</summary>
    public static readonly Measure Publishes = new("acknowledged_events_per_s", "k events/s", "F1", 1e-3);

    /// <summary>Processor time of the server for each of them.</summary>
    public static readonly Measure PublishTime = new("server_us_per_event", "server CPU, µs each", "F2", IsCost: true);

    /// <summary>The same where each is delivered once.</summary>
    public static readonly Measure DeliveredPublishTime = PublishTime with { Key = DeliveryTime.Key };

    /// <summary>Connections that were opened and subscribed.</summary>
    public static readonly Measure Connects = new("connects_per_s", "/s", "N0");

    /// <summary>Processor time of the server for each of them.</summary>
    public static readonly Measure ConnectTime = new("server_us_per_connect", "server CPU, µs each", "F1", IsCost: true);

    /// <summary>Memory of the server for each connection that does nothing.</summary>
    public static readonly Measure Memory = new("resident_kb_per_connection", "resident KB each", "F2", IsCost: true);

    /// <summary>The same for the second half of the connections, so without what a process takes but once.</summary>
    public static readonly Measure LaterMemory = new("second_half_kb_per_connection", "resident KB each, of the second half", "F2", IsCost: true);

    /// <summary>What is seen of subscribers that stop reading, and of the others.</summary>
    public static readonly Measure[] Slow =
    [
        new("before_p99_us", "p99 ms before, of the others", "F2", 1e-3, IsCost: true),
        new("during_p99_us", "p99 ms, of the others", "F2", 1e-3, IsCost: true),
        Deliveries,
        new("resident_kb_before", "resident MB before", "F0", 1e-3, IsCompared: false),
        new("resident_kb_max", "resident MB at most", "F0", 1e-3, IsCompared: false),
        new("slow_closed_with_code", "of the slow: closed with a code", "F0", IsCompared: false),
        new("slow_closed_without_code", "of the slow: closed without one", "F0", IsCompared: false),
        new("slow_open", "of the slow: still open", "F0", IsCompared: false),
    ];

    /// <summary>Bytes that the program's own allocations take for each delivery.</summary>
    public static readonly Measure DeliveryAllocations = new("allocated_bytes", "bytes allocated for each delivery", "F3", IsCost: true);

    /// <summary>Bytes that the program's own allocations take for each publish.</summary>
    public static readonly Measure PublishAllocations = new("allocated_bytes", "bytes allocated for each publish", "F1", IsCost: true);
}
