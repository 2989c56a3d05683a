using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Fanfare.Chaos.Checking;

namespace Fanfare.Chaos.Load;

/// <summary>How a connection ended.</summary>
/// <param name="IsClosed">Whether the gateway sent a close frame; <see langword="false"/> where the connection broke.</param>
/// <param name="Code">The close frame's code.</param>
/// <param name="Time">When the client learnt of it.</param>
internal readonly record struct ConnectionEnd(bool IsClosed, int Code, long Time);

/// <summary>An answer to a request; <see cref="Error"/> is <see langword="null"/> for success.</summary>
internal readonly record struct Answer(string? Error, long Time);

/// <summary>A client of the protocol over a real WebSocket. Safe for concurrent use.</summary>
internal sealed class EventsClient : IAsyncDisposable
{
    private static readonly TimeSpan s_connectTimeout = TimeSpan.FromSeconds(10);

    private readonly ClientWebSocket _socket = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly ConcurrentDictionary<string, TaskCompletionSource<Answer>> _requests = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, SubscriptionRecord> _subscriptions = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource<ConnectionEnd> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Answer> _acknowledged = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private EventsClient()
    {
    }

    /// <summary>The key that every gateway is started with.</summary>
    public const string ApiKey = "da2-chaoschaoschaoschaoschaosc";

    private const string Authorization = $$"""{"host":"events.example.com","x-api-key":"{{ApiKey}}"}""";

    /// <summary>Completes at the end of the connection, and never fails.</summary>
    public Task<ConnectionEnd> Ended => _ended.Task;

