using System.CommandLine;
using Fanfare.Peers;

var scenarios = new Argument<string[]>("scenarios")
{
    Description = $"What to measure: {string.Join(", ", Comparison.Scenarios)}. Default: all.",
    Arity = ArgumentArity.ZeroOrMore,
};
scenarios.AcceptOnlyFromAmong(Comparison.Scenarios);
var servers = new Option<string[]>("--servers")
{
    Description = $"What is measured: {string.Join(", ", MeasuredServer.Keys)}. Default: all.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => MeasuredServer.Keys,
};
servers.AcceptOnlyFromAmong(MeasuredServer.Keys);
var gateways = new Option<string[]>("--gateway")
{
    Description = "A build of the gateway instead of this repository's: its Fanfare.Gateway.dll, or NAME=PATH. May be given several times.",
};
var rounds = new Option<int>("--rounds") { Description = "How many rounds the medians are of.", DefaultValueFactory = _ => 3 };
var seconds = new Option<double>("--seconds") { Description = "How long each load of a round takes.", DefaultValueFactory = _ => 3 };
var warmUp = new Option<double>("--warm-up")
{
    Description = "How many seconds of load come first for servers that are compiled as they run.",
    DefaultValueFactory = _ => 9,
};
var list = new Option<bool>("--list") { Description = "Lists scenarios and their loads, and measures nothing." };
var command = new RootCommand("Measures the gateway beside other servers and a floor. All processes run on this machine.")
{
    scenarios, servers, gateways, rounds, seconds, warmUp, list,
};
command.SetAction(async (arguments, cancellationToken) =>
{
    if (arguments.GetValue(list))
    {
        foreach (var load in Load.All)
        {
            Console.WriteLine($"{load.Scenario}: {load.Name}");
        }

        Console.WriteLine($"{Comparison.ClusterScenario}: see bench/Backplanes");
        return 0;
    }

    try
    {
        var names = arguments.GetValue(scenarios)!;
        await Comparison.RunAsync(new ComparisonOptions(
            names.Length > 0 ? names : Comparison.Scenarios, arguments.GetValue(servers)!, await GetGatewaysAsync(arguments.GetValue(gateways)!),
            TimeSpan.FromSeconds(arguments.GetValue(seconds)), arguments.GetValue(rounds), TimeSpan.FromSeconds(arguments.GetValue(warmUp))),
            cancellationToken);
        return 0;
    }
    catch (OperationCanceledException)
    {
        return 1;
    }
    catch (MeasurementException e)
    {
        await Console.Error.WriteLineAsync(e.Message);
        return 1;
    }
});
return await command.Parse(args).InvokeAsync();

static async Task<IReadOnlyList<(string Name, string Assembly)>> GetGatewaysAsync(string[] given)
{
    foreach (var project in given.Length == 0 ? (string[])["Gateway", "bench/SignalR"] : ["bench/SignalR"])
    {
        if (await Repository.BuildAsync(project) is { } output)
        {
            throw new MeasurementException($"{project} does not build:\n{output}");
        }
    }

    return given.Length == 0 ? [("Fanfare", Repository.GetAssembly("Gateway"))] : [.. given.Select(Split)];

    static (string Name, string Assembly) Split(string text)
    {
        var (name, path) = text.Split('=', 2) is [var before, var after] ? (before, after) : ("Fanfare", text);
        path = Path.GetFullPath(path);
        return File.Exists(path) ? (name, path) : throw new MeasurementException($"There is no {path}.");
    }
}
