namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>What the Redis backplane logs. No exceptions as such: only what is known to hold no part of the connection string.</summary>
internal static partial class RedisLog
{
    [LoggerMessage(60, LogLevel.Warning, "Redis cannot be reached ({Reason}); publishes and subscribes are refused until it can.")]
    public static partial void Unreachable(ILogger logger, string reason);

    [LoggerMessage(61, LogLevel.Warning,
        "Redis was lost ({Reason}: {Detail}). Publishes and subscribes are refused; what other gateways publish now is missed here.")]
    public static partial void Lost(ILogger logger, string reason, string detail);

    [LoggerMessage(62, LogLevel.Warning, "Redis is back after {Seconds:0.0} s; {Patterns} patterns are subscribed again.")]
    public static partial void Recovered(ILogger logger, double seconds, int patterns);

    [LoggerMessage(63, LogLevel.Information, "Redis is connected.")]
    public static partial void Connected(ILogger logger);

    [LoggerMessage(64, LogLevel.Debug, "Redis still cannot be reached ({Reason}).")]
    public static partial void StillUnreachable(ILogger logger, string reason);

    [LoggerMessage(65, LogLevel.Warning, "A message of {Length} bytes for {Pattern} is no publish and was dropped. Does something else write to these channels?")]
    public static partial void Malformed(ILogger logger, int length, string pattern);

    [LoggerMessage(66, LogLevel.Warning, "Redis refuses publishes: {Error}")]
    public static partial void PublishRefused(ILogger logger, string error);

    [LoggerMessage(67, LogLevel.Error, "The Redis backplane failed; it is tried again.")]
    public static partial void Failed(ILogger logger, Exception exception);
}
