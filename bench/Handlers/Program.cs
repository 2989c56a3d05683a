using System.CommandLine;
using Fanfare.Handlers;

var parts = new Option<string[]>("--parts")
{
    Description = "What to measure: publishes, latency, shapes, subscribes. Default: all.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => ["publishes", "latency", "shapes", "subscribes"],
};
parts.AcceptOnlyFromAmong("publishes", "latency", "shapes", "subscribes");
var cases = new Option<string[]>("--cases")
{
    Description = $"Handlers of publishes, by namespace: {string.Join(", ", HandlerCase.Namespaces)}. The first is always measured. Default: all.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => HandlerCase.Namespaces,
};
cases.AcceptOnlyFromAmong(HandlerCase.Namespaces);
var seconds = new Option<double>("--seconds") { Description = "How long each case of a round takes.", DefaultValueFactory = _ => 2 };
var rounds = new Option<int>("--rounds") { Description = "How many rounds the medians are of.", DefaultValueFactory = _ => 5 };
var connections = new Option<int>("--connections") { Description = "How many connections publish or subscribe.", DefaultValueFactory = _ => 64 };
var window = new Option<int>("--window") { Description = "How much each of them has under way.", DefaultValueFactory = _ => 2 };
var rate = new Option<int>("--rate") { Description = "Publishes per second where latency is measured.", DefaultValueFactory = _ => 500 };
var workers = new Option<int>("--workers") { Description = "Node.js workers of the gateway; 0 is one for each core." };
var noBuild = new Option<bool>("--no-build") { Description = "Takes the gateway as it was built." };
var port = new Option<int>("--port") { Required = true };
var function = new Command("function", "Serves the function.") { port };
function.Hidden = true;
function.SetAction((arguments, _) => FunctionServer.RunAsync(arguments.GetValue(port)));
var command = new RootCommand("Measures what event handlers cost. All processes run on this machine.")
{
    parts, cases, seconds, rounds, connections, window, rate, workers, noBuild, function,
};
command.SetAction(async (arguments, _) =>
{
    try
    {
        await Comparison.RunAsync(new ComparisonOptions(
            [.. arguments.GetValue(parts)!], [.. arguments.GetValue(cases)!], TimeSpan.FromSeconds(arguments.GetValue(seconds)),
            arguments.GetValue(rounds), arguments.GetValue(connections), arguments.GetValue(window), arguments.GetValue(rate), arguments.GetValue(workers),
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
