using System.Globalization;
using Fanfare.Chaos.Scenarios;

namespace Fanfare.Chaos;

/// <summary>Kills parts of a cluster under load, and holds what clients saw against what is promised.</summary>
internal static class Program
{
    private static readonly Scenario[] s_scenarios =
    [
        new SilosScenario(), new GatewaysScenario(), new RedisScenario(), new PartitionScenario(), new RollingScenario(),
        new ChurnScenario(), new ChannelsScenario(),
    ];

    /// <summary>Runs the scenarios that are named; 0 where every promise was kept.</summary>
    public static async Task<int> Main(string[] arguments)
    {
        if (!TryParse(arguments, out var scenarios, out var options))
        {
            Console.Error.WriteLine(Usage);
            return 2;
        }

        var results = new List<(Scenario, ScenarioResult)>();
        var isClean = true;
        foreach (var scenario in scenarios)
        {
            if (await scenario.FindObstacleAsync() is { } obstacle)
            {
                Console.WriteLine($"{scenario.Name}: skipped, since it can't run here: {obstacle}");
                continue;
            }

            var console = new ScenarioConsole(scenario.Name);
            try
            {
                var result = await scenario.RunAsync(options, console);
                Console.WriteLine(Report.Describe(scenario, result));
                results.Add((scenario, result));
                isClean &= result.IsClean;
                if (!result.IsClean)
                {
                    Console.WriteLine($"{scenario.Name}: the nodes' logs are in {console.LogFolder}");
                }
                else if (console.LogFolder is { } logs)
                {
                    Directory.Delete(Path.GetDirectoryName(logs)!, recursive: true);
                }
            }
            catch (Exception e)
            {
                Console.WriteLine($"{scenario.Name}: failed; the nodes' logs are in {console.LogFolder}\n{e}");
                isClean = false;
            }
        }

        if (results.Count > 0)
        {
            Console.WriteLine(Report.Tabulate(results));
        }

        return isClean ? 0 : 1;
    }

    private static string Usage => $"""
        chaos SCENARIO... [--seconds N] [--subscribers N] [--rate N] [--channels N] [--set NAME=VALUE]...

        Scenarios:
        {string.Join('\n', s_scenarios.Select(scenario => $"  {scenario.Name,-10} {scenario.Description}"))}
          all        each of these

        --seconds      how long faults go on; each scenario has a time of its own
        --subscribers  how many subscribers (300)
        --rate         publishes a second, all publishers together (200)
        --channels     how many channels the scenario channels uses (1000000)
        --set          a further setting of every node, as in --set Fanfare__Cluster__LeaseTime=00:00:20
        """;

    private static bool TryParse(string[] arguments, out List<Scenario> scenarios, out ScenarioOptions options)
    {
        scenarios = [];
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        options = new ScenarioOptions(null, 300, 200, 1_000_000, settings);
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            if (!argument.StartsWith("--", StringComparison.Ordinal))
            {
                scenarios.AddRange(s_scenarios.Where(scenario => argument == "all" || scenario.Name == argument));
                if (argument != "all" && !s_scenarios.Any(scenario => scenario.Name == argument))
                {
                    return false;
                }

                continue;
            }

            if (++i == arguments.Length)
            {
                return false;
            }

            if (argument == "--set" && arguments[i].Split('=', 2) is [var key, var value])
            {
                settings[key] = value;
                continue;
            }

            if (!int.TryParse(arguments[i], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            switch (argument)
            {
                case "--seconds":
                    options = options with { Time = TimeSpan.FromSeconds(number) };
                    break;
                case "--subscribers":
                    options = options with { Subscribers = number };
                    break;
                case "--rate":
                    options = options with { Rate = number };
                    break;
                case "--channels":
                    options = options with { Channels = number };
                    break;
                default:
                    return false;
            }
        }

        return scenarios.Count > 0;
    }
}
