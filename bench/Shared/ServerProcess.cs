using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Fanfare.Bench;

/// <summary>A process that is measured: a gateway, a silo, a node that is both, or Redis.</summary>
internal sealed class ServerProcess : IDisposable
{
    /// <summary>The key of all gateways.</summary>
    public const string ApiKey = "da2-benchmarks0123456789abcdef";

    // What /proc counts in, on all systems that .NET runs on.
    private const int ProcessorTickMilliseconds = 10;
    private const int OutputLinesMax = 20;
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(100);
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(5) };
    private static readonly ConcurrentDictionary<ServerProcess, bool> s_running = [];
    private static int s_lastPort = 20_000 + (Environment.ProcessId * 37 % 10_000);

    // Workstation collections, as many processes share few cores. A subscriber is to be measured, not cut off as slow.
    private static readonly (string Name, string? Value)[] s_environment =
    [
        ("DOTNET_gcServer", "0"),
        ("Logging__LogLevel__Default", "Warning"),
        ("Fanfare__Limits__PendingBytesMax", "67108864"),
    ];

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = [];

    static ServerProcess() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        // On Ctrl+C too.
        foreach (var server in s_running.Keys)
        {
            server.Dispose();
        }
    };

    /// <summary>Starts a program.</summary>
    /// <param name="name">Its name in messages.</param>
    /// <param name="port">The port it listens on.</param>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its command line.</param>
    /// <param name="environment">Variables beside and instead of those that all have; null is for none.</param>
    public ServerProcess(string name, int port, string program, IEnumerable<string> arguments, params (string Name, string? Value)[] environment)
    {
        (Name, Port) = (name, port);
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (variable, value) in s_environment.Concat(environment))
        {
            if (value is null)
            {
                start.Environment.Remove(variable);
            }
            else
            {
                start.Environment[variable] = value;
            }
        }

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Note(line.Data);
        _process.ErrorDataReceived += (_, line) => Note(line.Data);
        _process.Start();
        s_running[this] = true;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Its name in messages.</summary>
    public string Name { get; }

    /// <summary>The port it listens on: HTTP, or Redis.</summary>
    public int Port { get; }

    /// <summary>Returns a port that nothing listens on, below those that the system gives to outgoing connections.</summary>
    public static int ReservePort()
    {
        while (true)
        {
            var port = Interlocked.Increment(ref s_lastPort);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // The next one.
            }
        }
    }

    /// <summary>Returns when it serves.</summary>
    /// <param name="hasHealth">Whether it says so over HTTP; otherwise it is enough that it listens.</param>
    public async Task AwaitReadyAsync(bool hasHealth)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await (hasHealth ? IsHealthyAsync() : IsListeningAsync()))
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(began) > s_startTimeout)
            {
                throw new MeasurementException($"{Name} did not start:\n{string.Join('\n', _output)}");
            }

            await Task.Delay(s_pollInterval);
        }
    }

    /// <summary>Returns its processor time so far, of the program and of the system on its behalf.</summary>
    /// <remarks>In steps of 10 ms on Linux.</remarks>
    public TimeSpan GetProcessorTime()
    {
        _process.Refresh();
        return _process.TotalProcessorTime;
    }

    /// <summary>Returns the processor time so far of the processes that it has started and that still run, by the system's count in /proc.</summary>
    public TimeSpan GetChildrenProcessorTime() => TimeSpan.FromMilliseconds(EnumerateChildren().Sum(child => child.Ticks) * ProcessorTickMilliseconds);

    /// <summary>Returns its id, and those of the processes that it has started and that still run.</summary>
    public int[] GetIds() => [_process.Id, .. EnumerateChildren().Select(child => child.Id)];

    /// <summary>Returns the sum of a counter over all its labels.</summary>
    public async Task<double> GetMetricAsync(string name)
    {
        var sum = 0.0;
        foreach (var line in (await s_http.GetStringAsync($"http://127.0.0.1:{Port}/metrics")).Split('\n'))
        {
            if (line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is ' ' or '{')
            {
                var value = line[(line.LastIndexOf('}') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                sum += double.Parse(value[line.Contains('}', StringComparison.Ordinal) ? 0 : 1], CultureInfo.InvariantCulture);
            }
        }

        return sum;
    }

    /// <summary>Kills it: nothing of it is needed any more.</summary>
    public void Dispose()
    {
        if (s_running.TryRemove(this, out _))
        {
            // Workers of a server that is killed alone would go on.
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
            _process.Dispose();
        }
    }

    private IEnumerable<(int Id, long Ticks)> EnumerateChildren()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            var name = Path.GetFileName(folder);
            if (char.IsAsciiDigit(name[0]) && TryReadFields(folder) is { } fields && int.Parse(fields[1], CultureInfo.InvariantCulture) == _process.Id)
            {
                var ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
                yield return (int.Parse(name, CultureInfo.InvariantCulture), ticks);
            }
        }
    }

    // Returns what is known of a process from the third field on, since the second is the program's name, which may have spaces.
    private static string[]? TryReadFields(string folder)
    {
        try
        {
            var stat = File.ReadAllText($"{folder}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            // It has ended.
            return null;
        }
    }

    private async Task<bool> IsHealthyAsync()
    {
        try
        {
            using var answer = await s_http.GetAsync($"http://127.0.0.1:{Port}/health");
            return answer.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    private async Task<bool> IsListeningAsync()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void Note(string? line)
    {
        if (line is null)
        {
            return;
        }

        _output.Enqueue(line);
        if (_output.Count > OutputLinesMax)
        {
            _output.TryDequeue(out _);
        }
    }
}
