using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Fanfare.Chaos.Processes;

/// <summary>A bridge on this machine, with network namespaces that hang on it like machines on a switch.</summary>
internal sealed class VirtualNetwork : IAsyncDisposable
{
    private readonly List<NetworkNamespace> _namespaces = [];
    private readonly string _tag = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
    private readonly int _subnet = Random.Shared.Next(1, 250);

    private VirtualNetwork()
    {
    }

    /// <summary>The bridge's name.</summary>
    public string Bridge => $"fb{_tag}";

    /// <summary>This program's own address on it.</summary>
    public IPAddress Address => IPAddress.Parse($"10.213.{_subnet}.1");

    /// <summary>The namespaces.</summary>
    public IReadOnlyList<NetworkNamespace> Namespaces => _namespaces;

    /// <summary>Makes one, or says why that is not possible.</summary>
    public static async Task<(VirtualNetwork? Network, string? Problem)> TryCreateAsync()
    {
        var network = new VirtualNetwork();
        try
        {
            await IpAsync($"link add {network.Bridge} type bridge");
            await IpAsync($"addr add {network.Address}/24 dev {network.Bridge}");
            await IpAsync($"link set {network.Bridge} up");
            return (network, null);
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            await network.DisposeAsync();
            return (null, e.Message);
        }
    }

    /// <summary>Adds a namespace.</summary>
    public async Task<NetworkNamespace> AddAsync()
    {
        var index = _namespaces.Count + 1;
        var ns = new NetworkNamespace($"fn{_tag}-{index}", $"fv{_tag}-{index}", IPAddress.Parse($"10.213.{_subnet}.{index + 1}"), this);
        _namespaces.Add(ns);
        await IpAsync($"netns add {ns.Name}");
        await IpAsync($"link add {ns.Link} type veth peer name eth0 netns {ns.Name}");
        await IpAsync($"link set {ns.Link} master {Bridge} up");
        await IpAsync($"-n {ns.Name} addr add {ns.Address}/24 dev eth0");
        await IpAsync($"-n {ns.Name} link set eth0 up");
        await IpAsync($"-n {ns.Name} link set lo up");
        return ns;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var ns in _namespaces)
        {
            await TryIpAsync($"netns del {ns.Name}");
        }

        await TryIpAsync($"link del {Bridge}");
    }

    /// <summary>Runs <c>ip</c>.</summary>
    internal static async Task IpAsync(string arguments)
    {
        var start = new ProcessStartInfo("ip", arguments) { RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"ip {arguments}: {error.Trim()}");
        }
    }

    private static async Task TryIpAsync(string arguments)
    {
        try
        {
            await IpAsync(arguments);
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // Never made, or gone already.
        }
    }
}

/// <summary>A network namespace with one address.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Link">The end of its cable that is plugged into the bridge.</param>
/// <param name="Address">Its address.</param>
/// <param name="Network">The network that it is part of.</param>
internal sealed record NetworkNamespace(string Name, string Link, IPAddress Address, VirtualNetwork Network)
{
    /// <summary>Unplugs it: packets vanish without a word, in both directions.</summary>
    public Task CutAsync() => VirtualNetwork.IpAsync($"link set {Link} nomaster");

    /// <summary>Plugs it in again.</summary>
    public Task HealAsync() => VirtualNetwork.IpAsync($"link set {Link} master {Network.Bridge}");
}
