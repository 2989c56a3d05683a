using System.Globalization;

namespace Fanfare.Backplanes;

/// <summary>Where the programs are that are measured, and what all their processes share.</summary>
/// <param name="Gateway">The assembly of the program of standalone gateways.</param>
/// <param name="Broker">The assembly of the program of silos and their gateways.</param>
/// <param name="Redis">The program of Redis or Valkey.</param>
/// <param name="Data">The folder that all gateways share, since clients need one key for all of them.</param>
/// <param name="BrokerName">What the cluster's program is called in tables, where several builds of it are compared.</param>
internal sealed record Programs(string Gateway, string Broker, string Redis, string Data, string BrokerName = "Orleans");

/// <summary>Gateways and what joins them, all on this machine.</summary>
internal sealed class Deployment : IDisposable
{
    private readonly List<ServerProcess> _servers = [];
    private readonly List<ServerProcess> _nodes = [];
    private readonly List<ServerProcess> _gateways = [];

    private Deployment(string name) => Name = name;

    /// <summary>Its name in tables.</summary>
    public string Name { get; }

    /// <summary>The port of the gateway that publishers are connected to.</summary>
    public int PublishingPort => _gateways[0].Port;

    /// <summary>The port of the gateway that subscribers are connected to: another one where there is one.</summary>
    public int SubscribingPort => _gateways[^1].Port;

    /// <summary>Its gateways as publishers and subscribers see them.</summary>
    public Target Target => new(PublishingPort, SubscribingPort);

    /// <summary>Starts one gateway by itself.</summary>
    public static async Task<Deployment> StartEmbeddedAsync(Programs programs)
    {
        var deployment = new Deployment("embedded");
        await deployment.StartGatewaysAsync(programs, programs.Gateway, 1, []);
        return deployment;
    }

    /// <summary>Starts two gateways joined by Redis.</summary>
    public static async Task<Deployment> StartRedisAsync(Programs programs)
    {
        var deployment = new Deployment("Redis, 2 gateways");
        var redis = await deployment.StartRedisServerAsync(programs);
        await deployment.StartGatewaysAsync(
            programs, programs.Gateway, 2, [("ConnectionStrings__redis", redis), ("Fanfare__Backplane", "redis")]);
        return deployment;
    }

    /// <summary>Starts nodes that are silo and gateway.</summary>
    public static async Task<Deployment> StartNodesAsync(Programs programs, int count)
    {
        var deployment = new Deployment($"{programs.BrokerName}, {Count(count, "node")}");
        var cluster = GetClusterEnvironment(await deployment.StartRedisServerAsync(programs));
        for (var i = 0; i < count; i++)
        {
            await deployment.StartGatewaysAsync(programs, programs.Broker, 1, [.. cluster, .. GetSiloEnvironment()]);
        }

        return deployment;
    }

    /// <summary>Starts silos, and gateways that are their clients.</summary>
    public static async Task<Deployment> StartSeparateAsync(Programs programs, int siloCount, int gatewayCount)
    {
        var deployment = new Deployment($"{programs.BrokerName}, {Count(siloCount, "silo")} + {Count(gatewayCount, "gateway")}");
        var cluster = GetClusterEnvironment(await deployment.StartRedisServerAsync(programs));
        var silos = new List<ServerProcess>();
        for (var i = 0; i < siloCount; i++)
        {
            var port = ServerProcess.ReservePort();
            var silo = new ServerProcess(
                $"silo {i + 1} of {deployment.Name}", port, "dotnet",
                [programs.Broker, "--roles", "Silo", "--urls", $"http://127.0.0.1:{port}"], [.. cluster, .. GetSiloEnvironment()]);
            silos.Add(silo);
            deployment._servers.Add(silo);
        }

        await Task.WhenAll(silos.Select(silo => silo.AwaitReadyAsync(hasHealth: true)));
        deployment._nodes.AddRange(silos);
        await deployment.StartGatewaysAsync(programs, programs.Broker, gatewayCount, [.. cluster, ("Fanfare__Roles", "Gateway")]);
        return deployment;
    }

    /// <summary>Returns the processor time of all its processes so far, Redis included.</summary>
    public TimeSpan GetProcessorTime() => new(_servers.Sum(server => server.GetProcessorTime().Ticks));

    /// <summary>Returns the sum of a counter over all its processes.</summary>
    public async Task<double> GetMetricAsync(string name) => (await Task.WhenAll(_nodes.Select(node => node.GetMetricAsync(name)))).Sum();

    /// <inheritdoc/>
    public void Dispose() => _servers.ForEach(server => server.Dispose());

    private async Task<string> StartRedisServerAsync(Programs programs)
    {
        var port = ServerProcess.ReservePort();
        var redis = new ServerProcess(
            $"Redis of {Name}", port, programs.Redis,
            ["--bind", "127.0.0.1", "--port", $"{port}", "--dir", programs.Data, "--save", "", "--appendonly", "no"]);
        _servers.Add(redis);
        await redis.AwaitReadyAsync(hasHealth: false);
        return $"127.0.0.1:{port}";
    }

    private async Task StartGatewaysAsync(Programs programs, string assembly, int count, (string Name, string? Value)[] environment)
    {
        for (var i = 0; i < count; i++)
        {
            var port = ServerProcess.ReservePort();
            var gateway = new ServerProcess(
                $"gateway {_gateways.Count + 1} of {Name}", port, "dotnet",
                [assembly, "--urls", $"http://127.0.0.1:{port}", "--data", programs.Data, "--api-key", ServerProcess.ApiKey], environment);
            _servers.Add(gateway);
            _nodes.Add(gateway);
            _gateways.Add(gateway);
            await gateway.AwaitReadyAsync(hasHealth: true);
        }
    }

    private static string Count(int count, string noun) => $"{count} {noun}{(count == 1 ? "" : "s")}";

    private static (string Name, string Value)[] GetClusterEnvironment(string redis) =>
    [
        ("ConnectionStrings__redis", redis),
        ("Orleans__ClusterId", "backplanes"),
        ("Orleans__ServiceId", "backplanes"),
        ("Orleans__Clustering__ProviderType", "Redis"),
        ("Orleans__Clustering__ServiceKey", "redis"),
    ];

    private static (string Name, string Value)[] GetSiloEnvironment() =>
    [
        ("Orleans__GrainStorage__Default__ProviderType", "Redis"),
        ("Orleans__GrainStorage__Default__ServiceKey", "redis"),
        ("Orleans__Endpoints__AdvertisedIPAddress", "127.0.0.1"),
        ("Orleans__Endpoints__SiloPort", ServerProcess.ReservePort().ToString(CultureInfo.InvariantCulture)),
        ("Orleans__Endpoints__GatewayPort", ServerProcess.ReservePort().ToString(CultureInfo.InvariantCulture)),
    ];
}
