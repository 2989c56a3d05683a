namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>NONE</c>: gives back the payload.</summary>
internal sealed class NoneDataSource : IDataSource
{
    /// <inheritdoc/>
    public ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken)
    {
        var payload = RequestReader.Create(call.Request).Find("payload");
        return ValueTask.FromResult(
            payload is { } value ? DataSourceAnswer.Result(JsonValues.GetBytes(value)) : DataSourceAnswer.Empty());
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
