using System.IO.Pipelines;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;

namespace Fanfare.Gateway.Connections;

/// <summary>One WebSocket from its upgrade to its end: receives messages in order, decides, and hands replies to its output.</summary>
/// <remarks>
/// One receive loop looks at one message after the other. A publish or a subscribe that has to wait for something goes on beside it
/// (Connection.Requests.cs). What is sent, by the loop and by others, goes through <see cref="ConnectionOutput"/>.
/// </remarks>
internal sealed partial class Connection
{
    // Of a connection that ends; a drain ends thousands at a time.
    private const int ReleasesAtOnce = 32;

    // After a violation the client's remaining bytes are read and dropped for this long: closing a socket that has unread bytes
    // resets it, and the reset can destroy the close frame on its way.
    private static readonly TimeSpan s_discardTime = TimeSpan.FromSeconds(1);

    // Nothing is allocated for the receive side of an idle connection: the pipe waits with a read of zero bytes.
    private static readonly StreamPipeReaderOptions s_pipeOptions = new(useZeroByteReads: true);

    private readonly ConnectionServices _services;
    private readonly ServedApi _api;
    private readonly RequestOrigin _origin;
    private readonly Stream _stream;
    private readonly ConnectionOutput _output;
    private readonly MessageReader _messages;
    private readonly CancellationToken _aborted;
    private readonly ProtocolError? _rejection;
    private readonly RateLimit? _publishRate;
    private readonly Lock _subscriptionsLock = new();

    // Under the lock, since subscribes end beside the receive loop; and how many more there will be if all of them succeed.
    private List<Subscription>? _subscriptions;
    private int _subscribesUnderWay;

    /// <param name="services">What all connections share.</param>
    /// <param name="api">The API that the connect reached.</param>
    /// <param name="origin">Where the upgrade came from; its id is the connection's in logs.</param>
    /// <param name="stream">The upgraded connection.</param>
    /// <param name="abort">Breaks the transport off.</param>
    /// <param name="rejection">Why the connect is refused, or <see langword="null"/>.</param>
    /// <param name="aborted">Cancelled when the transport is gone.</param>
    public Connection(
        ConnectionServices services, ServedApi api, RequestOrigin origin, Stream stream, Action abort, ProtocolError? rejection, CancellationToken aborted)
    {
        _services = services;
        _api = api;
        _origin = origin;
        _stream = stream;
        _rejection = rejection;
        _aborted = aborted;
        _output = new ConnectionOutput(services.FanOut.AssignShard(), stream, abort, api);
        _messages = new MessageReader(services.Limits.MessageBytesMax);
        _publishRate = RateLimit.Create(services.Limits.PublishesPerSecondPerConnection, services.TimeProvider);
    }

    /// <summary>Serves the connection to its end; then nothing of it is left in the gateway.</summary>
    public async Task RunAsync()
    {
        var began = _services.TimeProvider.GetTimestamp();
        _api.Metrics.ConnectionOpened();
        _output.Shard.Post(ShardCommand.Open(_output));
        var rejectionTimer = StartRejectionTimer();
        var reader = PipeReader.Create(_stream, s_pipeOptions);
        try
        {
            await ReceiveAsync(reader);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            _output.Abandon(CloseReason.ClientGone);
        }
        catch (Exception e)
        {
            _services.Log.ConnectionFailed(e, _origin.RequestId);
            _output.CloseFinally(CloseReason.InternalError, CloseCode.InternalError);
        }

        // Bounded: a close that doesn't complete is broken off by the shard.
        await _output.Completed;
        await CleanUpAsync(reader, rejectionTimer);
        _api.Metrics.ConnectionClosed();
        _services.Metrics.ConnectionDuration.Record(_services.TimeProvider.GetElapsedTime(began).TotalSeconds, _api.Metrics.Tags);
        _services.Metrics.Disconnects.Add(1, new("api", _api.Model.Id), new("reason", _output.Reason.GetTag()));
    }

    private async Task CleanUpAsync(PipeReader reader, ITimer? rejectionTimer)
    {
        rejectionTimer?.Dispose();
        await reader.CompleteAsync();
        _messages.Release();
        // A subscribe that is under way may still add to them.
        await RequestsEndedAsync();
        IReadOnlyList<Subscription> subscriptions = _subscriptions ?? [];
        _output.End(subscriptions);
        // Side by side, since each may be a call of the backplane, but not without bound.
        var releases = new List<Task>();
        foreach (var subscription in subscriptions)
        {
            var release = ReleaseInterestAsync(subscription);
            if (!release.IsCompletedSuccessfully)
            {
                releases.Add(release.AsTask());
            }

            if (releases.Count == ReleasesAtOnce)
            {
                await Task.WhenAll(releases);
                releases.Clear();
            }
        }

        await Task.WhenAll(releases);
    }

