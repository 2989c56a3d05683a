using System.Net;
using System.Net.Sockets;

namespace Fanfare.Chaos.Processes;

/// <summary>Where a node listens.</summary>
/// <param name="Address">Its address.</param>
/// <param name="HttpPort">The port for clients and health checks.</param>
/// <param name="SiloPort">The port for other silos.</param>
/// <param name="GatewayPort">The port for gateways.</param>
/// <param name="NetworkNamespace">The network namespace that has the address; <see langword="null"/> for this program's own.</param>
internal sealed record NodeAddress(IPAddress Address, int HttpPort, int SiloPort, int GatewayPort, string? NetworkNamespace = null)
{
    /// <summary>Free ports on this machine.</summary>
    public static NodeAddress Local() => new(IPAddress.Loopback, FindFreePort(), FindFreePort(), FindFreePort());

    /// <summary>Fixed ports at an address of a namespace.</summary>
    public static NodeAddress In(NetworkNamespace ns) => new(ns.Address, 8080, 11111, 30000, ns.Name);

    /// <summary>A port that nobody listens on, and that nobody is given for an outgoing connection while nodes are down.</summary>
    public static int FindFreePort()
    {
        while (true)
        {
            var port = Interlocked.Increment(ref s_nextPort);
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken.
            }
        }
    }

    // Below the range of outgoing connections, which begins at 32768.
    private static int s_nextPort = Random.Shared.Next(15_000, 30_000);
}
