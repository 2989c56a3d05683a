using System.Diagnostics;
using System.Net.WebSockets;
using Fanfare.Chaos.Checking;

namespace Fanfare.Chaos.Load;

/// <summary>A client that stays subscribed: where its connection ends, it connects to the next gateway and subscribes there.</summary>
internal sealed class Subscriber(LoadRun run, string name, int gateway, IReadOnlyList<string> patterns)
{
    private static readonly TimeSpan s_backOffMax = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _isSubscribed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _gateway = gateway;

    /// <summary>Completes when all patterns were subscribed to for the first time.</summary>
    public Task Subscribed => _isSubscribed.Task;

    /// <summary>Stays subscribed until told to stop.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        var backOff = TimeSpan.FromMilliseconds(100);
        while (!stopping.IsCancellationRequested)
        {
            ConnectionEnd? end = null;
            try
            {
                await using var client = await EventsClient.ConnectAsync(run.Gateways[_gateway], stopping);
                end = await StayAsync(client, stopping);
                backOff = TimeSpan.FromMilliseconds(100);
            }
            catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException)
            {
                // The gateway is not there; the next one may be.
            }

            if (end is { IsClosed: true })
            {
                run.CountClose(end.Value.Code);
            }

            if (end is { IsClosed: true, Code: 1001 })
            {
                // Told to go elsewhere: at once.
                _gateway++;
                continue;
            }

            _gateway++;
            await Task.Delay(backOff * (1 + Random.Shared.NextDouble()), stopping)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            backOff = backOff * 2 < s_backOffMax ? backOff * 2 : s_backOffMax;
        }
    }

    private async Task<ConnectionEnd> StayAsync(EventsClient client, CancellationToken stopping)
    {
        var records = new List<SubscriptionRecord>();
        try
        {
            var subscribing = new List<Task>();
            for (var i = 0; i < patterns.Count; i++)
            {
                var record = new SubscriptionRecord { Name = $"{name}@{run.Gateways[_gateway].Authority}", Pattern = patterns[i] };
                records.Add(record);
                subscribing.Add(SubscribeAsync(client, $"s{i}", record, stopping));
            }

            await Task.WhenAll(subscribing);
            _isSubscribed.TrySetResult();
            return await client.Ended.WaitAsync(stopping);
        }
        finally
        {
            // Before the records are handed over, so that nobody adds to them any more.
            var end = client.Ended.IsCompleted ? await client.Ended : (ConnectionEnd?)null;
            foreach (var record in records)
            {
                if (end is { } known)
                {
                    record.End = known.IsClosed ? SubscriptionEnd.Closed : SubscriptionEnd.Broken;
                    record.Ended = known.Time;
                }

                run.Add(record);
            }
        }
    }

    private async Task SubscribeAsync(EventsClient client, string id, SubscriptionRecord record, CancellationToken stopping)
    {
        while (true)
        {
            var sent = Stopwatch.GetTimestamp();
            var answer = await client.SubscribeAsync(id, record);
            run.NoteSubscribe(Stopwatch.GetElapsedTime(sent, answer.Time), answer.Error);
            if (answer.Error is null)
            {
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(500), stopping);
        }
    }
}
