namespace Fanfare.Broker;

/// <summary>Gives memory back when many channels have been forgotten.</summary>
/// <remarks>
/// A process that has nothing to do allocates nothing, and a runtime to which nothing is allocated does not collect: after a million
/// channels were used once and forgotten, a silo kept 2.3 GiB for as long as it was idle.
/// </remarks>
internal sealed class MemoryRelease(BrokerMetrics metrics, TimeProvider timeProvider) : BackgroundService
{
    /// <summary>How many channels must have been forgotten: some 100 MB in a silo.</summary>
    private const int ForgottenMin = 50_000;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, timeProvider);
        var (most, last) = (0, 0);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            var now = metrics.ChannelCount;
            most = Math.Max(most, now);
            // Three quarters of them, and no more at the moment: little is left to look at, so that the pause is short.
            if (most - now >= ForgottenMin && now < most / 4 && last - now < ForgottenMin / 100)
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                most = now;
            }

            last = now;
        }
    }
}
