using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fanfare.Chaos.Processes;

/// <summary>A Redis that writes everything to disk before it answers, so that a restart loses nothing.</summary>
internal sealed class RedisProcess(string logPath, string folder, IPAddress address, int port) : ChildProcess("redis", logPath)
{
    private static readonly TimeSpan s_readyTimeout = TimeSpan.FromSeconds(30);

    /// <summary>How nodes are told of it.</summary>
    public string ConnectionString => $"{address}:{port}";

    /// <inheritdoc/>
    protected override void Describe(ProcessStartInfo start)
    {
        start.FileName = "redis-server";
        string[] arguments =
        [
            "--port", $"{port}", "--bind", $"{address}", "--protected-mode", "no", "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", "--daemonize", "no", "--dir", folder,
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }
    }

    /// <inheritdoc/>
    protected override async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await TryPingAsync(cancellationToken))
        {
            if (!IsRunning || Stopwatch.GetElapsedTime(began) > s_readyTimeout)
            {
                throw new InvalidOperationException("Redis does not answer.");
            }

            await Task.Delay(20, cancellationToken);
        }
    }

    private async Task<bool> TryPingAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(address, port, cancellationToken);
            await client.Client.SendAsync("PING\r\n"u8.ToArray(), cancellationToken);
            var answer = new byte[16];
            var length = await client.Client.ReceiveAsync(answer, cancellationToken);
            // While it still reads its file it answers -LOADING.
            return Encoding.ASCII.GetString(answer, 0, length).StartsWith("+PONG", StringComparison.Ordinal);
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
