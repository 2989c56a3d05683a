using System.Diagnostics;

namespace Fanfare.Bench;

/// <summary>How long publishes take at a low, steady rate, in milliseconds.</summary>
/// <param name="DeliveryMedian">From the publish to the event at the subscriber, median.</param>
/// <param name="DeliveryP99">The same, 99th percentile.</param>
/// <param name="AnswerMedian">From the publish to its answer, median.</param>
/// <param name="AnswerP99">The same, 99th percentile.</param>
/// <param name="PublishCount">How many publishes were made, those included that are not counted above.</param>
internal readonly record struct Latency(double DeliveryMedian, double DeliveryP99, double AnswerMedian, double AnswerP99, int PublishCount)
{
    // In turn, so that none has to wait for one before it. Each has channels of its own.
    private const int ConnectionCount = 16;
    private const int ChannelCount = 64;

    private static readonly TimeSpan s_leadIn = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_drainTimeout = TimeSpan.FromSeconds(30);
    private static int s_lastRun;

    /// <summary>Measures.</summary>
    public static async Task<Latency> MeasureAsync(Target target, int rate, TimeSpan duration)
    {
        var run = $"/{target.Namespace}/steady{++s_lastRun}";
        var leadInCount = Math.Max(ChannelCount, (int)(rate * s_leadIn.TotalSeconds));
        var count = leadInCount + (int)(rate * duration.TotalSeconds);
        var (sent, delivered, answered) = (new long[count], new long[count], new long[count]);
        var connections = new List<ClientConnection>();
        // Events of a channel are numbered from 1, and channels take turns.
        using var subscriber = await Subscriber.StartAsync(
            target, $"{run}/*", ChannelCount,
            (stream, number) => delivered[((number - 1) * ChannelCount) + stream] = Stopwatch.GetTimestamp());
        try
        {
            for (var i = 0; i < ConnectionCount; i++)
            {
                connections.Add(await ClientConnection.OpenAsync(target.PublishingPort));
            }

            var answers = Task.WhenAll(connections.Select((connection, index) => ReadAnswersAsync(
                connection, answered, (count / ConnectionCount) + (index < count % ConnectionCount ? 1 : 0))));
            var deliveredCount = await PublishAsync(connections, run, target.KeptEvery, rate, sent);
            await answers.WaitAsync(s_drainTimeout);
            await subscriber.AwaitAsync(deliveredCount);
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }

        var deliveries = GetSorted(sent, delivered, leadInCount);
        var acknowledgements = GetSorted(sent, answered, leadInCount);
        return new Latency(
            Statistics.GetPercentile(deliveries, 0.5), Statistics.GetPercentile(deliveries, 0.99),
            Statistics.GetPercentile(acknowledgements, 0.5), Statistics.GetPercentile(acknowledgements, 0.99),
            count);
    }

    // Returns how many events are to be delivered.
    private static async Task<long> PublishAsync(List<ClientConnection> connections, string run, int keptEvery, int rate, long[] sent)
    {
        var messages = Enumerable.Range(0, ChannelCount)
            .Select(stream => new PublishMessage($"{run}/c{stream}", stream, PublishShape.Small)).ToArray();
        var buffer = new byte[messages.Max(message => message.Length)];
        var next = 0;
        var began = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(s_tick);
        while (next < sent.Length)
        {
            await timer.WaitForNextTickAsync();
            // What the timer was late for is sent now and counts from now: its lateness is this machine's, not the gateway's. Only a
            // few at once, so that lateness does not make a load of its own.
            var due = Math.Min(sent.Length, (int)(Stopwatch.GetElapsedTime(began).TotalSeconds * rate));
            for (var i = 0; i < ConnectionCount && next < due; i++, next++)
            {
                var length = messages[next % ChannelCount].WriteNext(buffer, next);
                sent[next] = Stopwatch.GetTimestamp();
                await connections[next % ConnectionCount].SendAsync(buffer.AsMemory(0, length));
            }
        }

        return messages.Sum(message => message.EventCount / keptEvery);
    }

    private static async Task ReadAnswersAsync(ClientConnection connection, long[] answered, int count)
    {
        while (count > 0)
        {
            await connection.ReceiveAsync();
            while (connection.TryRead(out var text))
            {
                if (PublishMessage.TryReadAccepted(text, out var id))
                {
                    answered[id] = Stopwatch.GetTimestamp();
                    count--;
                }
            }
        }
    }

    // What a handler drops is not delivered.
    private static double[] GetSorted(long[] sent, long[] seen, int leadInCount) =>
    [
        .. sent.Zip(seen).Skip(leadInCount).Where(pair => pair.Second != 0)
            .Select(pair => Stopwatch.GetElapsedTime(pair.First, pair.Second).TotalMilliseconds).Order(),
    ];
}
