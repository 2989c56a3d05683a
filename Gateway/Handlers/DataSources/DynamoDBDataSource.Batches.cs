using System.Text.Json;
using Amazon.DynamoDBv2.Model;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>The operations on many items, which the service may leave undone in part.</summary>
internal sealed partial class DynamoDBDataSource
{
    private async Task<DataSourceAnswer> BatchGetAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var tables = ReadTables(request).ConvertAll(member =>
        {
            var reader = RequestReader.Object(member.Value, member.Path);
            var expressions = new DynamoDBExpressions();
            var keys = ReadMaps(reader.GetList("keys"));
            var projection = expressions.Add(reader.FindObject("projection"));
            return new BatchTable(member.Name, keys, new KeysAndAttributes
            {
                Keys = keys,
                ConsistentRead = reader.FindBoolean("consistentRead"),
                ProjectionExpression = projection,
                ExpressionAttributeNames = expressions.Names,
            });
        });
        var get = new BatchGetItemRequest
        {
            RequestItems = tables.ToDictionary(entry => entry.Name, entry => entry.Get!, StringComparer.Ordinal),
        };
        var response = await TryAsync(token => client.BatchGetItemAsync(get, token), isRepeatable: true, cancellationToken);
        return Batch("unprocessedKeys", tables, entry =>
        {
            var unprocessed = response.UnprocessedKeys?.GetValueOrDefault(entry.Name)?.Keys ?? [];
            var found = response.Responses?.GetValueOrDefault(entry.Name) ?? [];
            return (AlignFound(entry, found), unprocessed);
        });
    }

    private async Task<DataSourceAnswer> BatchPutAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var tables = ReadBatch(request);
        var unprocessed = await WriteBatchAsync(
            tables, item => new WriteRequest { PutRequest = new PutRequest { Item = item } }, cancellationToken);
        return Batch("unprocessedItems", tables, entry =>
        {
            var items = unprocessed?.GetValueOrDefault(entry.Name)?.ConvertAll(write => write.PutRequest.Item) ?? [];
            return (AlignWritten(entry, items), items);
        });
    }

    private async Task<DataSourceAnswer> BatchDeleteAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var tables = ReadBatch(request);
        var unprocessed = await WriteBatchAsync(
            tables, key => new WriteRequest { DeleteRequest = new DeleteRequest { Key = key } }, cancellationToken);
        return Batch("unprocessedKeys", tables, entry =>
        {
            var keys = unprocessed?.GetValueOrDefault(entry.Name)?.ConvertAll(write => write.DeleteRequest.Key) ?? [];
            return (AlignWritten(entry, keys), keys);
        });
    }

    private async Task<Dictionary<string, List<WriteRequest>>?> WriteBatchAsync(
        List<BatchTable> tables, Converter<Dictionary<string, AttributeValue>, WriteRequest> write, CancellationToken cancellationToken)
    {
        var batch = new BatchWriteItemRequest
        {
            RequestItems = tables.ToDictionary(entry => entry.Name, entry => entry.Items.ConvertAll(write), StringComparer.Ordinal),
        };

        // Each item is put or deleted whole and without a condition, so a second time changes nothing.
        var response = await TryAsync(token => client.BatchWriteItemAsync(batch, token), isRepeatable: true, cancellationToken);
        return response.UnprocessedItems;
    }

    // Names may have become the same when what is no Unicode in them was replaced.
    private static List<(string Name, JsonElement Value, string Path)> ReadTables(RequestReader request) =>
        [.. request.GetObject("tables").Members().DistinctBy(member => member.Name, StringComparer.Ordinal)];

    private static List<BatchTable> ReadBatch(RequestReader request) =>
        ReadTables(request).ConvertAll(
            member => new BatchTable(member.Name, ReadMaps(RequestReader.List(member.Value, member.Path)), Get: null));

    private static List<Dictionary<string, AttributeValue>> ReadMaps(List<(JsonElement Item, string Path)> items) =>
        items.ConvertAll(item => AttributeValues.ReadMap(RequestReader.Object(item.Item, item.Path)));

    private static DataSourceAnswer Batch(
        string unprocessedName, List<BatchTable> tables,
        Func<BatchTable, (IEnumerable<Dictionary<string, AttributeValue>?> Data, List<Dictionary<string, AttributeValue>> Unprocessed)> read)
    {
        var results = tables.ConvertAll(entry => (entry.Name, Result: read(entry)));
        return DataSourceAnswer.Result(WriteObject(writer =>
        {
            writer.WriteStartObject("data");
            foreach (var (name, (data, _)) in results)
            {
                writer.WritePropertyName(name);
                AttributeValues.WriteItems(writer, data);
            }

            writer.WriteEndObject();
            writer.WriteStartObject(unprocessedName);
            foreach (var (name, (_, unprocessed)) in results)
            {
                writer.WritePropertyName(name);
                AttributeValues.WriteItems(writer, unprocessed);
            }

            writer.WriteEndObject();
        }));
    }

    // The service answers in any order; results are in the order of the keys, with null for what is not there.
    private static List<Dictionary<string, AttributeValue>?> AlignFound(BatchTable entry, List<Dictionary<string, AttributeValue>> found)
    {
        if (entry.Items.Count == 0)
        {
            return [];
        }

        var names = entry.Items[0].Keys.ToList();
        var byKey = new Dictionary<string, Dictionary<string, AttributeValue>>(StringComparer.Ordinal);
        foreach (var item in found)
        {
            byKey[AttributeValues.GetIdentity(item, names)] = item;
        }

        return entry.Items.ConvertAll(key => byKey.GetValueOrDefault(AttributeValues.GetIdentity(key, names)));
    }

    private static List<Dictionary<string, AttributeValue>?> AlignWritten(
        BatchTable entry, List<Dictionary<string, AttributeValue>> unprocessed)
    {
        if (unprocessed.Count == 0)
        {
            return [.. entry.Items];
        }

        // The table's key is not known here, but what comes back is the item as it was sent.
        var undone = unprocessed.Select(item => AttributeValues.GetIdentity(item, item.Keys)).ToHashSet(StringComparer.Ordinal);
        return entry.Items.ConvertAll(item => undone.Contains(AttributeValues.GetIdentity(item, item.Keys)) ? null : item);
    }

    /// <summary>One table of a batch: its items or keys, and for reading the whole request.</summary>
    private sealed record BatchTable(string Name, List<Dictionary<string, AttributeValue>> Items, KeysAndAttributes? Get);
}
