using System.Diagnostics;
using Fanfare.Chaos.Checking;
using Fanfare.Chaos.Load;
using Fanfare.Chaos.Processes;

namespace Fanfare.Chaos.Scenarios;

/// <summary>A day in minutes: a great many channels, each used once, half of them below a wildcard with a subscriber.</summary>
/// <remarks>Memory must come back to where it was, once what is idle has been collected; nothing is forced.</remarks>
internal sealed class ChannelsScenario() : Scenario("channels", "1,000,000 channels, each used once", TimeSpan.Zero)
{
    private const int PublisherCount = 96;

    // The collection of idle channels takes the age limit, and then some.
    private static readonly TimeSpan s_collectionTime = TimeSpan.FromMinutes(4);
    private static readonly TimeSpan s_sampleInterval = TimeSpan.FromSeconds(10);

    // Above the start: what a runtime keeps for later.
    private const long GrowthBytesMax = 96L * 1024 * 1024;

    /// <inheritdoc/>
    public override async Task<ScenarioResult> RunAsync(ScenarioOptions options, ScenarioConsole console)
    {
        await using var cluster = await Cluster.StartAsync(silos: 2, gateways: 2, settings: options.Settings);
        console.LogFolder = cluster.LogFolder;
        using var run = new LoadRun(new GatewayChoice([.. cluster.Gateways.Select(gateway => gateway.Address)]));
        await run.SubscribeAsync([new Subscriber(run, "subscriber", 0, ["/default/used/*"])]);

        // A process grows with its first work, whatever that is; the start is measured behind it.
        var warmUp = Math.Min(20_000, options.Channels / 10);
        await UseAsync(run, 0, warmUp);
        console.Say($"{warmUp} channels to warm up; waiting for the collection");
        await SampleAsync(cluster, console, s_collectionTime / 2);
        var before = Measure(cluster);
        console.Say($"before: {before}");

        using var sampling = new CancellationTokenSource();
        var peaking = FindPeakAsync(cluster, console, run, sampling.Token);
        var began = Stopwatch.GetTimestamp();
        await UseAsync(run, warmUp, options.Channels);
        var time = Stopwatch.GetElapsedTime(began);
        await sampling.CancelAsync();
        var peak = await peaking;
        console.Say($"{options.Channels} channels in {time.TotalSeconds:0} s; peak: {peak}");

        await SampleAsync(cluster, console, s_collectionTime);
        var after = Measure(cluster);
        console.Say($"after: {after}");

        var history = await run.StopAsync();
        var ends = cluster.Processes.SelectMany(process => process.Ends).ToList();
        return new ScenarioResult
        {
            Verdict = Checker.Check(history),
            Run = run,
            Ends = ends,
            Errors = cluster.FindErrors(),
            Notes =
            [
                FormattableString.Invariant($"{options.Channels / time.TotalSeconds:0} channels a second"),
                $"resident before: {before}", $"resident at the peak: {peak}", $"resident after: {after}",
            ],
            Failures = [.. FindGrowth(before, after), .. ends.Select(end => $"{end.Name} ended with {end.Code}, though nothing was hurt")],
        };
    }

    private static IEnumerable<string> FindGrowth(Memory before, Memory after)
    {
        if (after.Silos > before.Silos + GrowthBytesMax)
        {
            yield return $"silos hold more than before: {before}, {after}";
        }

        if (after.Gateways > before.Gateways + GrowthBytesMax)
        {
            yield return $"gateways hold more than before: {before}, {after}";
        }
    }

    private static async Task UseAsync(LoadRun run, int first, int count)
    {
        var last = first - 1;
        await Task.WhenAll(Enumerable.Range(0, PublisherCount).Select(async publisher =>
        {
            var id = run.NextPublisher();
            var number = 0;
            await using var client = await EventsClient.ConnectAsync(run.Gateways[publisher], CancellationToken.None);
            while (Interlocked.Increment(ref last) is var channel && channel < first + count)
            {
                var record = new PublishRecord
                {
                    Channel = channel % 2 == 0 ? $"/default/used/c{channel}" : $"/default/idle/c{channel}",
                    First = new EventName(id, ++number),
                    Count = 1,
                    Sent = Stopwatch.GetTimestamp(),
                };
                run.Add(record);
                var answer = await client.PublishAsync($"p{number}", record.Channel, EventText.Write(record.First, record.Count));
                record.Answered = answer.Time;
                record.Outcome = answer.Error is null ? PublishOutcome.Accepted : PublishOutcome.Refused;
                run.NoteAnswer(record, answer.Error);
            }
        }));
    }

    private static async Task SampleAsync(Cluster cluster, ScenarioConsole console, TimeSpan time)
    {
        var began = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(s_sampleInterval * 3);
        while (Stopwatch.GetElapsedTime(began) < time && await timer.WaitForNextTickAsync())
        {
            console.Say($"idle: {Measure(cluster)}");
        }
    }

    private static async Task<Memory> FindPeakAsync(Cluster cluster, ScenarioConsole console, LoadRun run, CancellationToken stopping)
    {
        var peak = Measure(cluster);
        using var timer = new PeriodicTimer(s_sampleInterval);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                var now = Measure(cluster);
                console.Say($"{run.Accepted} publishes; {now}");
                peak = new Memory(Math.Max(peak.Silos, now.Silos), Math.Max(peak.Gateways, now.Gateways), Math.Max(peak.Redis, now.Redis));
            }
        }
        catch (OperationCanceledException)
        {
            // All channels are used.
        }

        return peak;
    }

    private static Memory Measure(Cluster cluster) => new(
        cluster.Silos.Max(silo => silo.ResidentBytes), cluster.Gateways.Max(gateway => gateway.ResidentBytes), cluster.Redis.ResidentBytes);

    // The largest of each kind.
    private readonly record struct Memory(long Silos, long Gateways, long Redis)
    {
        public override string ToString() =>
            FormattableString.Invariant($"silo {Silos >> 20} MiB, gateway {Gateways >> 20} MiB, Redis {Redis >> 20} MiB");
    }
}
