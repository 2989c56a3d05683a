using Microsoft.Extensions.Logging;

namespace Fanfare.ServiceDefaults.Prometheus;

internal static partial class PrometheusLog
{
    // Once per episode: scrapes repeat every few seconds, and so would this.
    [LoggerMessage(1, LogLevel.Warning, "Some observable instruments failed; they are missing from /metrics until they recover.")]
    public static partial void ObservationFailed(ILogger logger, Exception exception);
}
