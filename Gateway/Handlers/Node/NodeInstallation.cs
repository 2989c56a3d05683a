using System.Diagnostics;
using System.Globalization;

namespace Fanfare.Gateway.Handlers.Node;

/// <summary>A Node.js on this machine that can run workers.</summary>
internal sealed class NodeInstallation
{
    /// <summary>The first version that can: <c>vm</c> contexts without an object of the host's in them.</summary>
    public static readonly Version VersionMin = new(20, 19);

    // Node calls its permission model stable from these versions on, and names it so.
    private static readonly Version s_permission22 = new(22, 13);
    private static readonly Version s_permission23 = new(23, 5);

    private static readonly TimeSpan s_versionTimeout = TimeSpan.FromSeconds(30);

    private NodeInstallation(string program, Version version) => (Program, Version) = (program, version);

    /// <summary>The program.</summary>
    public string Program { get; }

    /// <summary>Its version.</summary>
    public Version Version { get; }

    /// <summary>Asks the configured program for its version.</summary>
    /// <exception cref="HandlerRuntimeException">It is not there, is no Node.js, or is too old.</exception>
    public static async Task<NodeInstallation> FindAsync(string program, CancellationToken cancellationToken)
    {
        var text = await AskVersionAsync(program, cancellationToken);
        if (text is null || !text.StartsWith('v') || !Version.TryParse(text[1..], out var version))
        {
            throw new HandlerRuntimeException(
                $"Event handlers need Node.js {VersionMin} or newer, and '{program}' cannot be run. Install it, or name it in {HandlerOptions.SectionName}:{nameof(HandlerOptions.Node)}.");
        }

        return version >= VersionMin
            ? new NodeInstallation(program, version)
            : throw new HandlerRuntimeException(
                $"Event handlers need Node.js {VersionMin} or newer, and '{program}' is {version}. Name another in {HandlerOptions.SectionName}:{nameof(HandlerOptions.Node)}.");
    }

    /// <summary>Starts a process that runs <c>worker.js</c>.</summary>
    /// <exception cref="HandlerRuntimeException">It cannot be started.</exception>
    public Process StartWorker(HandlerOptions options)
    {
        var start = CreateStart(
            Program,
            [
                Version >= s_permission23 || (Version.Major == 22 && Version >= s_permission22) ? "--permission" : "--experimental-permission",
                "--no-warnings",
                "--no-addons",
                "--unhandled-rejections=none",
                "--disallow-code-generation-from-strings",
                string.Create(CultureInfo.InvariantCulture, $"--max-old-space-size={options.MemoryMaxMiB}"),
                "--eval", WorkerScripts.Worker,
            ]);
        start.RedirectStandardInput = true;
        try
        {
            return Process.Start(start)!;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            throw new HandlerRuntimeException($"'{Program}' cannot be started: {e.Message}");
        }
    }

    private static ProcessStartInfo CreateStart(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetPathRoot(Environment.CurrentDirectory)!,
        };

        // Nothing of this process's environment, which may hold secrets and options for Node.
        start.Environment.Clear();
        return start;
    }

    private static async Task<string?> AskVersionAsync(string program, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(s_versionTimeout);
        try
        {
            using var process = Process.Start(CreateStart(program, ["--version"]))!;
            try
            {
                var errors = process.StandardError.ReadToEndAsync(timeout.Token);
                var line = await process.StandardOutput.ReadLineAsync(timeout.Token);
                await errors;
                await process.WaitForExitAsync(timeout.Token);
                return line;
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                cancellationToken.ThrowIfCancellationRequested();
                return null;
            }
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            return null;
        }
    }
}
