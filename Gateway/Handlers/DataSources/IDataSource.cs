using System.Text.Json;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>What a handler's <c>request</c> is sent to and its <c>response</c> gets an answer from. Safe for concurrent use.</summary>
internal interface IDataSource
{
    /// <summary>Sends a request and waits for its answer.</summary>
    /// <param name="call">The call.</param>
    /// <param name="cancellationToken">Ends the call; the only thing that makes this throw.</param>
    /// <returns>The answer; a failure of any kind is one.</returns>
    ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken);
}

/// <summary>One call of a data source.</summary>
/// <param name="Request">What the handler's <c>request</c> returned. Stays as it is until the call ends.</param>
/// <param name="Timeout">How long the call may take, all waiting and all attempts together.</param>
internal readonly record struct DataSourceCall(JsonElement Request, TimeSpan Timeout);
