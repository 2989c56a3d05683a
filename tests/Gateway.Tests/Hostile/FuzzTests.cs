using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Hostile;

/// <summary>
/// A million bent inputs against one gateway process. It must go on serving, keep its memory, write no stack trace, answer
/// every message once, and let a bystander notice nothing.
/// </summary>
/// <remarks>
/// <c>FANFARE_FUZZ_SEED</c> repeats a run's input (not its timing); <c>FANFARE_FUZZ_COUNT</c> sets how much of it there is.
/// </remarks>
[Collection(nameof(HeavyLoad))]
public sealed partial class FuzzTests
{
    private const int CountDefault = 1_000_000;
    private const int WarmUpCount = 50_000;
    private const long GrowthBytesMax = 100L * 1024 * 1024;
    private const int AlarmLinesMax = 10;
    private const int AlarmLineLengthMax = 1000;

    private static readonly TimeSpan s_settleLimit = TimeSpan.FromSeconds(60);

    // What a process writes when something went wrong that nobody had thought of.
    private static readonly string[] s_alarms = ["Unhandled exception", "   at ", "Exception:", "fail:", "crit:", "Error"];

    [Fact]
    public async Task Gateway_survives_a_million_hostile_inputs_and_a_bystander_misses_nothing()
    {
        var seed = FromEnvironment("FANFARE_FUZZ_SEED") ?? Random.Shared.Next();
        var count = FromEnvironment("FANFARE_FUZZ_COUNT") ?? CountDefault;
        try
        {
            // Room for the fuzzers' own deliveries: being cut off as a slow subscriber has tests of its own.
            await using var gateway = await GatewayProcess.StartAsync(
                // Every input is to be looked at, however often its sender failed before.
                "--Fanfare:Limits:PendingBytesMax=67108864", "--Fanfare:Limits:FailedAttemptsPerSecond=0");
            var before = await RunAsync(gateway, seed - 1, WarmUpCount);
            var started = Stopwatch.GetTimestamp();
            var run = await RunAsync(gateway, seed, count);
            var after = await SettleAsync(gateway, before.ResidentBytes + GrowthBytesMax);

            TestContext.Current.TestOutputHelper?.WriteLine(
                $"seed {seed}: {run.InputCount} inputs in {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s, "
                + $"{run.EventCount} bystander events, "
                + $"{before.ResidentBytes >> 20} MiB resident after warm-up, {after >> 20} MiB at the end");
            Assert.True(run.InputCount >= count, $"only {run.InputCount} inputs were sent");
            await AssertServesAsync(gateway);
            Assert.InRange(after, 0, before.ResidentBytes + GrowthBytesMax);
            AssertNoAlarm(gateway);
        }
        catch (Exception exception)
        {
            Assert.Fail(
                $"Repeat with FANFARE_FUZZ_SEED={seed} FANFARE_FUZZ_COUNT={count}: {exception.Message}\n{exception.StackTrace}");
        }
    }

    private static async Task<(long ResidentBytes, int InputCount, int EventCount)> RunAsync(
        GatewayProcess gateway, int seed, int count)
    {
        // A step of the fuzzers is a step of the bystander, so that its events are spread over the whole run.
        var steps = Channel.CreateUnbounded<bool>();
        await using var bystander = await Bystander.StartAsync(gateway, steps.Reader);
        var fuzzers = new Fuzzer(gateway, steps.Writer, seed);
        var inputs = await Task.WhenAll(
            fuzzers.SendMessagesAsync(1, count * 45 / 100),
            fuzzers.SendMessagesAsync(2, count * 45 / 100),
            fuzzers.SendBodiesAsync(3, count * 5 / 100),
            fuzzers.SendFramesAsync(4, count * 3 / 100),
            fuzzers.SendUpgradesAsync(5, count / 100),
            fuzzers.SendRequestsAsync(6, count / 100));
        steps.Writer.Complete();
        var events = await bystander.StopAsync();
        return (gateway.ResidentBytes, inputs.Sum(), events);
    }

    /// <summary>Waits until the memory is back, with a little traffic so that the collector has an occasion to run.</summary>
    private static async Task<long> SettleAsync(GatewayProcess gateway, long residentBytesMax)
    {
        var started = Stopwatch.GetTimestamp();
        await using var publisher = await gateway.ConnectAsync();
        while (gateway.ResidentBytes > residentBytesMax && Stopwatch.GetElapsedTime(started) < s_settleLimit)
        {
            await publisher.PublishAsync("/default/settle", Messages.EventOf(200_000));
        }

        return gateway.ResidentBytes;
    }

    private static async Task AssertServesAsync(GatewayProcess gateway)
    {
        Assert.False(gateway.HasExited);
        await using var socket = await gateway.ConnectAsync();
        await socket.InitAsync();
        await socket.SubscribeAsync("after", "/default/after/*");
        await using var publisher = await gateway.ConnectAsync();
        await publisher.PublishAsync("/default/after/all", "\"still here\"");
        Assert.Equal("\"still here\"", await socket.NextEventAsync("after"));
    }

    private static void AssertNoAlarm(GatewayProcess gateway)
    {
        // Many lines tell of the same thing; ids, times and numbers aside, each is shown once.
        var lines = gateway.Output.Where(line => s_alarms.Any(alarm => line.Contains(alarm, StringComparison.Ordinal)))
            .DistinctBy(line => Particulars().Replace(line, ""))
            .Take(AlarmLinesMax)
            .Select(line => line[..Math.Min(line.Length, AlarmLineLengthMax)])
            .ToList();
        Assert.True(lines.Count == 0, "the gateway wrote:\n" + string.Join('\n', lines));
    }

    private static int? FromEnvironment(string name) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var value) ? value : null;

    [GeneratedRegex("""\"[^\"]*\"|[0-9a-f-]{36}|[0-9]+""")]
    private static partial Regex Particulars();

    /// <summary>An innocent pair: one publishes numbers, the other must get each of them, in order.</summary>
    private sealed class Bystander(RawWebSocket publisher, RawWebSocket subscriber, Task<int> running) : IAsyncDisposable
    {
        private const string Channel = "/default/bystander";

        public static async Task<Bystander> StartAsync(GatewayProcess gateway, ChannelReader<bool> steps)
        {
            var publisher = await gateway.ConnectAsync();
            var subscriber = await gateway.ConnectAsync();
            await subscriber.SubscribeAsync("b", Channel);
            return new Bystander(publisher, subscriber, RunAsync(publisher, subscriber, steps));
        }

        public Task<int> StopAsync() => Deadline.WaitAsync(running, "the bystander's last event", TimeSpan.FromMinutes(1));

        public async ValueTask DisposeAsync()
        {
            await publisher.DisposeAsync();
            await subscriber.DisposeAsync();
        }

        private static async Task<int> RunAsync(RawWebSocket publisher, RawWebSocket subscriber, ChannelReader<bool> steps)
        {
            var number = 0;
            await foreach (var _ in steps.ReadAllAsync(TestContext.Current.CancellationToken))
            {
                await publisher.PublishAsync(Channel, $"{number}");
                Assert.Equal($"{number}", await subscriber.NextEventAsync("b"));
                number++;
            }

            return number;
        }
    }
}
