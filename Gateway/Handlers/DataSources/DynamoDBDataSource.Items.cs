using System.Text.Json.Nodes;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>The operations on one item.</summary>
internal sealed partial class DynamoDBDataSource
{
    private async Task<DataSourceAnswer> GetItemAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var expressions = new DynamoDBExpressions();
        var get = new GetItemRequest
        {
            TableName = table,
            Key = ReadKey(request),
            ConsistentRead = request.FindBoolean("consistentRead"),
            ProjectionExpression = expressions.Add(request.FindObject("projection")),
            ExpressionAttributeNames = expressions.Names,
        };
        var response = await TryAsync(token => client.GetItemAsync(get, token), isRepeatable: true, cancellationToken);
        return Item(response.Item);
    }

    private async Task<DataSourceAnswer> PutItemAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var key = ReadKey(request);
        var item = Merge(key, AttributeValues.ReadMap(request.GetObject("attributeValues")));
        var condition = Condition.Read(request);
        var put = new PutItemRequest
        {
            TableName = table,
            Item = item,
            ConditionExpression = condition.Expression,
            ExpressionAttributeNames = condition.Placeholders.Names,
            ExpressionAttributeValues = condition.Placeholders.Values,
            ReturnValuesOnConditionCheckFailure = condition.OnFailure,
        };
        return await TryOnConditionAsync(
            async () =>
            {
                await TryAsync(token => client.PutItemAsync(put, token), isRepeatable: false, cancellationToken);
                return item;
            },
            key, condition, desired: item, cancellationToken);
    }

    private async Task<DataSourceAnswer> UpdateItemAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var key = ReadKey(request);
        var condition = Condition.Read(request);
        var update = new UpdateItemRequest
        {
            TableName = table,
            Key = key,
            UpdateExpression = condition.Placeholders.Add(request.GetObject("update")),
            ConditionExpression = condition.Expression,
            ExpressionAttributeNames = condition.Placeholders.Names,
            ExpressionAttributeValues = condition.Placeholders.Values,
            ReturnValues = ReturnValue.ALL_NEW,
            ReturnValuesOnConditionCheckFailure = condition.OnFailure,
        };
        return await TryOnConditionAsync(
            async () => (await TryAsync(token => client.UpdateItemAsync(update, token), isRepeatable: false, cancellationToken)).Attributes,
            key, condition, desired: null, cancellationToken);
    }

    private async Task<DataSourceAnswer> DeleteItemAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var key = ReadKey(request);
        var condition = Condition.Read(request);
        var delete = new DeleteItemRequest
        {
            TableName = table,
            Key = key,
            ConditionExpression = condition.Expression,
            ExpressionAttributeNames = condition.Placeholders.Names,
            ExpressionAttributeValues = condition.Placeholders.Values,
            ReturnValues = ReturnValue.ALL_OLD,
            ReturnValuesOnConditionCheckFailure = condition.OnFailure,
        };
        return await TryOnConditionAsync(
            async () => (await TryAsync(token => client.DeleteItemAsync(delete, token), isRepeatable: false, cancellationToken)).Attributes,
            key, condition, desired: null, cancellationToken);
    }

    /// <summary>Writes an item, and where a condition does not hold, gives the item that is there.</summary>
    private async Task<DataSourceAnswer> TryOnConditionAsync(
        Func<Task<Dictionary<string, AttributeValue>?>> write, Dictionary<string, AttributeValue> key, Condition condition,
        Dictionary<string, AttributeValue>? desired, CancellationToken cancellationToken)
    {
        try
        {
            return Item(await write());
        }
        catch (ConditionalCheckFailedException exception)
        {
            // Not every server sends the item along, and none sends one that is not there.
            var current = exception.Item is { Count: > 0 } item ? item : await FindCurrentAsync(key, condition, cancellationToken);
            return desired is not null && condition.Ignored is { } ignored && current is not null && IsSame(desired, current, ignored)
                ? Item(current)
                : Describe(exception, JsonValues.Write(writer => AttributeValues.WriteItem(writer, current)));
        }
    }

    private async Task<Dictionary<string, AttributeValue>?> FindCurrentAsync(
        Dictionary<string, AttributeValue> key, Condition condition, CancellationToken cancellationToken)
    {
        var get = new GetItemRequest { TableName = table, Key = key, ConsistentRead = condition.IsConsistent };
        return (await TryAsync(token => client.GetItemAsync(get, token), isRepeatable: true, cancellationToken)).Item;
    }

    private static bool IsSame(
        Dictionary<string, AttributeValue> desired, Dictionary<string, AttributeValue> current, HashSet<string> ignored) =>
        JsonNode.DeepEquals(ToNode(desired, ignored), ToNode(current, ignored));

    private static JsonNode? ToNode(Dictionary<string, AttributeValue> item, HashSet<string> ignored) => JsonNode.Parse(
        JsonValues.Write(writer => AttributeValues.WriteItem(
            writer, item.Where(attribute => !ignored.Contains(attribute.Key)).ToDictionary(StringComparer.Ordinal))).Span);

    /// <summary><c>condition</c>, and the placeholders that it shares with the rest of the request.</summary>
    private sealed record Condition(DynamoDBExpressions Placeholders, string? Expression)
    {
        /// <summary>How the item is read where the condition fails and the service does not send it along.</summary>
        public bool IsConsistent { get; private init; } = true;

        /// <summary>
        /// <c>equalsIgnore</c>: where it is given, an item that is there already but for these attributes counts as written.
        /// </summary>
        public HashSet<string>? Ignored { get; private init; }

        /// <summary>What the service sends along with a failure.</summary>
        public ReturnValuesOnConditionCheckFailure? OnFailure =>
            Expression is null ? null : ReturnValuesOnConditionCheckFailure.ALL_OLD;

        public static Condition Read(RequestReader request)
        {
            var placeholders = new DynamoDBExpressions();
            if (request.FindObject("condition") is not { } condition)
            {
                return new Condition(placeholders, Expression: null);
            }

            if (condition.FindObject("conditionalCheckFailedHandler")?.GetWord("strategy", "Custom", "Reject") == "Custom")
            {
                throw RequestReader.Wrong(condition.PathOf("conditionalCheckFailedHandler"), "must have the strategy Reject here");
            }

            return new Condition(placeholders, placeholders.Add(condition))
            {
                IsConsistent = condition.FindBoolean("consistentRead") ?? true,
                Ignored = condition.Find("equalsIgnore") is null
                    ? null
                    : condition.GetList("equalsIgnore").Select(item => RequestReader.Text(item.Item, item.Path)).ToHashSet(StringComparer.Ordinal),
            };
        }
    }
}
