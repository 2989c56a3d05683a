using System.Text.Json;
using System.Text.RegularExpressions;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>RELATIONAL_DATABASE</c>: one or two statements through the RDS Data API, one after the other.</summary>
/// <remarks>The result is a JSON text, as AppSync gives it: <c>toJsonObject</c> takes it apart. The statements are no transaction.</remarks>
internal sealed partial class RelationalDatabaseDataSource(ServiceEndpoint endpoint, DatabaseSettings database, TimeProvider timeProvider)
    : RemoteDataSource(DataSourceKind.RelationalDatabase, timeProvider)
{
    private const int StatementsMax = 2;
    private static readonly string[] s_resultMembers = ["columnMetadata", "records", "numberOfRecordsUpdated", "generatedFields"];

    /// <inheritdoc/>
    protected override async ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var statements = request.GetList("statements").ConvertAll(item => RequestReader.Text(item.Item, item.Path));
        if (statements.Count is 0 or > StatementsMax)
        {
            throw RequestReader.Wrong(request.PathOf("statements"), $"must hold 1 to {StatementsMax} statements");
        }

        // All of them before any is sent: a request that makes no sense does nothing.
        var bodies = statements.ConvertAll(sql => Write(sql, request.FindObject("variableMap"), request.FindObject("variableTypeHintMap")));
        var results = new List<byte[]>();
        foreach (var body in bodies)
        {
            var message = new ServiceRequest(HttpMethod.Post, "/Execute", body) { Headers = { new("Content-Type", "application/json") } };
            var reply = await endpoint.SendAsync(message, cancellationToken);
            if (reply.Fault != DataSourceFault.None)
            {
                return Faulted(reply.Fault);
            }

            if (!reply.IsSuccess)
            {
                return FromServiceError(reply);
            }

            results.Add(reply.Body);
        }

        return Describe(results);
    }

    private ReadOnlyMemory<byte> Write(string sql, RequestReader? variables, RequestReader? hints) => JsonValues.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("resourceArn", database.ClusterArn);
        writer.WriteString("secretArn", database.SecretArn);
        if (database.DatabaseName is { } name)
        {
            writer.WriteString("database", name);
        }

        if (database.Schema is { } schema)
        {
            writer.WriteString("schema", schema);
        }

        writer.WriteString("sql", sql);
        writer.WriteBoolean("includeResultMetadata", true);
        writer.WriteStartArray("parameters");
        if (variables is { } map)
        {
            var used = Placeholder().Matches(sql).Select(match => match.Value).ToHashSet(StringComparer.Ordinal);
            foreach (var (placeholder, value, path) in map.Members())
            {
                // The service refuses a parameter that the statement does not have, and the map is for both statements.
                if (used.Contains(placeholder.StartsWith(':') ? placeholder : ":" + placeholder))
                {
                    WriteParameter(writer, placeholder, value, path, hints?.FindText(placeholder));
                }
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    private static void WriteParameter(Utf8JsonWriter writer, string placeholder, JsonElement value, string path, string? hint)
    {
        writer.WriteStartObject();
        writer.WriteString("name", placeholder.TrimStart(':'));
        writer.WriteStartObject("value");
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                writer.WriteBoolean("isNull", true);
                break;
            case JsonValueKind.String:
                writer.WriteString("stringValue", value.GetString());
                break;
            case JsonValueKind.True or JsonValueKind.False:
                writer.WriteBoolean("booleanValue", value.GetBoolean());
                break;
            case JsonValueKind.Number when value.TryGetInt64(out var integer):
                writer.WriteNumber("longValue", integer);
                break;
            case JsonValueKind.Number when value.TryGetDouble(out var number):
                writer.WriteNumber("doubleValue", number);
                break;
            case JsonValueKind.Object or JsonValueKind.Array:
                writer.WriteString("stringValue", value.GetRawText());
                break;
            default:
                throw RequestReader.Wrong(path, "is no value of a variable");
        }

        writer.WriteEndObject();
        if (hint is not null)
        {
            writer.WriteString("typeHint", hint);
        }

        writer.WriteEndObject();
    }

    private DataSourceAnswer Describe(List<byte[]> results)
    {
        var documents = results.ConvertAll(body => JsonValues.ParseObject(body));
        try
        {
            if (documents.Contains(null))
            {
                return Faulted(DataSourceFault.MalformedResponse);
            }

            var text = JsonValues.Write(writer =>
            {
                writer.WriteStartObject();
                writer.WriteStartArray("sqlStatementResults");
                foreach (var document in documents)
                {
                    WriteResult(writer, document!.RootElement);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            });
            return DataSourceAnswer.Result(JsonValues.Write(writer => writer.WriteStringValue(text.Span)));
        }
        finally
        {
            documents.ForEach(document => document?.Dispose());
        }
    }

    private static void WriteResult(Utf8JsonWriter writer, JsonElement result)
    {
        writer.WriteStartObject();
        foreach (var name in s_resultMembers)
        {
            if (result.TryGetProperty(name, out var value))
            {
                writer.WritePropertyName(name);
                writer.WriteRawValue(value.GetRawText());
            }
        }

        writer.WriteEndObject();
    }

    // Two colons are a cast.
    [GeneratedRegex(@"(?<!:):\w+", RegexOptions.CultureInvariant)]
    private static partial Regex Placeholder();
}
