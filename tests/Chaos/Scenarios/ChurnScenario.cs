using System.Diagnostics;
using System.Net.WebSockets;
using Fanfare.Chaos.Checking;
using Fanfare.Chaos.Load;
using Fanfare.Chaos.Processes;

namespace Fanfare.Chaos.Scenarios;

/// <summary>Subscriptions come and go, 1,000 a second on wildcards of every level, while channels are published to.</summary>
/// <remarks>
/// Each churning client has its own patterns: it subscribes, stays for a moment, unsubscribes, and takes the
/// next. Patterns are few, so that clients of all gateways are the first and the last of the same pattern all the time.
/// </remarks>
internal sealed class ChurnScenario()
    : FaultScenario("churn", "1,000 subscribes and unsubscribes a second on wildcards of every level", TimeSpan.FromSeconds(60))
{
    private const int ClientCount = 30;
    private const int ChangesPerSecond = 1_000;
    private static readonly string[] s_patterns =
    [
        .. Channels.SelectMany(channel => Enumerable.Range(0, channel.Length).Where(i => i > 0 && channel[i] == '/').Select(i => channel[..i] + "/*")).Distinct(),
        .. Channels,
    ];

    private int _changes;
    private int _errors;

    /// <inheritdoc/>
    protected override async Task HurtAsync(Cluster cluster, LoadRun run, TimeSpan time, ScenarioConsole console)
    {
        using var stopping = new CancellationTokenSource(time);
        var began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, ClientCount).Select(i => ChurnAsync(run, i, stopping.Token)));
        var rate = _changes / Stopwatch.GetElapsedTime(began).TotalSeconds;
        console.Say($"{_changes} subscribes and unsubscribes, {rate:0} a second, {_errors} refused");
        run.AddNote($"{_changes} subscribes and unsubscribes, {rate:0} a second, {_errors} refused");
    }

    /// <inheritdoc/>
    protected override IEnumerable<string> FindFailures(Verdict verdict, LoadRun run)
    {
        if (verdict.Refused + verdict.Unanswered + _errors > 0)
        {
            yield return $"{verdict.Refused + verdict.Unanswered} publishes and {_errors} changes failed, though nothing was hurt";
        }
    }

    // The clients share a rate: each makes its changes one after the other, as many at a time as the rate asks for.
    private async Task ChurnAsync(LoadRun run, int index, CancellationToken stopping)
    {
        await using var client = await EventsClient.ConnectAsync(run.Gateways[index], CancellationToken.None);
        var changing = new List<Task>();
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(2.0 * ClientCount / ChangesPerSecond));
        var random = new Random(index);
        try
        {
            for (var i = 0; await timer.WaitForNextTickAsync(stopping); i++)
            {
                changing.RemoveAll(task => task.IsCompletedSuccessfully);
                changing.Add(ComeAndGoAsync(run, client, $"c{i}", s_patterns[random.Next(s_patterns.Length)], random.Next(500)));
            }
        }
        catch (OperationCanceledException)
        {
            // Time is up.
        }

        await Task.WhenAll(changing);
    }

    private async Task ComeAndGoAsync(LoadRun run, EventsClient client, string id, string pattern, int stayMilliseconds)
    {
        var record = new SubscriptionRecord { Name = $"churn {id}", Pattern = pattern };
        try
        {
            var subscribed = await ChangeAsync(run, () => client.SubscribeAsync(id, record));
            if (subscribed)
            {
                await Task.Delay(stayMilliseconds);
                await ChangeAsync(run, () => client.UnsubscribeAsync(id));
            }
        }
        catch (WebSocketException)
        {
            Interlocked.Increment(ref _errors);
        }

        run.Add(record);
    }

    private async Task<bool> ChangeAsync(LoadRun run, Func<Task<Answer>> change)
    {
        var sent = Stopwatch.GetTimestamp();
        var answer = await change();
        run.NoteSubscribe(Stopwatch.GetElapsedTime(sent, answer.Time), answer.Error);
        Interlocked.Increment(ref _changes);
        if (answer.Error is null)
        {
            return true;
        }

        Interlocked.Increment(ref _errors);
        return false;
    }
}
