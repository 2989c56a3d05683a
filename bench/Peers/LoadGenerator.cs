using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Fanfare.Peers;

/// <summary>The load generator of <c>bench/load</c>, once for each measurement.</summary>
internal static class LoadGenerator
{
    // Beside what it was asked for: connections are opened before, and what is under way arrives after it.
    private static readonly TimeSpan s_allowance = TimeSpan.FromSeconds(90);

    // In seconds, unless a load has its own: it begins with all at once, and the first answers say nothing of what comes then.
    private const string WarmUp = "1";
    private const string ErrorPrefix = "load: ";

    private static readonly string s_program = Repository.GetPath("bench", "load", "load");

    /// <summary>Loads a server; returns what was measured, by the generator's names.</summary>
    /// <param name="server">The server.</param>
    /// <param name="process">The server's process.</param>
    /// <param name="arguments">The scenario and its options.</param>
    /// <param name="duration">How long it is to take.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    public static async Task<Dictionary<string, double>> RunAsync(
        MeasuredServer server, ServerProcess process, IEnumerable<string> arguments, TimeSpan duration, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(s_program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] all =
        [
            "--warmup", WarmUp, .. arguments, "--protocol", server.Protocol, "--host", "127.0.0.1", "--port", $"{process.Port}",
            "--key", ServerProcess.ApiKey, "--pid", string.Join(',', process.GetIds()),
            "--seconds", duration.TotalSeconds.ToString(CultureInfo.InvariantCulture),
        ];
        foreach (var argument in all)
        {
            start.ArgumentList.Add(argument);
        }

        using var generator = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(duration + s_allowance);
        try
        {
            var (output, errors) = (generator.StandardOutput.ReadToEndAsync(limit.Token), generator.StandardError.ReadToEndAsync(limit.Token));
            await Task.WhenAll(output, errors);
            await generator.WaitForExitAsync(limit.Token);
            return generator.ExitCode == 0 ? Read(await output) : throw new MeasurementException(ReadError(await errors));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MeasurementException("It did not end in time.");
        }
        finally
        {
            if (!generator.HasExited)
            {
                generator.Kill();
            }
        }
    }

    private static string ReadError(string errors) =>
        errors.Split('\n').LastOrDefault(line => line.StartsWith(ErrorPrefix, StringComparison.Ordinal))?[ErrorPrefix.Length..]
        ?? "The load generator ended without a word.";

    private static Dictionary<string, double> Read(string line)
    {
        using var document = JsonDocument.Parse(line);
        return document.RootElement.EnumerateObject()
            .Where(property => property.Value.ValueKind == JsonValueKind.Number)
            .ToDictionary(property => property.Name, property => property.Value.GetDouble());
    }
}
