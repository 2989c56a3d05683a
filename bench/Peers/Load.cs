namespace Fanfare.Peers;

/// <summary>One way to load servers.</summary>
/// <param name="Scenario">The command that it belongs to.</param>
/// <param name="Name">Its name in tables, within the scenario.</param>
/// <param name="Arguments">What the load generator is told.</param>
/// <param name="Measures">What tables show of it.</param>
internal sealed record Load(string Scenario, string Name, string[] Arguments, params Measure[] Measures)
{
    // At full speed. So that there is something to put into one system call for each subscriber, and the slowest server is through with it
    // in a second or two.
    private const int DeliveriesUnderWay = 100_000;
    private const int HandlerPublishers = 20;

    /// <summary>Loads that targets speak of.</summary>
    public static readonly Load
        Fanout100 = CreateFanout(100),
        Fanout1000 = CreateFanout(1000),
        Fanout5000 = CreateFanout(5000),
        Single = new(
            "single", "1 event in flight, 1,000 subscribers", ["fanout", "--subscribers", "1000", "--window", "1"],
            Measure.Deliveries, Measure.DeliveryTime),
        Steady = new(
            "steady", "50,000 deliveries/s, 1,000 subscribers", ["fanout", "--subscribers", "1000", "--delivery-rate", "50000"],
            Measure.DeliveryTime, Measure.MedianLatency, Measure.Latency),
        ChannelsSteady = new(
            "channels", "1,000 channels × 5 subscribers, 20,000 deliveries/s",
            ["channels", "--channels", "1000", "--subscribers", "5", "--delivery-rate", "20000"],
            Measure.DeliveryTime, Measure.MedianLatency, Measure.Latency),
        ChannelsFull = new(
            "channels", "1,000 channels × 5 subscribers, full speed", ["channels", "--channels", "1000", "--subscribers", "5"],
            Measure.Deliveries, Measure.DeliveryTime),
        Wildcards = new(
            "wildcards", "1,000 subscribers at all levels, full speed", CreateFullSpeed("wildcards", 1000), Measure.Deliveries, Measure.DeliveryTime)
        {
            Takes = server => server.HasWildcards,
        },
        Publish = CreatePublish(isHttp: false, 1, 0),
        Storm = new("storm", "connect + subscribe", ["storm"], Measure.Connects, Measure.ConnectTime),
        Idle = CreateIdle(10_000),
        DeliveryAllocations = new(
            "allocations", "1,000 subscribers, full speed", CreateFullSpeed("fanout", 1000), Measure.DeliveryAllocations)
        {
            Takes = server => server.IsFanfare,
            AllocationsPer = "deliveries_per_s",
        },
        SteadyAllocations = new("allocations", Steady.Name, Steady.Arguments, Measure.DeliveryAllocations)
        {
            Takes = server => server.IsFanfare,
            AllocationsPer = "deliveries_per_s",
        },
        PublishAllocations = new(
            "allocations", "WebSocket, 1 event, no subscriber", ["publish", "--batch", "1", "--subscribers", "0"], Measure.PublishAllocations)
        {
            Takes = server => server.IsFanfare,
            AllocationsPer = "events_per_s",
        };

    /// <summary>All.</summary>
    public static readonly Load[] All =
    [
        Fanout100, Fanout1000, Fanout5000, Single, Steady, ChannelsSteady, ChannelsFull, Wildcards,
        Publish, CreatePublish(false, 1, 1), CreatePublish(false, 5, 0), CreatePublish(false, 5, 1),
        CreatePublish(true, 1, 0), CreatePublish(true, 1, 1), CreatePublish(true, 5, 0), CreatePublish(true, 5, 1),
        Storm, Idle, CreateIdle(18_000),
        // 4 MB a second for each, so that what sockets hold is full within a second or two.
        new("slow", "50 subscribers, of whom 5 stop reading", ["slow", "--subscribers", "50", "--rate", "1000", "--bytes", "4000"], Measure.Slow)
        {
            Setup = Setup.UsualLimits,
            DurationMin = TimeSpan.FromSeconds(4),
        },
        CreateHandlers("no handler", "default"), CreateHandlers("`onPublish`", "handled"),
        DeliveryAllocations, SteadyAllocations, PublishAllocations,
    ];

    /// <summary>Which servers it is for.</summary>
    public Func<MeasuredServer, bool> Takes { get; private init; } = _ => true;

    /// <summary>Whether the server is to be one that did nothing before.</summary>
    public bool IsFresh { get; private init; }

    /// <summary>How servers are set up for it.</summary>
    public Setup Setup { get; private init; }

    /// <summary>How long it takes at least to show what it is for.</summary>
    public TimeSpan DurationMin { get; private init; }

    /// <summary>The generator's name for what allocations are counted for; null where they are not.</summary>
    public string? AllocationsPer { get; private init; }

    private static string[] CreateFullSpeed(string scenario, int subscribers) =>
        [scenario, "--subscribers", $"{subscribers}", "--window", $"{DeliveriesUnderWay / subscribers}"];

    private static Load CreateFanout(int subscribers) => new(
        "fanout", FormattableString.Invariant($"{subscribers:N0} subscribers, full speed"), CreateFullSpeed("fanout", subscribers),
        Measure.Deliveries, Measure.DeliveryTime);

    private static Load CreatePublish(bool isHttp, int batch, int subscribers) => new(
        "publish",
        $"{(isHttp ? "HTTP/1.1" : "WebSocket")}, {(batch == 1 ? "1 event" : $"{batch} events")}, {(subscribers == 0 ? "no subscriber" : "1 subscriber")}",
        ["publish", "--batch", $"{batch}", "--subscribers", $"{subscribers}", .. isHttp ? (string[])["--http"] : []],
        Measure.Publishes, subscribers == 0 ? Measure.PublishTime : Measure.DeliveredPublishTime)
    {
        Takes = server => (isHttp ? server.HasPosts : server.HasWebSocketPublishes) && (batch == 1 || !server.IsPeer),
    };

    private static Load CreateIdle(int connections) => new(
        "idle", FormattableString.Invariant($"{connections:N0} subscribed connections"), ["idle", "--connections", $"{connections}", "--warmup", "0"],
        Measure.Memory, Measure.LaterMemory)
    {
        IsFresh = true,
    };

    // From many connections, since a gateway takes the publishes of one connection one after the other, and a handler is a wait.
    private static Load CreateHandlers(string name, string channelNamespace) => new(
        "handlers", $"100 subscribers, {HandlerPublishers} publishers, {name}",
        [
            "fanout", "--subscribers", "100", "--publishers", $"{HandlerPublishers}",
            "--window", $"{DeliveriesUnderWay / 100 / HandlerPublishers}", "--namespace", channelNamespace,
        ],
        Measure.Deliveries, Measure.DeliveryTime)
    {
        Takes = server => server.IsFanfare,
        Setup = Setup.Handlers,
    };
}
