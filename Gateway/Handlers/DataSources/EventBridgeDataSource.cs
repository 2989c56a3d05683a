using System.Globalization;
using System.Text.Json;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>AMAZON_EVENTBRIDGE</c>: puts events on a bus. Entries that the bus refuses are part of the result.</summary>
internal sealed class EventBridgeDataSource(ServiceEndpoint endpoint, string busArn, TimeProvider timeProvider)
    : RemoteDataSource(DataSourceKind.EventBridge, timeProvider)
{
    private const int EntriesMax = 10;

    /// <inheritdoc/>
    protected override async ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken)
    {
        request.GetWord("operation", "PutEvents");
        var entries = request.GetList("events");
        if (entries.Count is 0 or > EntriesMax)
        {
            throw RequestReader.Wrong(request.PathOf("events"), $"must hold 1 to {EntriesMax} events");
        }

        var body = JsonValues.Write(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("Entries");
            foreach (var (item, path) in entries)
            {
                WriteEntry(writer, RequestReader.Object(item, path));
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
        var message = new ServiceRequest(HttpMethod.Post, "/", body)
        {
            Headers = { new("X-Amz-Target", "AWSEvents.PutEvents"), new("Content-Type", "application/x-amz-json-1.1") },
        };
        var reply = await endpoint.SendAsync(message, cancellationToken);
        return reply.Fault != DataSourceFault.None ? Faulted(reply.Fault)
            : reply.IsSuccess ? FromJson(reply.Body)
            : FromServiceError(reply);
    }

    private void WriteEntry(Utf8JsonWriter writer, RequestReader entry)
    {
        writer.WriteStartObject();
        writer.WriteString("Source", entry.GetText("source"));
        writer.WriteString("DetailType", entry.GetText("detailType"));
        writer.WriteString("Detail", entry.GetObject("detail").Element.GetRawText());
        writer.WriteString("EventBusName", busArn);
        if (entry.Find("resources") is not null)
        {
            writer.WriteStartArray("Resources");
            foreach (var (item, path) in entry.GetList("resources"))
            {
                writer.WriteStringValue(RequestReader.Text(item, path));
            }

            writer.WriteEndArray();
        }

        if (entry.FindText("time") is { } time)
        {
            if (!DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed))
            {
                throw RequestReader.Wrong(entry.PathOf("time"), "must be a time of RFC 3339");
            }

            // The protocol's own form: seconds since 1970.
            writer.WriteNumber("Time", parsed.ToUnixTimeMilliseconds() / 1000m);
        }

        writer.WriteEndObject();
    }
}
