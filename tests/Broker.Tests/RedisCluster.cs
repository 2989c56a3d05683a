using System.Net;
using System.Net.Sockets;
using Fanfare.Gateway;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.AspNetCore.Builder;

namespace Fanfare.Broker.Tests;

/// <summary>Silos in the test's process that share a Redis, configured as Aspire would.</summary>
public sealed class RedisCluster : IAsyncDisposable
{
    private readonly List<WebApplication> _silos = [];
    private readonly RedisServer _redis;
    private readonly string _clusterId = Guid.NewGuid().ToString("N");

    private RedisCluster(RedisServer redis) => _redis = redis;

    /// <summary>The arguments of a node that joins the cluster.</summary>
    public string[] NodeArguments =>
    [
        $"--Orleans:ClusterId={_clusterId}", $"--Orleans:ServiceId={_clusterId}",
        "--Orleans:Clustering:ProviderType=Redis", "--Orleans:Clustering:ServiceKey=redis",
        "--Orleans:GrainStorage:Default:ProviderType=Redis", "--Orleans:GrainStorage:Default:ServiceKey=redis",
        "--Orleans:Endpoints:AdvertisedIPAddress=127.0.0.1", $"--ConnectionStrings:redis={_redis.ConnectionString}",
    ];

    /// <summary>The arguments of a silo, with ports of its own.</summary>
    public string[] GetSiloArguments() =>
        [.. NodeArguments, $"--Orleans:Endpoints:SiloPort={FindFreePort()}", $"--Orleans:Endpoints:GatewayPort={FindFreePort()}"];

    /// <summary>The arguments of a gateway that is a client of the cluster.</summary>
    public string[] GatewayArguments => ["--roles", "Gateway", .. NodeArguments];

    /// <summary>Starts silos; skips the test where Redis is not installed.</summary>
    public static async Task<RedisCluster> StartAsync(int silos)
    {
        var cluster = new RedisCluster(await RedisServer.StartAsync());
        try
        {
            for (var i = 0; i < silos; i++)
            {
                await cluster.AddSiloAsync();
            }
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }

        return cluster;
    }

    /// <summary>Starts a further silo.</summary>
    public async Task AddSiloAsync()
    {
        var silo = GatewayApplication.Create(
            ["--roles", "Silo", "--urls", "http://127.0.0.1:0", .. GetSiloArguments()],
            program: BrokerProgram.Node);
        await Deadline.WaitAsync(async token => await silo.StartAsync(token), "the start of a silo", TimeSpan.FromSeconds(60));
        _silos.Add(silo);
    }

    /// <summary>Stops a silo as a signal would.</summary>
    public async Task StopSiloAsync(int index)
    {
        await Deadline.WaitAsync(async token => await _silos[index].StopAsync(token), "the end of a silo", TimeSpan.FromSeconds(60));
        await _silos[index].DisposeAsync();
        _silos.RemoveAt(index);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _silos)
        {
            using var now = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await silo.StopAsync(now.Token);
            await silo.DisposeAsync();
        }

        await _redis.DisposeAsync();
    }

    private static int FindFreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
