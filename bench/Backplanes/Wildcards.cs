using System.Diagnostics;

namespace Fanfare.Backplanes;

/// <summary>How long a gateway's first subscription to a wildcard takes.</summary>
internal static class Wildcards
{
    // With so many, there are some on each of eight silos.
    private const int ChannelCount = 48;
    private const int ConnectionCount = 8;

    /// <summary>Returns the time from the subscribe to its confirmation, in milliseconds.</summary>
    /// <param name="deployment">The deployment.</param>
    /// <param name="name">The wildcard's last segment before the asterisk; not used before.</param>
    /// <param name="hasChannels">Whether channels below the wildcard are active on all silos; otherwise nobody knows it yet.</param>
    public static async Task<double> MeasureAsync(Deployment deployment, string name, bool hasChannels)
    {
        using var connection = await ClientConnection.OpenAsync(deployment.SubscribingPort);
        if (hasChannels)
        {
            var publishers = new List<Publisher>();
            try
            {
                for (var i = 0; i < ConnectionCount; i++)
                {
                    var messages = Enumerable.Range(i, ChannelCount / ConnectionCount)
                        .Select(n => new PublishMessage($"/default/{name}/c{i}-{n}", 0, PublishShape.Small));
                    publishers.Add(new Publisher(await ClientConnection.OpenAsync(deployment.PublishingPort), [.. messages], 1));
                }

                await Task.WhenAll(publishers.Select(publisher => publisher.RunAsync(long.MaxValue, ChannelCount / ConnectionCount)));
            }
            finally
            {
                publishers.ForEach(publisher => publisher.Dispose());
            }
        }

        var began = Stopwatch.GetTimestamp();
        await connection.SubscribeAsync($"/default/{name}/*", "s");
        var elapsed = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        await connection.UnsubscribeAsync("s");
        return elapsed;
    }
}
