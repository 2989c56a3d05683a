using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>A data source behind a network, whose calls end when their time is up.</summary>
internal abstract class RemoteDataSource(DataSourceKind kind, TimeProvider timeProvider) : IDataSource
{
    /// <summary>The service as error types name it.</summary>
    protected string ErrorSource { get; } = DataSourceNames.GetErrorSource(kind);

    /// <summary>How long a call may take, whatever is configured.</summary>
    protected virtual TimeSpan TimeoutMax => TimeSpan.MaxValue;

    /// <inheritdoc/>
    public async ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(call.Timeout < TimeoutMax ? call.Timeout : TimeoutMax, timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            return await SendAsync(RequestReader.Create(call.Request), either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return Faulted(DataSourceFault.TimedOut);
        }
    }

    /// <summary>Makes the call.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancellationToken">Ends the call, also when its time is up.</param>
    /// <exception cref="InvalidRequestException">The request makes no sense; nothing was sent.</exception>
    protected abstract ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken);

    /// <summary>No answer came.</summary>
    protected DataSourceAnswer Faulted(DataSourceFault fault) => DataSourceAnswer.Faulted(fault, ErrorSource);

    /// <summary>A JSON answer as result; a fault where it is none. No bytes are <c>null</c>.</summary>
    protected DataSourceAnswer FromJson(byte[] body) =>
        body.Length == 0 ? DataSourceAnswer.Empty()
        : JsonValues.IsValue(body) ? DataSourceAnswer.Result(body)
        : Faulted(DataSourceFault.MalformedResponse);

    /// <summary>An error as the JSON services of AWS answer it: a type in header or body, a message in the body.</summary>
    protected DataSourceAnswer FromServiceError(ServiceReply reply)
    {
        var (type, message) = ServiceError.Read(reply);
        return DataSourceAnswer.Failed($"{ErrorSource}:{type}", message);
    }
}
