using System.Text.Json;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>NONE</c>: gives back the payload. Needs no guard before it, since it does nothing.</summary>
internal sealed class NoneDataSource : IDataSource
{
    /// <inheritdoc/>
    public ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Answer(JsonValues.Mend(call.Request)));

    private static DataSourceAnswer Answer(JsonElement request)
    {
        try
        {
            return RequestReader.Create(request).Find("payload") is { } payload
                ? DataSourceAnswer.Result(JsonValues.GetBytes(payload))
                : DataSourceAnswer.Empty();
        }
        catch (InvalidRequestException exception)
        {
            return DataSourceAnswer.Invalid(exception.Message);
        }
    }
}

/// <summary>A data source that nothing says the place of.</summary>
internal sealed class UnsupportedDataSource(string message) : IDataSource
{
    private readonly DataSourceAnswer _answer =
        DataSourceAnswer.Faulted(DataSourceFault.Unsupported, new DataSourceError("UnsupportedDataSource", message));

    /// <inheritdoc/>
    public ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken) => ValueTask.FromResult(_answer);
}
