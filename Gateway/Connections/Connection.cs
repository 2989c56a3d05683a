using System.Buffers;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;
using Fanfare.Gateway.Transport;

namespace Fanfare.Gateway.Connections;

/// <summary>One WebSocket from its upgrade to its end: receives messages in order, decides, and hands replies to its output.</summary>
/// <remarks>
/// One caller at a time gives it what was received, and it looks at one message after the other. A publish or a subscribe that has to
/// wait for something goes on beside it (Connection.Requests.cs). What is sent, by whomever, goes through <see cref="ConnectionOutput"/>.
/// </remarks>
internal sealed partial class Connection
{
    // Of a connection that ends; a drain ends thousands at a time.
    private const int ReleasesAtOnce = 32;

    private const int ReceiveLength = 4096;

    // After a violation the client's remaining bytes are read and dropped for this long: closing a socket that has unread bytes
    // resets it, and the reset can destroy the close frame on its way.
    private static readonly TimeSpan s_discardTime = TimeSpan.FromSeconds(1);

    private readonly ConnectionServices _services;
    private readonly ServedApi _api;
    private readonly RequestOrigin _origin;
    private readonly ConnectionOutput _output;
    private readonly MessageReader _messages;
    private readonly CancellationToken _aborted;
    private readonly ProtocolError? _rejection;
    private readonly RateLimit? _publishRate;
    private readonly Lock _subscriptionsLock = new();

    private ITimer? _rejectionTimer;
    private long _began;

    // From the first publish on; of credentials that only subscribe nothing need be kept.
    private AuthorizationMemo? _authorization;

    // Under the lock, since subscribes end beside the receive loop; and how many more there will be if all of them succeed.
    private List<Subscription>? _subscriptions;
    private int _subscribesUnderWay;

    /// <param name="services">What all connections share.</param>
    /// <param name="api">The API that the connect reached.</param>
    /// <param name="origin">Where the upgrade came from; its id is the connection's in logs.</param>
    /// <param name="shard">The shard that serves it.</param>
    /// <param name="transport">What carries its bytes.</param>
    /// <param name="rejection">Why the connect is refused, or <see langword="null"/>.</param>
    /// <param name="aborted">Cancelled when the transport is gone.</param>
    public Connection(
        ConnectionServices services, ServedApi api, RequestOrigin origin, Shard shard, ConnectionTransport transport, ProtocolError? rejection,
        CancellationToken aborted)
    {
        _services = services;
        _api = api;
        _origin = origin;
        _rejection = rejection;
        _aborted = aborted;
        _output = new ConnectionOutput(shard, transport, api);
        _messages = new MessageReader(services.Limits.MessageBytesMax);
        _publishRate = RateLimit.Create(services.Limits.PublishesPerSecondPerConnection, services.TimeProvider);
    }

    /// <summary>The connection's sending half.</summary>
    public ConnectionOutput Output => _output;

    /// <summary>Whether nothing more that is received matters: the client closed, broke the protocol, or something failed.</summary>
    public bool IsReceiveOver { get; private set; }

    /// <summary>Whether the client broke the protocol, and may still be sending.</summary>
    public bool IsViolated { get; private set; }

