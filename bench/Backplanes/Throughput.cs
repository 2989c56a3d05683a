using System.Diagnostics;

namespace Fanfare.Backplanes;

/// <summary>One way to load a deployment.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="ChannelsPerConnection">How many channels of its own each connection publishes to; 0 for one channel of them all.</param>
/// <param name="SubscriberCount">How many subscribers there are, on the gateway that publishers are not on.</param>
internal sealed record Load(string Name, int ChannelsPerConnection, int SubscriberCount)
{
    /// <summary>What is measured.</summary>
    public static readonly Load[] All =
    [
        new("many channels, 0 subscribers", 4, 0),
        new("many channels, 1 subscriber", 4, 1),
        new("one channel, 0 subscribers", 0, 0),
        new("one channel, 1 subscriber", 0, 1),
    ];
}

/// <summary>What a deployment did under a load.</summary>
/// <param name="PublishesPerSecond">Publishes that were accepted, and delivered where there was a subscriber.</param>
/// <param name="ServerMicroseconds">Processor time of all its processes for each.</param>
/// <param name="ClientMicroseconds">Processor time of this process for each.</param>
internal readonly record struct Throughput(double PublishesPerSecond, double ServerMicroseconds, double ClientMicroseconds)
{
    private static readonly TimeSpan s_leadIn = TimeSpan.FromMilliseconds(500);
    private static int s_lastRun;

    /// <summary>Measures.</summary>
    /// <param name="deployment">The deployment.</param>
    /// <param name="load">The load.</param>
    /// <param name="connectionCount">How many connections publish. A gateway takes the publishes of one connection one after the other.</param>
    /// <param name="window">How many publishes each of them has under way.</param>
    /// <param name="duration">For how long.</param>
    public static async Task<Throughput> MeasureAsync(
        Deployment deployment, Load load, int connectionCount, int window, TimeSpan duration)
    {
        var run = $"/default/load{++s_lastRun}";
        var channelCount = Math.Max(1, load.ChannelsPerConnection);
        using var subscriber = load.SubscriberCount == 0
            ? null
            : await Subscriber.StartAsync(
                deployment.SubscribingPort, load.ChannelsPerConnection == 0 ? $"{run}/hot" : $"{run}/*", connectionCount * channelCount);

        var publishers = new List<Publisher>();
        try
        {
            for (var i = 0; i < connectionCount; i++)
            {
                var messages = Enumerable.Range(i * channelCount, channelCount)
                    .Select(stream => new PublishMessage(load.ChannelsPerConnection == 0 ? $"{run}/hot" : $"{run}/c{stream}", stream));
                publishers.Add(new Publisher(await ClientConnection.OpenAsync(deployment.PublishingPort), [.. messages], window));
            }

            // Channels become known to the cluster.
            await RunAsync(publishers, subscriber, s_leadIn);

            var accepted = publishers.Sum(publisher => publisher.AcceptedCount);
            var (server, client) = (deployment.GetProcessorTime(), Environment.CpuUsage.TotalTime);
            var began = Stopwatch.GetTimestamp();
            await RunAsync(publishers, subscriber, duration);
            var elapsed = Stopwatch.GetElapsedTime(began);
            accepted = publishers.Sum(publisher => publisher.AcceptedCount) - accepted;
            return new Throughput(
                accepted / elapsed.TotalSeconds,
                (deployment.GetProcessorTime() - server).TotalMicroseconds / accepted,
                (Environment.CpuUsage.TotalTime - client).TotalMicroseconds / accepted);
        }
        finally
        {
            publishers.ForEach(publisher => publisher.Dispose());
        }
    }

    private static async Task RunAsync(List<Publisher> publishers, Subscriber? subscriber, TimeSpan duration)
    {
        var end = Stopwatch.GetTimestamp() + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        await Task.WhenAll(publishers.Select(publisher => Task.Run(() => publisher.RunAsync(end))));
        if (subscriber is not null)
        {
            await subscriber.AwaitAsync(publishers.Sum(publisher => publisher.AcceptedCount));
        }
    }
}
