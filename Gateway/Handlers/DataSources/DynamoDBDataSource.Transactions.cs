using System.Text.Json;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>The operations on many items of which all are done or none.</summary>
internal sealed partial class DynamoDBDataSource
{
    private async Task<DataSourceAnswer> TransactGetAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var get = new TransactGetItemsRequest
        {
            TransactItems = request.GetList("transactItems").ConvertAll(entry =>
            {
                var item = RequestReader.Object(entry.Item, entry.Path);
                var expressions = new DynamoDBExpressions();
                return new TransactGetItem
                {
                    Get = new Get
                    {
                        TableName = item.GetText("table"),
                        Key = ReadKey(item),
                        ProjectionExpression = expressions.Add(item.FindObject("projection")),
                        ExpressionAttributeNames = expressions.Names,
                    },
                };
            }),
        };
        try
        {
            var response = await TryAsync(token => client.TransactGetItemsAsync(get, token), isRepeatable: true, cancellationToken);
            return DataSourceAnswer.Result(WriteObject(writer =>
            {
                writer.WritePropertyName("items");
                AttributeValues.WriteItems(writer, response.Responses?.Select(item => (Dictionary<string, AttributeValue>?)item.Item) ?? []);
                writer.WriteNull("cancellationReasons");
            }));
        }
        catch (TransactionCanceledException exception)
        {
            return DescribeCancelled(exception, "items");
        }
    }

    private async Task<DataSourceAnswer> TransactWriteAsync(RequestReader request, CancellationToken cancellationToken)
    {
        var keys = new List<Dictionary<string, AttributeValue>>();
        var write = new TransactWriteItemsRequest
        {
            // So that a second attempt changes nothing more.
            ClientRequestToken = Guid.NewGuid().ToString(),
            TransactItems = request.GetList("transactItems").ConvertAll(entry =>
            {
                var item = RequestReader.Object(entry.Item, entry.Path);
                var key = ReadKey(item);
                keys.Add(key);
                return ReadWrite(item, key);
            }),
        };
        try
        {
            await TryAsync(token => client.TransactWriteItemsAsync(write, token), isRepeatable: true, cancellationToken);
            return DataSourceAnswer.Result(WriteObject(writer =>
            {
                writer.WritePropertyName("keys");
                AttributeValues.WriteItems(writer, keys);
                writer.WriteNull("cancellationReasons");
            }));
        }
        catch (TransactionCanceledException exception)
        {
            return DescribeCancelled(exception, "keys");
        }
    }

    private static TransactWriteItem ReadWrite(RequestReader item, Dictionary<string, AttributeValue> key)
    {
        var operation = item.GetWord("operation", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheck");
        var tableName = item.GetText("table");
        var placeholders = new DynamoDBExpressions();
        var condition = operation == "ConditionCheck" ? item.GetObject("condition") : item.FindObject("condition");
        var expression = placeholders.Add(condition);
        var update = operation == "UpdateItem" ? placeholders.Add(item.GetObject("update")) : null;
        var onFailure = condition?.FindBoolean("returnValuesOnConditionCheckFailure") == false
            ? ReturnValuesOnConditionCheckFailure.NONE
            : ReturnValuesOnConditionCheckFailure.ALL_OLD;
        return operation switch
        {
            "PutItem" => new TransactWriteItem
            {
                Put = new Put
                {
                    TableName = tableName,
                    Item = Merge(key, AttributeValues.ReadMap(item.GetObject("attributeValues"))),
                    ConditionExpression = expression,
                    ExpressionAttributeNames = placeholders.Names,
                    ExpressionAttributeValues = placeholders.Values,
                    ReturnValuesOnConditionCheckFailure = onFailure,
                },
            },
            "UpdateItem" => new TransactWriteItem
            {
                Update = new Update
                {
                    TableName = tableName,
                    Key = key,
                    UpdateExpression = update,
                    ConditionExpression = expression,
                    ExpressionAttributeNames = placeholders.Names,
                    ExpressionAttributeValues = placeholders.Values,
                    ReturnValuesOnConditionCheckFailure = onFailure,
                },
            },
            "DeleteItem" => new TransactWriteItem
            {
                Delete = new Delete
                {
                    TableName = tableName,
                    Key = key,
                    ConditionExpression = expression,
                    ExpressionAttributeNames = placeholders.Names,
                    ExpressionAttributeValues = placeholders.Values,
                    ReturnValuesOnConditionCheckFailure = onFailure,
                },
            },
            _ => new TransactWriteItem
            {
                ConditionCheck = new ConditionCheck
                {
                    TableName = tableName,
                    Key = key,
                    ConditionExpression = expression,
                    ExpressionAttributeNames = placeholders.Names,
                    ExpressionAttributeValues = placeholders.Values,
                    ReturnValuesOnConditionCheckFailure = onFailure,
                },
            },
        };
    }

    private DataSourceAnswer DescribeCancelled(TransactionCanceledException exception, string resultName) =>
        Describe(exception, WriteObject(writer =>
        {
            writer.WriteNull(resultName);
            writer.WriteStartArray("cancellationReasons");
            foreach (var reason in exception.CancellationReasons ?? [])
            {
                WriteReason(writer, reason);
            }

            writer.WriteEndArray();
        }));

    private static void WriteReason(Utf8JsonWriter writer, CancellationReason reason)
    {
        writer.WriteStartObject();
        if (reason.Item is { Count: > 0 } item)
        {
            writer.WritePropertyName("item");
            AttributeValues.WriteItem(writer, item);
        }

        writer.WriteString("type", reason.Code);
        writer.WriteString("message", reason.Message);
        writer.WriteEndObject();
    }
}
