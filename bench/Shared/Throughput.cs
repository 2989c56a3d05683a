using System.Diagnostics;

namespace Fanfare.Bench;

/// <summary>How publishes are made.</summary>
/// <param name="ConnectionCount">How many connections publish. A gateway takes the publishes of one connection one after the other.</param>
/// <param name="Window">How many publishes each of them has under way.</param>
/// <param name="ChannelsPerConnection">How many channels of its own each connection publishes to; 0 for one channel of them all.</param>
/// <param name="HasSubscriber">Whether there is a subscriber to all channels.</param>
/// <param name="Shape">What is published.</param>
internal sealed record PublishLoad(int ConnectionCount, int Window, int ChannelsPerConnection, bool HasSubscriber, PublishShape Shape);

/// <summary>What servers did under a load.</summary>
/// <param name="PublishesPerSecond">Publishes that were accepted, and delivered where there was a subscriber.</param>
/// <param name="ServerMicroseconds">Processor time for each, of the servers as they are told apart.</param>
/// <param name="ClientMicroseconds">Processor time of this process for each.</param>
internal readonly record struct Throughput(double PublishesPerSecond, double[] ServerMicroseconds, double ClientMicroseconds)
{
    private static readonly TimeSpan s_leadIn = TimeSpan.FromMilliseconds(500);
    private static int s_lastRun;

    /// <summary>Processor time of all servers for each publish.</summary>
    public double AllServersMicroseconds => ServerMicroseconds.Sum();

    /// <summary>Measures.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="load">What.</param>
    /// <param name="duration">For how long.</param>
    /// <param name="getProcessorTimes">The processor times of the servers so far.</param>
    /// <param name="drainAsync">
    /// Called with the number of publishes made since it was called last, before processor times are read: returns when nothing is left to
    /// be done for them.
    /// </param>
    public static async Task<Throughput> MeasureAsync(
        Target target, PublishLoad load, TimeSpan duration, Func<TimeSpan[]> getProcessorTimes, Func<long, Task>? drainAsync = null)
    {
        var run = $"/{target.Namespace}/load{++s_lastRun}";
        var channelCount = Math.Max(1, load.ChannelsPerConnection);
        using var subscriber = load.HasSubscriber
            ? await Subscriber.StartAsync(
                target, load.ChannelsPerConnection == 0 ? $"{run}/hot" : $"{run}/*", load.ConnectionCount * channelCount)
            : null;

        var publishers = new List<Publisher>();
        try
        {
            for (var i = 0; i < load.ConnectionCount; i++)
            {
                var messages = Enumerable.Range(i * channelCount, channelCount).Select(stream => new PublishMessage(
                    load.ChannelsPerConnection == 0 ? $"{run}/hot" : $"{run}/c{stream}", stream, load.Shape));
                publishers.Add(new Publisher(await ClientConnection.OpenAsync(target.PublishingPort), [.. messages], load.Window));
            }

            // Channels become known to the cluster.
            await RunAsync(s_leadIn);
            var warmUp = publishers.Sum(publisher => publisher.AcceptedCount);
            await (drainAsync?.Invoke(warmUp) ?? Task.CompletedTask);

            var (servers, client) = (getProcessorTimes(), Environment.CpuUsage.TotalTime);
            var began = Stopwatch.GetTimestamp();
            await RunAsync(duration);
            var elapsed = Stopwatch.GetElapsedTime(began);
            client = Environment.CpuUsage.TotalTime - client;
            var accepted = publishers.Sum(publisher => publisher.AcceptedCount) - warmUp;
            await (drainAsync?.Invoke(accepted) ?? Task.CompletedTask);
            return new Throughput(
                accepted / elapsed.TotalSeconds,
                [.. getProcessorTimes().Zip(servers, (after, before) => (after - before).TotalMicroseconds / accepted)],
                client.TotalMicroseconds / accepted);
        }
        finally
        {
            publishers.ForEach(publisher => publisher.Dispose());
        }

        async Task RunAsync(TimeSpan time)
        {
            var end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
            await Task.WhenAll(publishers.Select(publisher => Task.Run(() => publisher.RunAsync(end))));
            if (subscriber is not null)
            {
                await subscriber.AwaitAsync(publishers.Sum(publisher => publisher.CountDelivered(target)));
            }
        }
    }
}
