using System.Net;
using System.Text.RegularExpressions;

namespace Fanfare.Chaos.Processes;

/// <summary>Redis, silos and gateways, each a process.</summary>
internal sealed partial class Cluster : IAsyncDisposable
{
    private const int ErrorLengthMax = 200;

    private readonly DirectoryInfo _folder;
    private readonly VirtualNetwork? _network;
    private readonly List<Node> _silos = [];
    private readonly List<Node> _gateways = [];
    private readonly ClusterSettings _settings;

    private Cluster(DirectoryInfo folder, VirtualNetwork? network, IReadOnlyDictionary<string, string> settings)
    {
        (_folder, _network) = (folder, network);
        Directory.CreateDirectory(LogFolder);
        var redisFolder = folder.CreateSubdirectory("redis");
        Redis = new RedisProcess(
            Path.Combine(LogFolder, "redis.log"), redisFolder.FullName, network?.Address ?? IPAddress.Loopback, NodeAddress.FindFreePort());
        _settings = new ClusterSettings(Guid.NewGuid().ToString("N"), Redis, Path.Combine(folder.FullName, "data"), settings);
    }

    /// <summary>The Redis.</summary>
    public RedisProcess Redis { get; }

    /// <summary>The silos.</summary>
    public IReadOnlyList<Node> Silos => _silos;

    /// <summary>The gateways.</summary>
    public IReadOnlyList<Node> Gateways => _gateways;

    /// <summary>All processes.</summary>
    public IEnumerable<ChildProcess> Processes => [Redis, .. _silos, .. _gateways];

    /// <summary>Where the processes' output is.</summary>
    public string LogFolder => Path.Combine(_folder.FullName, "logs");

    /// <summary>Starts a cluster and returns when all nodes are healthy.</summary>
    /// <param name="silos">How many silos.</param>
    /// <param name="gateways">How many gateways.</param>
    /// <param name="network">The network to put nodes into, each with an address of its own; Redis is at its bridge.</param>
    /// <param name="settings">Further settings of every node, by environment name.</param>
    public static async Task<Cluster> StartAsync(
        int silos, int gateways, VirtualNetwork? network = null, IReadOnlyDictionary<string, string>? settings = null)
    {
        var cluster = new Cluster(
            Directory.CreateTempSubdirectory("fanfare-chaos-"), network, settings ?? new Dictionary<string, string>());
        try
        {
            await cluster.Redis.StartAsync();
            for (var i = 1; i <= silos; i++)
            {
                cluster._silos.Add(await cluster.CreateNodeAsync($"silo-{i}", "Silo"));
            }

            for (var i = 1; i <= gateways; i++)
            {
                cluster._gateways.Add(await cluster.CreateNodeAsync($"gateway-{i}", "Gateway"));
            }

            // The first gateway makes what the others find in the data folder; a silo alone is enough for it.
            await cluster._silos[0].StartAsync();
            await Task.WhenAll(cluster._silos.Skip(1).Concat(cluster._gateways).Select(node => node.StartAsync()));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>The entries in the nodes' logs that are errors: how many of each kind, with the first of each, shortened.</summary>
    public IReadOnlyList<string> FindErrors()
    {
        var kinds = new SortedDictionary<string, (int Count, string First)>(StringComparer.Ordinal);
        foreach (var node in _silos.Concat(_gateways).Where(node => File.Exists(node.LogPath)))
        {
            using var reader = new StreamReader(new FileStream(node.LogPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            while (reader.ReadLine() is { } line)
            {
                if (ErrorLine().Match(line) is { Success: true } match)
                {
                    var kind = $"{node.Name.Split('-')[0]}s: {match.Groups["kind"].Value}";
                    var first = match.Groups["text"].Value;
                    var known = kinds.GetValueOrDefault(kind, (0, first[..Math.Min(ErrorLengthMax, first.Length)]));
                    kinds[kind] = (known.Item1 + 1, known.Item2);
                }
            }
        }

        return [.. kinds.Select(kind => $"{kind.Value.Count} × {kind.Key}  {kind.Value.First}")];
    }

    /// <summary>Cuts a node off the network, as where its cable is pulled.</summary>
    public Task CutAsync(Node node) => Find(node).CutAsync();

    /// <summary>Ends <see cref="CutAsync"/>.</summary>
    public Task HealAsync(Node node) => Find(node).HealAsync();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var process in Processes.Reverse())
        {
            await process.DisposeAsync();
        }
    }

    private NetworkNamespace Find(Node node) =>
        _network!.Namespaces.Single(ns => string.Equals(ns.Name, node.NetworkNamespace, StringComparison.Ordinal));

    private async Task<Node> CreateNodeAsync(string name, string role)
    {
        var address = _network is null ? NodeAddress.Local() : NodeAddress.In(await _network.AddAsync());
        return new Node(name, role, _settings, address, Path.Combine(LogFolder, $"{name}.log"));
    }

    [GeneratedRegex(@" (?:fail|crit): (?<kind>\S+) (?<text>.*)|(?<kind>Unhandled exception)(?<text>.*)")]
    private static partial Regex ErrorLine();
}
