using System.Buffers.Text;
using System.Text.Json;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>The operations that go through a table page by page.</summary>
internal sealed partial class DynamoDBDataSource
{
    private static readonly string[] s_selections = ["ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT"];

    private async Task<DataSourceAnswer> QueryAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var expressions = new DynamoDBExpressions();
        var query = new QueryRequest
        {
            TableName = table,
            IndexName = request.FindText("index"),
            KeyConditionExpression = expressions.Add(request.GetObject("query")),
            FilterExpression = expressions.Add(request.FindObject("filter")),
            ProjectionExpression = expressions.Add(request.FindObject("projection")),
            Limit = request.FindCount("limit"),
            ScanIndexForward = request.FindBoolean("scanIndexForward"),
            ConsistentRead = request.FindBoolean("consistentRead"),
            Select = ReadSelect(request),
        };
        query.ExpressionAttributeNames = expressions.Names;
        query.ExpressionAttributeValues = expressions.Values;
        if (!TryReadToken(request, out var start))
        {
            return RefuseToken();
        }

        query.ExclusiveStartKey = start;
        var response = await TryAsync(token => client.QueryAsync(query, token), isRepeatable: true, cancellationToken);
        return Page(response.Items, response.LastEvaluatedKey, response.ScannedCount);
    }

    private async Task<DataSourceAnswer> ScanAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var expressions = new DynamoDBExpressions();
        var scan = new ScanRequest
        {
            TableName = table,
            IndexName = request.FindText("index"),
            FilterExpression = expressions.Add(request.FindObject("filter")),
            ProjectionExpression = expressions.Add(request.FindObject("projection")),
            Limit = request.FindCount("limit"),
            ConsistentRead = request.FindBoolean("consistentRead"),
            Select = ReadSelect(request),
            TotalSegments = request.FindCount("totalSegments"),
            Segment = request.FindCount("segment"),
        };
        scan.ExpressionAttributeNames = expressions.Names;
        scan.ExpressionAttributeValues = expressions.Values;
        if (!TryReadToken(request, out var start))
        {
            return RefuseToken();
        }

        scan.ExclusiveStartKey = start;
        var response = await TryAsync(token => client.ScanAsync(scan, token), isRepeatable: true, cancellationToken);
        return Page(response.Items, response.LastEvaluatedKey, response.ScannedCount);
    }

    private static Select? ReadSelect(RequestReader request) =>
        request.FindWord("select", s_selections) is { } word ? Select.FindValue(word) : null;

    private static DataSourceAnswer Page(
        List<Dictionary<string, AttributeValue>>? items, Dictionary<string, AttributeValue>? last, int? scannedCount) =>
        DataSourceAnswer.Result(WriteObject(writer =>
        {
            writer.WritePropertyName("items");
            AttributeValues.WriteItems(writer, items ?? []);
            writer.WriteString("nextToken", last is { Count: > 0 } ? WriteToken(last) : null);
            writer.WriteNumber("scannedCount", scannedCount ?? 0);
        }));

    // The last key itself. Nothing is gained by changing it: the service checks it against the query.
    private static string WriteToken(Dictionary<string, AttributeValue> key) =>
        Base64Url.EncodeToString(JsonValues.Write(writer => AttributeValues.WriteKey(writer, key)).Span);

    // Tokens come from clients, so a wrong one is no mistake of the handler's.
    private DataSourceAnswer RefuseToken() =>
        DataSourceAnswer.Failed($"{ErrorSource}:ValidationException", "Invalid pagination token given.");

    private static bool TryReadToken(RequestReader request, out Dictionary<string, AttributeValue>? key)
    {
        key = null;
        if (request.FindText("nextToken") is not { } token)
        {
            return true;
        }

        try
        {
            using var document = JsonDocument.Parse(Base64Url.DecodeFromChars(token));
            key = AttributeValues.ReadMap(RequestReader.Object(JsonValues.Mend(document.RootElement), "nextToken"));
            return key.Count > 0;
        }
        catch (Exception exception) when (exception is FormatException or JsonException or InvalidRequestException)
        {
            return false;
        }
    }
}
