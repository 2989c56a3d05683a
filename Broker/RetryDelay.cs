namespace Fanfare.Broker;

/// <summary>The pauses between attempts of one call: each twice as long as the one before, with some chance in it.</summary>
internal struct RetryDelay(TimeProvider timeProvider)
{
    private TimeSpan _next = Timing.RetryDelayMin;

    /// <summary>Waits before the next attempt.</summary>
    public Task WaitAsync(CancellationToken cancellationToken = default)
    {
        // By chance up to half as much again, so that those who failed together do not come back together.
        var delay = _next * (1 + (Random.Shared.NextDouble() / 2));
        _next = _next * 2 < Timing.RetryDelayMax ? _next * 2 : Timing.RetryDelayMax;
        return Task.Delay(delay, timeProvider, cancellationToken);
    }
}
