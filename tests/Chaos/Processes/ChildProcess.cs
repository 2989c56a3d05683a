using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Fanfare.Chaos.Processes;

/// <summary>How a process ended.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Code">Its exit code; 128 and the signal's number after a signal.</param>
/// <param name="IsExpected">Whether this program ended it, and it ended as it should.</param>
internal readonly record struct ProcessEnd(string Name, int Code, bool IsExpected);

/// <summary>A process of the cluster that may die and be started again.</summary>
internal abstract partial class ChildProcess(string name, string logPath) : IAsyncDisposable
{
    private const int SignalTerminate = 15;
    private const int CodeKilled = 128 + 9;
    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(60);

    // None may outlive this program, however it ends.
    private static readonly ConcurrentDictionary<int, Process> s_running = [];

    private readonly List<ProcessEnd> _ends = [];
    private readonly Lock _logLock = new();
    private Process? _process;
    private StreamWriter? _log;
    private int _expectedCode = -1;

    static ChildProcess() => AppDomain.CurrentDomain.ProcessExit += static (_, _) =>
    {
        foreach (var process in s_running.Values)
        {
            process.Kill();
        }
    };

    /// <summary>Its name.</summary>
    public string Name => name;

    /// <summary>The file with all that it wrote.</summary>
    public string LogPath => logPath;

    /// <summary>How its lives ended so far.</summary>
    public IReadOnlyList<ProcessEnd> Ends
    {
        get
        {
            lock (_ends)
            {
                return [.. _ends];
            }
        }
    }

    /// <summary>Whether it runs.</summary>
    public bool IsRunning => !Exited.IsCompleted;

    /// <summary>Completes when it has ended.</summary>
    public Task Exited { get; private set; } = Task.CompletedTask;

    /// <summary>The resident memory in bytes; 0 where it does not run.</summary>
    public long ResidentBytes
    {
        get
        {
            if (_process is not { } process || !IsRunning)
            {
                return 0;
            }

            process.Refresh();
            return process.WorkingSet64;
        }
    }

    /// <summary>Starts it and returns when it is ready.</summary>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        var start = new ProcessStartInfo { RedirectStandardOutput = true, RedirectStandardError = true };
        Describe(start);
        _expectedCode = -1;
        _log ??= new StreamWriter(logPath, append: true) { AutoFlush = true };
        var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Log(line.Data);
        process.ErrorDataReceived += (_, line) => Log(line.Data);
        process.Start();
        s_running[process.Id] = process;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _process?.Dispose();
        _process = process;
        Exited = WatchAsync(process);
        await WaitUntilReadyAsync(cancellationToken);
    }

    /// <summary>Kills it as <c>kill -9</c> does.</summary>
    public async Task KillAsync()
    {
        _expectedCode = CodeKilled;
        _process?.Kill();
        await Exited.WaitAsync(s_stopTimeout);
    }

    /// <summary>Asks it to stop, and waits until it has.</summary>
    public async Task StopAsync()
    {
        _expectedCode = 0;
        if (_process is { } process && IsRunning)
        {
            _ = Kill(process.Id, SignalTerminate);
        }

        await Exited.WaitAsync(s_stopTimeout);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (IsRunning)
        {
            await KillAsync();
        }

        await Exited.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _process?.Dispose();
        _log?.Dispose();
    }

    /// <summary>Says what to start.</summary>
    protected abstract void Describe(ProcessStartInfo start);

    /// <summary>Returns when the process does its work.</summary>
    protected abstract Task WaitUntilReadyAsync(CancellationToken cancellationToken);

    private async Task WatchAsync(Process process)
    {
        await process.WaitForExitAsync();
        s_running.TryRemove(process.Id, out _);
        var end = new ProcessEnd(name, process.ExitCode, process.ExitCode == _expectedCode);
        lock (_ends)
        {
            _ends.Add(end);
        }

        Log(FormattableString.Invariant($"=== ended with exit code {process.ExitCode}"));
    }

    private void Log(string? line)
    {
        if (line is not null)
        {
            lock (_logLock)
            {
                _log!.WriteLine(FormattableString.Invariant($"{DateTime.UtcNow:HH:mm:ss.fff} {line}"));
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
