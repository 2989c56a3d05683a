using System.Net;
using System.Text.Json;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>AMAZON_DYNAMODB</c>: one operation on one table, or on several at once.</summary>
/// <remarks>
/// <para>
/// Values go in typed and come out plain. Tried again, after a growing pause: what the service refused for want of capacity and
/// what never reached it; what reads, and a transaction, which has a token, also once more when the service or the connection failed.
/// What a batch leaves unprocessed is the handler's business.
/// </para>
/// <para>Source: AppSync developer guide, "JavaScript resolver function reference for DynamoDB"; DynamoDB API reference.</para>
/// </remarks>
internal sealed partial class DynamoDBDataSource(IAmazonDynamoDB client, string table, TimeProvider timeProvider)
    : RemoteDataSource(DataSourceKind.DynamoDB, timeProvider)
{
    private readonly TimeProvider _timeProvider = timeProvider;

    /// <inheritdoc/>
    protected override async ValueTask<DataSourceAnswer> SendAsync(RequestReader request, CancellationToken cancellationToken)
    {
        try
        {
            return await (request.GetText("operation") switch
            {
                "GetItem" => GetItemAsync(request, cancellationToken),
                "PutItem" => PutItemAsync(request, cancellationToken),
                "UpdateItem" => UpdateItemAsync(request, cancellationToken),
                "DeleteItem" => DeleteItemAsync(request, cancellationToken),
                "Query" => QueryAsync(request, cancellationToken),
                "Scan" => ScanAsync(request, cancellationToken),
                "BatchGetItem" => BatchGetAsync(request, cancellationToken),
                "BatchPutItem" => BatchPutAsync(request, cancellationToken),
                "BatchDeleteItem" => BatchDeleteAsync(request, cancellationToken),
                "TransactGetItems" => TransactGetAsync(request, cancellationToken),
                "TransactWriteItems" => TransactWriteAsync(request, cancellationToken),
                _ => throw RequestReader.Wrong(request.PathOf("operation"), "is no operation of DynamoDB"),
            });
        }
        catch (Exception exception) when (exception is AmazonServiceException or AmazonClientException or HttpRequestException or IOException)
        {
            return Describe(exception);
        }
    }

    private DataSourceAnswer Describe(Exception exception, ReadOnlyMemory<byte>? result = null)
    {
        if (DynamoDBClients.FindFault(exception) is { } fault)
        {
            return Faulted(fault);
        }

        var service = (AmazonServiceException)exception;
        var type = ServiceError.CleanType(service.ErrorCode) ?? $"Http{(int)service.StatusCode}";
        return DataSourceAnswer.Failed($"{ErrorSource}:{type}", service.Message, result: result);
    }

    private async Task<T> TryAsync<T>(Func<CancellationToken, Task<T>> send, bool isRepeatable, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await send(cancellationToken);
            }
            catch (Exception exception) when (attempt < ServiceEndpoint.AttemptsMax && IsWorthAnother(exception, isRepeatable))
            {
                isRepeatable &= DynamoDBClients.FindFault(exception) == DataSourceFault.Unreachable || IsThrottling(exception);
            }

            await Task.Delay(ServiceEndpoint.GetPause(attempt), _timeProvider, cancellationToken);
        }
    }

    private static bool IsWorthAnother(Exception exception, bool isRepeatable)
    {
        if (exception is OperationCanceledException)
        {
            return false;
        }

        if (IsThrottling(exception))
        {
            return true;
        }

        return DynamoDBClients.FindFault(exception) switch
        {
            null => isRepeatable && exception is AmazonServiceException { StatusCode: >= HttpStatusCode.InternalServerError },
            DataSourceFault.Unreachable => true,
            DataSourceFault.Disconnected => isRepeatable,
            _ => false,
        };
    }

    private static bool IsThrottling(Exception exception) =>
        exception is AmazonServiceException { ErrorCode: { } code } && ServiceError.IsThrottling(ServiceError.CleanType(code) ?? "");

    private static Dictionary<string, AttributeValue> ReadKey(RequestReader request) =>
        AttributeValues.ReadMap(request.GetObject("key"));

    // What is part of the key is the key's.
    private static Dictionary<string, AttributeValue> Merge(
        Dictionary<string, AttributeValue> key, Dictionary<string, AttributeValue> attributes)
    {
        var item = new Dictionary<string, AttributeValue>(key, StringComparer.Ordinal);
        foreach (var (name, value) in attributes)
        {
            item.TryAdd(name, value);
        }

        return item;
    }

    private static DataSourceAnswer Item(Dictionary<string, AttributeValue>? item) =>
        DataSourceAnswer.Result(JsonValues.Write(writer => AttributeValues.WriteItem(writer, item)));

    private static ReadOnlyMemory<byte> WriteObject(Action<Utf8JsonWriter> write) => JsonValues.Write(writer =>
    {
        writer.WriteStartObject();
        write(writer);
        writer.WriteEndObject();
    });
}