    /// <summary>Connects; fails where the gateway can't be reached in time.</summary>
    public static async Task<EventsClient> ConnectAsync(Uri gateway, CancellationToken cancellationToken)
    {
        var client = new EventsClient();
        try
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            timeout.CancelAfter(s_connectTimeout);
            var header = Convert.ToBase64String(Encoding.UTF8.GetBytes(Authorization)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
            client._socket.Options.AddSubProtocol("aws-appsync-event-ws");
            client._socket.Options.AddSubProtocol($"header-{header}");
            client._socket.Options.KeepAliveInterval = TimeSpan.Zero;
            await client._socket.ConnectAsync(
                new UriBuilder(gateway) { Scheme = "ws", Path = "/event/realtime" }.Uri, timeout.Token);
            _ = client.ReceiveAsync();
            await client.SendAsync("""{"type":"connection_init"}""", timeout.Token);
            var answer = await client._acknowledged.Task.WaitAsync(timeout.Token);
            return answer.Error is null ? client : throw new WebSocketException(answer.Error);
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>Subscribes. What comes is recorded in the order in which it comes.</summary>
    public Task<Answer> SubscribeAsync(string id, SubscriptionRecord record)
    {
        _subscriptions[id] = record;
        return RequestAsync(
            id, $$"""{"type":"subscribe","id":"{{id}}","channel":"{{record.Pattern}}","authorization":{{Authorization}}}""");
    }

    /// <summary>Unsubscribes.</summary>
    public Task<Answer> UnsubscribeAsync(string id)
    {
        _subscriptions[id].Ended = Stopwatch.GetTimestamp();
        return RequestAsync(id, $$"""{"type":"unsubscribe","id":"{{id}}"}""");
    }

    /// <summary>Publishes. Fails where the connection ends before the answer.</summary>
    /// <param name="id">The request's id.</param>
    /// <param name="channel">The channel.</param>
    /// <param name="events">The events, as JSON array of strings.</param>
    public Task<Answer> PublishAsync(string id, string channel, string events) =>
        RequestAsync(id, $$"""{"type":"publish","id":"{{id}}","channel":"{{channel}}","events":{{events}},"authorization":{{Authorization}}}""");

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _socket.Abort();
        _socket.Dispose();
        End(new ConnectionEnd(IsClosed: false, 0, Stopwatch.GetTimestamp()));
        return default;
    }

    private async Task<Answer> RequestAsync(string id, string message)
    {
        var answer = new TaskCompletionSource<Answer>(TaskCreationOptions.RunContinuationsAsynchronously);
        _requests[id] = answer;
        if (_ended.Task.IsCompleted)
        {
            throw new WebSocketException("The connection has ended.");
        }

        await SendAsync(message, CancellationToken.None);
        return await answer.Task;
    }

    private async Task SendAsync(string message, CancellationToken cancellationToken)
    {
        var bytes = Encoding.UTF8.GetBytes(message);
        await _sending.WaitAsync(cancellationToken);
        try
        {
            await _socket.SendAsync(bytes, WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException or IOException)
        {
            throw new WebSocketException("The connection has ended.", e);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task ReceiveAsync()
    {
        var buffer = new byte[4096];
        var length = 0;
        try
        {
            while (true)
            {
                if (length == buffer.Length)
                {
                    Array.Resize(ref buffer, buffer.Length * 2);
                }

                var result = await _socket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                if (result.MessageType == WebSocketMessageType.Close)
                {
                    var time = Stopwatch.GetTimestamp();
                    var code = (int)(_socket.CloseStatus ?? WebSocketCloseStatus.Empty);
                    End(new ConnectionEnd(IsClosed: true, code, time));
                    await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    return;
                }

                length += result.Count;
                if (result.EndOfMessage)
                {
                    Handle(buffer.AsSpan(0, length));
                    length = 0;
                }
            }
        }
        catch (Exception e) when (e is WebSocketException or ObjectDisposedException or InvalidOperationException or IOException or OperationCanceledException)
        {
            // Broken off, by either side.
        }
        finally
        {
            End(new ConnectionEnd(IsClosed: false, 0, Stopwatch.GetTimestamp()));
        }
    }

    private void End(ConnectionEnd end)
    {
        if (!_ended.TrySetResult(end))
        {
            return;
        }

        var failure = new WebSocketException("The connection has ended.");
        _acknowledged.TrySetException(failure);
        _ = _acknowledged.Task.Exception;
        foreach (var request in _requests.Values)
        {
            if (request.TrySetException(failure))
            {
                _ = request.Task.Exception;
            }
        }
    }

    private void Handle(ReadOnlySpan<byte> message)
    {
        var time = Stopwatch.GetTimestamp();
        var reader = new Utf8JsonReader(message);
        string? type = null, id = null, error = null;
        Span<byte> text = stackalloc byte[512];
        var textLength = -1;
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                type = reader.GetString();
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                id = reader.GetString();
            }
            else if (reader.ValueTextEquals("event"u8))
            {
                reader.Read();
                textLength = reader.CopyString(text);
            }
            else if (reader.ValueTextEquals("errors"u8))
            {
                reader.Read();
                using var errors = JsonDocument.ParseValue(ref reader);
                error = errors.RootElement[0].GetProperty("errorType").GetString();
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        switch (type)
        {
            case "data" when id is not null && textLength >= 0:
                Note(_subscriptions[id], EventText.Read(text[..textLength]), time);
                break;
            case "ka":
                break;
            case "connection_ack":
                _acknowledged.TrySetResult(new Answer(null, time));
                break;
            case "connection_error":
                _acknowledged.TrySetResult(new Answer(error ?? type, time));
                break;
            default:
                var answer = new Answer(type?.EndsWith("_success", StringComparison.Ordinal) == true ? null : error ?? type ?? "?", time);
                if (id is not null && _requests.TryRemove(id, out var request))
                {
                    // Here, and not where the answer is awaited: the next message may follow at once.
                    Note(type, id, time);
                    request.TrySetResult(answer);
                }

                break;
        }
    }

    private void Note(string? type, string id, long time)
    {
        switch (type)
        {
            case "subscribe_success":
                _subscriptions[id].Began = time;
                break;
            case "unsubscribe_success":
                (_subscriptions[id].End, _subscriptions[id].IsOver) = (SubscriptionEnd.Unsubscribed, true);
                break;
        }
    }

    private static void Note(SubscriptionRecord subscription, EventName name, long time)
    {
        if (subscription.IsOver)
        {
            subscription.DeliveriesAfterEnd++;
        }
        else
        {
            subscription.Deliveries.Add(new DeliveryRecord(name, time));
        }
    }
}
