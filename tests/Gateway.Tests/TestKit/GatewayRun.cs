using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>What a gateway's process left behind.</summary>
/// <param name="ExitCode">The exit code; 128 and the signal's number where a signal ended it.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Errors">Standard error.</param>
public sealed record ProcessResult(int ExitCode, IReadOnlyList<string> Output, IReadOnlyList<string> Errors)
{
    /// <summary>Asserts a start that failed as it should: one line that holds the given texts, and nothing a person must dig through.</summary>
    public string AssertRefused(params string[] texts)
    {
        var everything = $"exit code {ExitCode}\n{string.Join('\n', Errors)}\n{string.Join('\n', Output)}";
        Assert.True(ExitCode is 1 or 2, $"expected exit code 1 or 2, got {everything}");
        Assert.True(Errors.Count == 1, $"expected one line on standard error, got {everything}");
        Assert.True(Output.Count == 0, $"expected nothing on standard output, got {everything}");
        Assert.StartsWith("fanfare: ", Errors[0], StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", Errors[0], StringComparison.Ordinal);
        Assert.All(texts, text => Assert.Contains(text, Errors[0], StringComparison.Ordinal));
        return Errors[0];
    }
}

/// <summary>One run of the gateway's program, with just the arguments and the environment that a test gives it.</summary>
/// <remarks>Unlike <see cref="GatewayProcess"/> it adds no option, keeps the streams apart, and may fail to start.</remarks>
public sealed partial class GatewayRun : IAsyncDisposable
{
    // A start takes about a second on a machine that has nothing else to do.
    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = [];
    private readonly ConcurrentQueue<string> _errors = [];
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private GatewayRun(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, line) => Record(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Record(_errors, line.Data);
        _process.Exited += (_, _) => SignalChange();
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Standard output so far.</summary>
    public IReadOnlyCollection<string> Output => _output;

    /// <summary>Standard error so far.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    /// <summary>Runs the program.</summary>
    /// <param name="folder">The working directory.</param>
    /// <param name="arguments">The command line.</param>
    public static GatewayRun Start(string folder, params string[] arguments) => Start(folder, [], arguments);

    /// <summary>Runs the program with further variables in its environment.</summary>
    public static GatewayRun Start(string folder, IReadOnlyList<(string Name, string Value)> environment, params string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(environment);
        var start = new ProcessStartInfo("dotnet", [GatewayProcess.AssemblyPath, .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // What configures the machine's own servers must not configure the one under test.
        foreach (var name in start.Environment.Keys.Where(name => Foreign().IsMatch(name)).ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return new GatewayRun(start);
    }

    /// <summary>Runs a program that is to end by itself.</summary>
    public static async Task<ProcessResult> ToEndAsync(string folder, params string[] arguments)
    {
        await using var run = Start(folder, arguments);
        return await run.ExitAsync();
    }

    /// <summary>Waits for a line of standard output, and returns what the expression's first group matched, or the line.</summary>
    public async Task<string> WaitForLineAsync(string pattern)
    {
        var match = await WaitAsync(
            () => _output.Select(line => Regex.Match(line, pattern)).FirstOrDefault(match => match.Success), $"a line like {pattern}");
        return match.Groups[^1].Value;
    }

    /// <summary>Waits until it listens; returns the first address.</summary>
    public async Task<Uri> WaitUntilListeningAsync() => new(await WaitForLineAsync(@"^Fanfare is listening on (\S+)$"));

    /// <summary>Sends a signal, such as <c>TERM</c>.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        await Deadline.WaitAsync(async token => await kill.WaitForExitAsync(token), $"the end of kill -{signal}");
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Waits for the end of the process and of its streams.</summary>
    public async Task<ProcessResult> ExitAsync(TimeSpan? limit = null)
    {
        await Deadline.WaitAsync(
            async token => await _process.WaitForExitAsync(token), "the end of the gateway's process", limit ?? s_startLimit);
        return new ProcessResult(_process.ExitCode, [.. _output], [.. _errors]);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    private async Task<T> WaitAsync<T>(Func<T?> read, string missing)
        where T : class
    {
        var hasExited = false;
        return await Deadline.WaitAsync(
            async token =>
            {
                while (true)
                {
                    Task changed;
                    lock (_lock)
                    {
                        changed = _changed.Task;
                    }

                    if (read() is { } value)
                    {
                        return value;
                    }

                    if (hasExited)
                    {
                        throw new InvalidOperationException(
                            $"The gateway ended with {_process.ExitCode} before {missing}:\n{string.Join('\n', _errors.Concat(_output))}");
                    }

                    if (_process.HasExited)
                    {
                        // The streams may still have something.
                        await _process.WaitForExitAsync(token);
                        hasExited = true;
                        continue;
                    }

                    await changed.WaitAsync(token);
                }
            },
            missing,
            s_startLimit);
    }

    private void Record(ConcurrentQueue<string> lines, string? line)
    {
        if (line is not null)
        {
            lines.Enqueue(line);
            SignalChange();
        }
    }

    private void SignalChange()
    {
        lock (_lock)
        {
            _changed.TrySetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    [GeneratedRegex("^(ASPNETCORE|FANFARE|OTEL|KESTREL|LOGGING|URLS|HTTP_PORTS|HTTPS_PORTS|DOTNET_RUNNING_IN_CONTAINER)", RegexOptions.IgnoreCase)]
    private static partial Regex Foreign();
}