    private ITimer? StartRejectionTimer() => _rejection is null
        ? null
        : _services.TimeProvider.CreateTimer(
            static state => ((Connection)state!).Reject(), this, _services.Limits.RejectionDelay, Timeout.InfiniteTimeSpan);

    private void Reject() => _output.Close(CloseReason.Rejected, ServerMessages.ConnectionError(_rejection!));

    private async Task ReceiveAsync(PipeReader reader)
    {
        while (true)
        {
            var result = await reader.ReadAsync(_aborted);
            var buffer = result.Buffer;
            var length = buffer.Length;
            while (_messages.TryRead(ref buffer) is var kind && kind != MessageKind.None)
            {
                if (kind is MessageKind.Close or MessageKind.Violation)
                {
                    _api.Metrics.Received(length - buffer.Length);
                    reader.AdvanceTo(buffer.End);
                    await EndAsync(kind, reader);
                    return;
                }

                await HandleAsync(kind);
            }

            _api.Metrics.Received(length - buffer.Length);
            reader.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                _output.Abandon(CloseReason.ClientGone);
                return;
            }
        }
    }

    private async Task EndAsync(MessageKind kind, PipeReader reader)
    {
        if (kind == MessageKind.Close)
        {
            _output.CloseFinally(CloseReason.ClientClosed, _messages.CloseCode);
            return;
        }

        _output.CloseFinally(CloseReason.ProtocolViolation, _messages.CloseCode);
        using var timeout = new CancellationTokenSource(s_discardTime, _services.TimeProvider);
        try
        {
            while (await reader.ReadAsync(timeout.Token) is { IsCompleted: false } result)
            {
                reader.AdvanceTo(result.Buffer.End);
            }
        }
        catch (OperationCanceledException)
        {
            // Time is up; what still comes is not waited for.
        }
    }

    private async ValueTask HandleAsync(MessageKind kind)
    {
        if (_rejection is not null)
        {
            Reject();
            return;
        }

        if (_output.IsClosing)
        {
            // The client may not know yet; only its close frame matters now.
            return;
        }

        if (_output.Shard.QueueLength >= Shard.QueueLengthMax)
        {
            // A client that asks faster than its shard answers waits here, and its socket with it.
            await _services.FanOut.WaitForRoomAsync(_aborted);
        }

        switch (kind)
        {
            case MessageKind.Text:
                await BeginRequestAsync(_messages.Payload);
                break;
            case MessageKind.Ping:
                _output.Send(ServerMessages.Pong(_messages.Payload.Span));
                break;
            default:
                // A pong that nobody asked for is allowed (RFC 6455, 5.5.3).
                break;
        }
    }

    private ValueTask DispatchAsync(ClientMessage message) => message.Type switch
    {
        ClientMessageType.Publish => PublishAsync(message),
        ClientMessageType.Subscribe => SubscribeAsync(message),
        ClientMessageType.Unsubscribe => UnsubscribeAsync(message),
        ClientMessageType.ConnectionInit => AcknowledgeAsync(),
        _ => Reply(ServerMessages.Error(message.Id.Span, ProtocolError.UnsupportedOperation)),
    };

    private ValueTask AcknowledgeAsync()
    {
        _output.SendConnectionAck(PooledFrame.FromShared(_services.ConnectionAck));
        return default;
    }

    private async ValueTask PublishAsync(ClientMessage message)
    {
        if (message.Id.IsEmpty)
        {
            _output.Send(ServerMessages.Error(default, ProtocolError.InvalidId));
            return;
        }

        if (!Credentials.TryParse(message.Authorization, out var credentials))
        {
            _output.Send(ServerMessages.PublishError(message.Id.Span, ProtocolError.MalformedAuthorization));
            return;
        }

        var result = await _services.Publisher.PublishAsync(
            _api, message, new PublishSender(credentials, SignedContent.Message(message.ChannelToken, message.Events), _origin), _services.PublishErrors, _publishRate, _aborted);
        _services.Log.Operation(_api, _origin.RequestId, "EVENT_PUBLISH", result.Error);
        if (result.Error is { } error)
        {
            _output.Send(ServerMessages.PublishError(message.Id.Span, error));
            return;
        }

        _output.Send(PublishReply.EncodeSuccess(message.Id.Span, result.Events!));
        result.Events!.Release();
    }

    private ValueTask Reply(PooledFrame frame)
    {
        _output.Send(frame);
        return default;
    }
}
