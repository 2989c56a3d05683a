using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A gateway in a process of its own, for tests that measure it or try to bring it down.</summary>
public sealed partial class GatewayProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly DirectoryInfo _folder;
    private readonly ConcurrentQueue<string> _output = [];
    private readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private GatewayProcess(Process process, DirectoryInfo folder)
    {
        (_process, _folder) = (process, folder);
        _process.OutputDataReceived += (_, line) => Record(line.Data);
        _process.ErrorDataReceived += (_, line) => Record(line.Data);
        _process.EnableRaisingEvents = true;
        _process.Exited += (_, _) => _address.TrySetException(
            new InvalidOperationException("The gateway ended before it listened:\n" + string.Join('\n', _output)));
    }

    /// <summary>What the process wrote so far, both streams.</summary>
    public IReadOnlyCollection<string> Output => _output;

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; private set; } = new(IPAddress.Loopback, 0);

    /// <summary>Whether the process has ended.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>The process's resident memory in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>Starts <c>dotnet Fanfare.Gateway.dll</c> with the test key and waits until it listens.</summary>
    public static async Task<GatewayProcess> StartAsync(params string[] arguments)
    {
        var folder = Directory.CreateTempSubdirectory("fanfare-test-");
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder.FullName,
        };
        string[] all =
        [
            AssemblyPath, "--urls", "http://127.0.0.1:0", "--api-key", Credentials.ApiKey,
            "--data", Path.Combine(folder.FullName, "data"), .. arguments,
        ];
        foreach (var argument in all)
        {
            start.ArgumentList.Add(argument);
        }

        var gateway = new GatewayProcess(new Process { StartInfo = start }, folder);
        try
        {
            gateway._process.Start();
            gateway._process.BeginOutputReadLine();
            gateway._process.BeginErrorReadLine();
            var address = await Deadline.WaitAsync(
                gateway._address.Task, "the line \"Fanfare is listening on\"", TimeSpan.FromSeconds(60));
            gateway.EndPoint = new IPEndPoint(IPAddress.Loopback, address.Port);
            return gateway;
        }
        catch
        {
            await gateway.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens a WebSocket with the test key.</summary>
    public Task<RawWebSocket> ConnectAsync() => RawWebSocket.ConnectAsync(EndPoint);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>The gateway that was built with these tests, in the same configuration.</summary>
    internal static string AssemblyPath
    {
        get
        {
            var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
            var root = new DirectoryInfo(AppContext.BaseDirectory);
            while (root is not null && !File.Exists(Path.Combine(root.FullName, "Cluster.sln")))
            {
                root = root.Parent;
            }

            var built = Path.Combine(
                root?.FullName ?? "", "Gateway", "bin", configuration, "net10.0", "Fanfare.Gateway.dll");
            return File.Exists(built) ? built : Path.Combine(AppContext.BaseDirectory, "Fanfare.Gateway.dll");
        }
    }

    private void Record(string? line)
    {
        if (line is null)
        {
            return;
        }

        _output.Enqueue(line);
        if (Listening().Match(line) is { Success: true } match)
        {
            _address.TrySetResult(new Uri(match.Groups[1].Value));
        }
    }

    [GeneratedRegex(@"Fanfare is listening on (http://\S+)")]
    private static partial Regex Listening();
}
