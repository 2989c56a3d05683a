namespace Fanfare.Gateway.Backplane;

/// <summary>Logs that the backplane fails, once per episode rather than once per request. Safe for concurrent use.</summary>
internal sealed partial class BackplaneFailures(ILogger<BackplaneFailures> logger)
{
    private int _isFailing;

    /// <summary>A call failed.</summary>
    public void Failed(Exception exception)
    {
        if (Interlocked.Exchange(ref _isFailing, 1) == 0)
        {
            LogFailing(logger, exception);
        }
    }

    /// <summary>A call succeeded; the episode, if there was one, is over.</summary>
    public void Succeeded()
    {
        // Read first: this is on the path of every publish, and a write would bounce between cores.
        if (Volatile.Read(ref _isFailing) != 0 && Interlocked.Exchange(ref _isFailing, 0) != 0)
        {
            LogRecovered(logger);
        }
    }

    [LoggerMessage(50, LogLevel.Warning, "The backplane fails; what needs it is refused until it answers again.")]
    private static partial void LogFailing(ILogger logger, Exception exception);

    [LoggerMessage(51, LogLevel.Warning, "The backplane answers again.")]
    private static partial void LogRecovered(ILogger logger);
}
