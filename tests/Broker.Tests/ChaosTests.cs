using System.Diagnostics;
using System.Globalization;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Broker.Tests;

/// <summary>A short run of <c>tests/Chaos</c>: real processes, killed under load. Its longer runs are for <c>docs/operations.md</c>.</summary>
public sealed class ChaosTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(4);

    [Theory]
    [InlineData("silos", 25)]
    [InlineData("gateways", 12)]
    public async Task Nothing_accepted_is_lost_doubled_or_reordered_when_nodes_die(string scenario, int seconds)
    {
        RedisServer.SkipUnlessInstalled();
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            AssemblyPath, scenario, "--seconds", seconds.ToString(CultureInfo.InvariantCulture), "--subscribers", "90", "--rate", "90",
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await Deadline.WaitAsync(async token => await process.WaitForExitAsync(token), $"the end of {scenario}", s_limit);
            Assert.True(process.ExitCode == 0, $"{scenario} ended with {process.ExitCode}:\n{await output}\n{await errors}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    // Built with these tests, in the same configuration.
    private static string AssemblyPath
    {
        get
        {
            var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
            return Path.Combine(Repository.Root, "tests", "Chaos", "bin", configuration, "net10.0", "Fanfare.Chaos.dll");
        }
    }
}
