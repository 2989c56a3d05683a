using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Observability;

/// <summary>What an API logs of its requests, as much as its <see cref="ApiLogLevel"/> asks for. Category <c>Fanfare.Api</c>.</summary>
/// <remarks>
/// Entries follow AppSync's request summaries. They hold no header, no token, no key and no event. The process's own log levels
/// apply on top: <c>Logging:LogLevel:Fanfare.Api</c> is Information by default, so that the template decides.
/// </remarks>
internal sealed partial class ApiLog(ILoggerFactory loggerFactory)
{
    /// <summary>The logger's category.</summary>
    public const string Category = "Fanfare.Api";

    private readonly ILogger _logger = loggerFactory.CreateLogger(Category);

    /// <summary>An HTTP publish was answered.</summary>
    public void HttpPublish(ServedApi api, Guid requestId, ProtocolError? error, int status, TimeSpan latency)
    {
        if (error is not null && api.Model.LogLevel >= ApiLogLevel.Error)
        {
            LogHttpFailure(_logger, requestId, api.Model.Id, error.Label, status, latency.TotalMilliseconds);
        }
        else if (api.Model.LogLevel == ApiLogLevel.All)
        {
            LogHttpSummary(_logger, requestId, api.Model.Id, status, latency.TotalMilliseconds);
        }
    }

    /// <summary>An operation on a WebSocket, or the connect itself, was answered.</summary>
    public void Operation(ServedApi api, string connectionId, string operation, ProtocolError? error)
    {
        if (error is not null && api.Model.LogLevel >= ApiLogLevel.Error)
        {
            LogOperationFailure(_logger, connectionId, api.Model.Id, operation, error.Label, error.Status);
        }
        else if (api.Model.LogLevel == ApiLogLevel.All)
        {
            LogOperationSummary(_logger, connectionId, api.Model.Id, operation);
        }
    }

    /// <summary>A request failed by our fault. Logged whatever the API asks for.</summary>
    public void RequestFailed(Exception exception, Guid requestId) => LogRequestFault(_logger, exception, requestId);

    /// <summary>A connection failed by our fault. Logged whatever the API asks for.</summary>
    public void ConnectionFailed(Exception exception, string connectionId) => LogConnectionFault(_logger, exception, connectionId);

    [LoggerMessage(1, LogLevel.Information, "RequestSummary {RequestId}: EVENT_PUBLISH on {ApiId} answered {StatusCode} in {Latency} ms.")]
    private static partial void LogHttpSummary(ILogger logger, Guid requestId, string apiId, int statusCode, double latency);

    [LoggerMessage(2, LogLevel.Warning, "RequestSummary {RequestId}: EVENT_PUBLISH on {ApiId} failed with {ErrorType}, {StatusCode}, in {Latency} ms.")]
    private static partial void LogHttpFailure(ILogger logger, Guid requestId, string apiId, string errorType, int statusCode, double latency);

    [LoggerMessage(3, LogLevel.Information, "RequestSummary {ConnectionId}: {Operation} on {ApiId} succeeded.")]
    private static partial void LogOperationSummary(ILogger logger, string connectionId, string apiId, string operation);

    [LoggerMessage(4, LogLevel.Warning, "RequestSummary {ConnectionId}: {Operation} on {ApiId} failed with {ErrorType}, {StatusCode}.")]
    private static partial void LogOperationFailure(
        ILogger logger, string connectionId, string apiId, string operation, string errorType, int statusCode);

    [LoggerMessage(5, LogLevel.Error, "The request {RequestId} failed.")]
    private static partial void LogRequestFault(ILogger logger, Exception exception, Guid requestId);

    [LoggerMessage(6, LogLevel.Error, "The connection {ConnectionId} failed.")]
    private static partial void LogConnectionFault(ILogger logger, Exception exception, string connectionId);
}
