using System.CommandLine;
using Fanfare.Backplanes;

var parts = new Option<string[]>("--parts")
{
    Description = "What to measure: publishes, calls, wildcards. Default: all.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => ["publishes", "calls", "wildcards"],
};
parts.AcceptOnlyFromAmong("publishes", "calls", "wildcards");
var seconds = new Option<double>("--seconds") { Description = "How long each load of a round takes.", DefaultValueFactory = _ => 2 };
var rounds = new Option<int>("--rounds") { Description = "How many rounds the medians are of.", DefaultValueFactory = _ => 7 };
var connections = new Option<int>("--connections") { Description = "How many connections publish.", DefaultValueFactory = _ => 64 };
var window = new Option<int>("--window") { Description = "How many publishes each of them has under way.", DefaultValueFactory = _ => 2 };
var rate = new Option<int>("--rate") { Description = "Publishes per second where latency is measured.", DefaultValueFactory = _ => 500 };
var silos = new Option<int[]>("--silos")
{
    Description = "The numbers of silos that a wildcard's subscription is measured with.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [1, 2, 4, 8],
};
var samples = new Option<int>("--samples") { Description = "How many wildcards are subscribed to with each.", DefaultValueFactory = _ => 100 };
var deployments = new Option<string[]>("--deployments")
{
    Description = "Where publishes are measured: embedded, which is the yardstick and always there, redis, node, nodes, separate. Default: all.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => ["redis", "node", "nodes", "separate"],
};
deployments.AcceptOnlyFromAmong("embedded", "redis", "node", "nodes", "separate");
var builds = new Option<string[]>("--build")
{
    Description = "NAME=ASSEMBLY: another build of Broker; the clusters are measured with it too.",
    AllowMultipleArgumentsPerToken = true,
};
builds.Validators.Add(result =>
{
    if (result.Tokens.Any(token => token.Value.IndexOf('=', StringComparison.Ordinal) < 1))
    {
        result.AddError("--build takes NAME=ASSEMBLY.");
    }
});
var noBuild = new Option<bool>("--no-build") { Description = "Takes the programs as they were built." };
var command = new RootCommand("Measures what joins gateways: nothing, Redis, or a cluster on Orleans. All processes run on this machine.")
{
    parts, seconds, rounds, connections, window, rate, silos, samples, deployments, builds, noBuild,
};
command.SetAction(async (arguments, _) =>
{
    try
    {
        await Comparison.RunAsync(new ComparisonOptions(
            [.. arguments.GetValue(parts)!], TimeSpan.FromSeconds(arguments.GetValue(seconds)), arguments.GetValue(rounds),
            arguments.GetValue(connections), arguments.GetValue(window), arguments.GetValue(rate), arguments.GetValue(silos)!,
            arguments.GetValue(samples), [.. arguments.GetValue(deployments)!],
            [.. arguments.GetValue(builds)!.Select(build => build.Split('=', 2)).Select(build => new OtherBuild(build[0], build[1]))],
            arguments.GetValue(noBuild)));
        return 0;
    }
    catch (MeasurementException e)
    {
        await Console.Error.WriteLineAsync($"Nothing is reported, since a figure would be of something else. {e.Message}");
        return 1;
    }
});
return await command.Parse(args).InvokeAsync();
