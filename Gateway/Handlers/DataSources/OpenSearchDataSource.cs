using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>AMAZON_OPENSEARCH_SERVICE</c>: any call of a search domain. The result is its JSON, whatever the status.</summary>
internal sealed class OpenSearchDataSource(ServiceEndpoint endpoint, TimeProvider timeProvider)
    : RemoteDataSource(DataSourceKind.OpenSearch, timeProvider)
{
    /// <inheritdoc/>
    protected override async ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var operation = request.GetWord("operation", "GET", "POST", "PUT", "HEAD", "DELETE");
        var path = request.GetText("path");
        var parameters = request.FindObject("params");
        var message = new ServiceRequest(
            HttpMethod.Parse(operation),
            HttpParameters.GetTarget(path, parameters?.FindObject("queryString")),
            HttpParameters.GetBody(parameters?.Find("body")))
        {
            IsRepeatable = operation is "GET" or "HEAD",
            TakesAnyStatus = true,
        };
        message.Headers.Add(new("Content-Type", "application/json"));
        foreach (var (name, value) in HttpParameters.ReadHeaders(parameters?.FindObject("headers")))
        {
            message.Headers.RemoveAll(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase));
            message.Headers.Add(new(name, value));
        }

        var reply = await endpoint.SendAsync(message, cancellationToken);
        return reply.Fault != DataSourceFault.None ? Faulted(reply.Fault) : FromJson(reply.Body);
    }
}