    /// <summary>Begins to serve the connection.</summary>
    /// <param name="answer">What goes before the first frame: the upgrade's answer, where the web server has not sent it.</param>
    public void Open(PooledFrame answer = default)
    {
        _began = _services.TimeProvider.GetTimestamp();
        _api.Metrics.ConnectionOpened();
        _output.Shard.Post(ShardCommand.Open(_output));
        if (answer.Length > 0)
        {
            _output.Send(answer);
        }

        if (_rejection is not null)
        {
            _rejectionTimer = _services.TimeProvider.CreateTimer(
                static state => ((Connection)state!).Reject(), this, _services.Limits.RejectionDelay, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Takes what was received, as far as it can at once.</summary>
    /// <param name="bytes">What was received; sliced to what is left. Not kept.</param>
    /// <param name="waiting">What must end before the rest is given; awaited exactly once, also for how it failed.</param>
    /// <returns><see langword="false"/> where a message has to wait; true where all is taken, or <see cref="IsReceiveOver"/>.</returns>
    public bool TryReceive(ref ReadOnlySpan<byte> bytes, out ValueTask waiting)
    {
        waiting = default;
        var length = bytes.Length;
        while (!IsReceiveOver && _messages.TryRead(ref bytes) is var kind && kind != MessageKind.None)
        {
            if (kind is MessageKind.Close or MessageKind.Violation)
            {
                EndReceive(kind);
                break;
            }

            waiting = HandleAsync(kind);
            if (!waiting.IsCompletedSuccessfully)
            {
                _api.Metrics.Received(length - bytes.Length);
                return false;
            }
        }

        _api.Metrics.Received(length - bytes.Length);
        _messages.ReleaseIdle();
        return true;
    }

    /// <summary>The transport is gone.</summary>
    public void Lose()
    {
        IsReceiveOver = true;
        _output.Abandon(CloseReason.ClientGone);
    }

    /// <summary>Receiving failed: by the transport's end, or by our fault.</summary>
    public void Fail(Exception exception)
    {
        IsReceiveOver = true;
        if (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            _output.Abandon(CloseReason.ClientGone);
        }
        else
        {
            _services.Log.ConnectionFailed(exception, _origin.RequestId);
            _output.CloseFinally(CloseReason.InternalError, CloseCode.InternalError);
        }
    }

    /// <summary>Lets go of all that the connection holds; when it returns, nothing of it is left in the gateway.</summary>
    /// <remarks>Called once, when nothing is received or written any more.</remarks>
    public async Task EndAsync()
    {
        await CleanUpAsync();
        _api.Metrics.ConnectionClosed();
        _services.Metrics.ConnectionDuration.Record(_services.TimeProvider.GetElapsedTime(_began).TotalSeconds, _api.Metrics.Tags);
        _services.Metrics.Disconnects.Add(1, new("api", _api.Model.Id), new("reason", _output.Reason.GetTag()));
    }

    /// <summary>Serves a connection that comes as a stream, to its end.</summary>
    public async Task RunAsync(StreamTransport transport)
    {
        Open();
        try
        {
            await ReceiveAsync(transport.Stream);
        }
        catch (Exception e)
        {
            Fail(e);
        }

        // Bounded: a close that doesn't complete is broken off by the shard.
        await transport.Completed;
        await EndAsync();
    }

    private async Task CleanUpAsync()
    {
        _rejectionTimer?.Dispose();
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

    private void Reject() => _output.Close(CloseReason.Rejected, ServerMessages.ConnectionError(_rejection!));

    private async Task ReceiveAsync(Stream stream)
    {
        while (true)
        {
            // An idle connection holds no buffer.
            _ = await stream.ReadAsync(Memory<byte>.Empty, _aborted);
            var buffer = ArrayPool<byte>.Shared.Rent(ReceiveLength);
            try
            {
                var length = await stream.ReadAsync(buffer, _aborted);
                if (length == 0)
                {
                    Lose();
                    return;
                }

                for (var position = 0; !TryReceive(buffer, ref position, length, out var waiting);)
                {
                    await waiting;
                }

                if (IsViolated)
                {
                    await DiscardAsync(stream, buffer);
                }

                if (IsReceiveOver)
                {
                    return;
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    private bool TryReceive(byte[] buffer, ref int position, int length, out ValueTask waiting)
    {
        ReadOnlySpan<byte> rest = buffer.AsSpan(position, length - position);
        var isDone = TryReceive(ref rest, out waiting);
        position = length - rest.Length;
        return isDone;
    }

    private void EndReceive(MessageKind kind)
    {
        IsReceiveOver = true;
        IsViolated = kind == MessageKind.Violation;
        _output.CloseFinally(IsViolated ? CloseReason.ProtocolViolation : CloseReason.ClientClosed, _messages.CloseCode);
    }

    private async Task DiscardAsync(Stream stream, byte[] buffer)
    {
        using var timeout = new CancellationTokenSource(s_discardTime, _services.TimeProvider);
        try
        {
            while (await stream.ReadAsync(buffer, timeout.Token) > 0)
            {
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

        _authorization ??= new AuthorizationMemo(_services.TimeProvider);
        if (!_authorization.TryParse(message.Authorization, out var credentials))
        {
            _output.Send(ServerMessages.PublishError(message.Id.Span, ProtocolError.MalformedAuthorization));
            return;
        }

        var result = await _services.Publisher.PublishAsync(
            _api, message, new PublishSender(credentials, SignedContent.Message(message.ChannelToken, message.Events), _origin, _authorization),
            _services.PublishErrors, _publishRate, out _isPublishPlaced, _aborted);
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
