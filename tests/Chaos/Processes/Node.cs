using System.Diagnostics;
using System.Globalization;
using System.Net;
using Fanfare.Chaos.Load;

namespace Fanfare.Chaos.Processes;

/// <summary>What all nodes of a cluster share.</summary>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="Redis">Its Redis.</param>
/// <param name="DataFolder">The folder with the API's id.</param>
/// <param name="Settings">Further settings of every node, by environment name.</param>
internal sealed record ClusterSettings(
    string ClusterId, RedisProcess Redis, string DataFolder, IReadOnlyDictionary<string, string> Settings);

/// <summary>A silo or a gateway of the cluster, started from the environment that Aspire sets.</summary>
internal sealed class Node(string name, string role, ClusterSettings cluster, NodeAddress address, string logPath)
    : ChildProcess(name, logPath)
{
    private static readonly TimeSpan s_readyTimeout = TimeSpan.FromSeconds(60);
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(2) };

    /// <summary>Where it serves clients and health checks.</summary>
    public Uri Address { get; } = new($"http://{address.Address}:{address.HttpPort}");

    /// <summary>The network namespace that it lives in, or <see langword="null"/>.</summary>
    public string? NetworkNamespace => address.NetworkNamespace;

    /// <summary>Whether <c>/health</c> says that it is healthy.</summary>
    public async Task<bool> IsHealthyAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            using var response = await s_http.GetAsync(new Uri(Address, "/health"), cancellationToken);
            return response.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Reads a metric without labels; 0 where there is none.</summary>
    public async Task<double> ReadMetricAsync(string metric)
    {
        var page = await s_http.GetStringAsync(new Uri(Address, "/metrics"));
        var line = page.Split('\n').FirstOrDefault(line => line.StartsWith(metric + " ", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line[(metric.Length + 1)..].Split(' ')[0], CultureInfo.InvariantCulture);
    }

    /// <inheritdoc/>
    protected override void Describe(ProcessStartInfo start)
    {
        start.FileName = "dotnet";
        if (NetworkNamespace is { } ns)
        {
            start.FileName = "ip";
            AddAll(start, "netns", "exec", ns, "dotnet");
        }

        AddAll(
            start, AssemblyPath, "--roles", role, "--urls", Address.GetLeftPart(UriPartial.Authority), "--data", cluster.DataFolder,
            "--api-key", EventsClient.ApiKey);
        var environment = start.Environment;
        environment["Orleans__ClusterId"] = cluster.ClusterId;
        environment["Orleans__ServiceId"] = cluster.ClusterId;
        environment["Orleans__Clustering__ProviderType"] = "Redis";
        environment["Orleans__Clustering__ServiceKey"] = "redis";
        environment["Orleans__GrainStorage__Default__ProviderType"] = "Redis";
        environment["Orleans__GrainStorage__Default__ServiceKey"] = "redis";
        environment["Orleans__Endpoints__AdvertisedIPAddress"] = $"{address.Address}";
        environment["Orleans__Endpoints__SiloPort"] = $"{address.SiloPort}";
        environment["Orleans__Endpoints__GatewayPort"] = $"{address.GatewayPort}";
        environment["ConnectionStrings__redis"] = cluster.Redis.ConnectionString;
        foreach (var (key, value) in cluster.Settings)
        {
            environment[key] = value;
        }
    }

    /// <inheritdoc/>
    protected override async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await IsHealthyAsync(cancellationToken))
        {
            if (!IsRunning || Stopwatch.GetElapsedTime(began) > s_readyTimeout)
            {
                throw new InvalidOperationException($"{Name} does not become healthy; see {LogPath}.");
            }

            await Task.Delay(100, cancellationToken);
        }
    }

    // Built with this program, in the same configuration.
    private static string AssemblyPath
    {
        get
        {
            var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
            var root = new DirectoryInfo(AppContext.BaseDirectory);
            while (root is not null && !File.Exists(Path.Combine(root.FullName, "Cluster.sln")))
            {
                root = root.Parent;
            }

            return Path.Combine(root?.FullName ?? "", "Broker", "bin", configuration, "net10.0", "Fanfare.Broker.dll");
        }
    }

    private static void AddAll(ProcessStartInfo start, params string[] arguments)
    {
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }
    }
}
