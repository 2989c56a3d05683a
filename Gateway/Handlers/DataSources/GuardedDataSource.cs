using System.Text.Json;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Observability;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>What all data sources have in common: bounds on calls and time, outcomes counted and logged.</summary>
/// <remarks>
/// In order: wait for a turn; let the kind's own class make the call in what is left of the time; count what came of it. A request
/// that makes no sense to that class ends here too.
/// </remarks>
internal sealed class GuardedDataSource(
    string apiId, DataSource source, IDataSource inner, DataSourceLimits limits, GatewayMetrics metrics, TimeProvider timeProvider,
    ILogger logger, CancellationToken stopping) : IDataSource
{
    private readonly CallGate _gate = new(limits.ConcurrencyMax, limits.WaitingMax);
    private readonly string _kind = DataSourceNames.GetTag(source.Kind);

    /// <inheritdoc/>
    public async ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken)
    {
        var began = timeProvider.GetTimestamp();
        var timeout = call.Timeout < limits.Timeout ? call.Timeout : limits.Timeout;
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stopping);
        var outcome = "cancelled";
        try
        {
            var answer = await CallAsync(call.Request, began, timeout, ended.Token);
            outcome = GetOutcome(answer);
            Log(answer);
            return answer;
        }
        finally
        {
            metrics.DataSourceDuration.Record(
                timeProvider.GetElapsedTime(began).TotalSeconds,
                new("api", apiId), new("source", source.Name), new("kind", _kind), new("outcome", outcome));
        }
    }

    private async ValueTask<DataSourceAnswer> CallAsync(
        JsonElement request, long began, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return DataSourceAnswer.Faulted(DataSourceFault.TimedOut, DataSourceNames.GetErrorSource(source.Kind));
        }

        if (!await TryEnterAsync(timeout, cancellationToken))
        {
            return DataSourceAnswer.Faulted(DataSourceFault.Overloaded, DataSourceNames.GetErrorSource(source.Kind));
        }

        try
        {
            var left = timeout - timeProvider.GetElapsedTime(began);
            return left > TimeSpan.Zero
                ? await inner.CallAsync(new DataSourceCall(JsonValues.Mend(request), left), cancellationToken)
                : DataSourceAnswer.Faulted(DataSourceFault.TimedOut, DataSourceNames.GetErrorSource(source.Kind));
        }
        catch (InvalidRequestException exception)
        {
            return DataSourceAnswer.Invalid(exception.Message);
        }
        finally
        {
            _gate.Leave();
        }
    }

    private async ValueTask<bool> TryEnterAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var timedOut = new CancellationTokenSource(timeout, timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timedOut.Token);
        try
        {
            return await _gate.TryEnterAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private void Log(DataSourceAnswer answer)
    {
        if (answer.Error is not { } error)
        {
            return;
        }

        var type = LambdaLog.Clean(error.Type);
        if (answer.Fault != DataSourceFault.None)
        {
            DataSourceLog.Faulted(logger, source.Name, _kind, apiId, type);
        }
        else
        {
            DataSourceLog.Failed(logger, source.Name, _kind, apiId, type);
        }
    }

    private static string GetOutcome(DataSourceAnswer answer) => answer switch
    {
        { InvalidReason: not null } => "invalid",
        { Error: null } => "success",
        { Fault: DataSourceFault.None } => "error",
        { Fault: DataSourceFault.TimedOut } => "timed_out",
        { Fault: DataSourceFault.Unreachable } => "unreachable",
        { Fault: DataSourceFault.Disconnected } => "disconnected",
        { Fault: DataSourceFault.ResponseTooLarge } => "response_too_large",
        { Fault: DataSourceFault.MalformedResponse } => "malformed_response",
        { Fault: DataSourceFault.Overloaded } => "overloaded",
        _ => "unsupported",
    };
}

/// <summary>The bounds of one data source.</summary>
/// <param name="Timeout">How long a call may take.</param>
/// <param name="ConcurrencyMax">How many calls may be under way.</param>
/// <param name="WaitingMax">How many may wait for their turn.</param>
internal sealed record DataSourceLimits(TimeSpan Timeout, int ConcurrencyMax, int WaitingMax);

/// <summary>How kinds of data sources are called in metrics, and in error types.</summary>
internal static class DataSourceNames
{
    /// <summary>The type as in templates.</summary>
    public static string GetTag(DataSourceKind kind) => kind switch
    {
        DataSourceKind.Lambda => "AWS_LAMBDA",
        DataSourceKind.DynamoDB => "AMAZON_DYNAMODB",
        DataSourceKind.Http => "HTTP",
        DataSourceKind.EventBridge => "AMAZON_EVENTBRIDGE",
        DataSourceKind.OpenSearch => "AMAZON_OPENSEARCH_SERVICE",
        DataSourceKind.RelationalDatabase => "RELATIONAL_DATABASE",
        DataSourceKind.Bedrock => "AMAZON_BEDROCK_RUNTIME",
        _ => "NONE",
    };

    /// <summary>The first part of error types.</summary>
    public static string GetErrorSource(DataSourceKind kind) => kind switch
    {
        DataSourceKind.Http => "Http",
        DataSourceKind.RelationalDatabase => "Rds",
        _ => kind.ToString(),
    };
}

/// <summary>What calling data sources logs: names and types of errors, never payloads or texts.</summary>
internal static partial class DataSourceLog
{
    // A warning for each, as for functions: operators own the services, and a failing one is theirs to mend.
    [LoggerMessage(70, LogLevel.Warning, "The data source '{Source}' ({Kind}) of {ApiId} could not be called: {ErrorType}.")]
    public static partial void Faulted(ILogger logger, string source, string kind, string apiId, string errorType);

    [LoggerMessage(72, LogLevel.Warning, "The data source '{Source}' of {ApiId} is a function, whose address is said in {Section} alone.")]
    public static partial void AddressUnused(ILogger logger, string source, string apiId, string section);

    // Debug, not Warning: a condition that does not hold is ordinary, a publisher can cause it at will, and the handler is told.
    [LoggerMessage(71, LogLevel.Debug, "The data source '{Source}' ({Kind}) of {ApiId} answered with the error {ErrorType}.")]
    public static partial void Failed(ILogger logger, string source, string kind, string apiId, string errorType);
}
