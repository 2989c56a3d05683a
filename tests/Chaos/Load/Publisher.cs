using System.Diagnostics;
using System.Net.WebSockets;
using Fanfare.Chaos.Checking;

namespace Fanfare.Chaos.Load;

/// <summary>A client that publishes at a steady rate, over one connection at a time.</summary>
/// <param name="run">The run that it is part of.</param>
/// <param name="gateway">The gateway to begin with.</param>
/// <param name="channels">The channels, in turn.</param>
/// <param name="interval">The time between two publishes.</param>
/// <param name="window">How many publishes may be without an answer; what would exceed it is left out.</param>
internal sealed class Publisher(LoadRun run, int gateway, IReadOnlyList<string> channels, TimeSpan interval, int window)
{
    private static readonly TimeSpan s_reconnectDelay = TimeSpan.FromMilliseconds(250);

    private readonly List<PublishRecord> _resent = [];
    private int _gateway = gateway;
    private int _id = run.NextPublisher();
    private int _lastNumber;
    private int _turn;
    private int _unansweredCount;

    /// <summary>Publishes until told to stop, and then waits for the answers.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        // Not all at the same moment.
        await Task.Delay(interval * Random.Shared.NextDouble(), CancellationToken.None);
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await using var client = await EventsClient.ConnectAsync(run.Gateways[_gateway], stopping);
                await PublishAsync(client, stopping);
                continue;
            }
            catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException)
            {
                _gateway++;
            }

            await Task.Delay(s_reconnectDelay, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task PublishAsync(EventsClient client, CancellationToken stopping)
    {
        var unanswered = new List<PublishRecord>();
        var sending = new List<Task>();
        foreach (var record in _resent)
        {
            sending.Add(SendAsync(client, record, unanswered));
        }

        _resent.Clear();
        using var timer = new PeriodicTimer(interval);
        try
        {
            while (!client.Ended.IsCompleted && await timer.WaitForNextTickAsync(stopping))
            {
                if (Volatile.Read(ref _unansweredCount) < window)
                {
                    sending.RemoveAll(task => task.IsCompleted);
                    sending.Add(SendAsync(client, Next(), unanswered));
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Time to stop; the answers still count.
        }

        await Task.WhenAll(sending);
        if (!client.Ended.IsCompleted)
        {
            return;
        }

        var end = await client.Ended;
        _gateway++;
        if (end is { IsClosed: true, Code: 1001 } && run.ResendsAfterClose)
        {
            // A gateway that stops answers all it has taken before it closes: what has no answer, it has not taken.
            _resent.AddRange(unanswered.OrderBy(record => record.First.Number));
        }
        else if (unanswered.Count > 0)
        {
            // They may be on their way still, and what comes now by another gateway may overtake them.
            _id = run.NextPublisher();
            _lastNumber = 0;
        }
    }

    private PublishRecord Next()
    {
        var turn = _turn++;
        // Every fifth publish is a batch.
        var count = turn % 5 == 4 ? 3 : 1;
        var record = new PublishRecord
        {
            Channel = channels[turn % channels.Count],
            First = new EventName(_id, _lastNumber + 1),
            Count = count,
            Sent = Stopwatch.GetTimestamp(),
        };
        _lastNumber += count;
        run.Add(record);
        return record;
    }

    private async Task SendAsync(EventsClient client, PublishRecord record, List<PublishRecord> unanswered)
    {
        Interlocked.Increment(ref _unansweredCount);
        try
        {
            var answer = await client.PublishAsync($"p{record.First.Number}", record.Channel, EventText.Write(record.First, record.Count));
            record.Answered = answer.Time;
            record.Outcome = answer.Error is null ? PublishOutcome.Accepted : PublishOutcome.Refused;
            run.NoteAnswer(record, answer.Error);
        }
        catch (WebSocketException)
        {
            lock (unanswered)
            {
                unanswered.Add(record);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _unansweredCount);
        }
    }
}
