using System.Buffers;
using System.Text;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Connections;

/// <content>Requests that wait for something: a handler, an authorizer function, other gateways.</content>
/// <remarks>
/// They go on beside the receive loop, so that one that takes its time holds up neither other channels nor the connection itself. What
/// depends on one waits for it: a publish for an earlier one to its channel, until nothing can come before that any more; what is
/// published behind a subscribe of the same namespace until that is live; an unsubscribe for what was published there; what has an
/// id for an earlier subscribe of that id. Most requests wait for nothing, and are over when the loop has looked at them.
/// </remarks>
internal sealed partial class Connection
{
    // A client that asks for more waits.
    private const int RequestsUnderWayMax = 32;

    // Owned by the receive loop.
    private List<Request>? _underWay;

    // Of the request that was begun last; false where it is no publish.
    private bool _isPublishPlaced;

    /// <summary>Whether requests go on beside the receiving. For whoever gives the connection what was received.</summary>
    public bool HasRequestsUnderWay => _underWay is { Count: > 0 };

    private async ValueTask BeginRequestAsync(ReadOnlyMemory<byte> json)
    {
        var isMessage = ClientMessage.TryParse(json, out var message);
        if (_underWay is { Count: > 0 })
        {
            await WaitForTurnAsync(message);
        }

        if (!_output.TryBeginRequest())
        {
            return;
        }

        var isUnderWay = false;
        try
        {
            if (!isMessage)
            {
                _output.Send(ServerMessages.Error(default, ProtocolError.MalformedMessage));
                return;
            }

            _isPublishPlaced = false;
            var work = DispatchAsync(message);
            if (work.IsCompleted || message.Type is not (ClientMessageType.Publish or ClientMessageType.Subscribe))
            {
                await work;
                return;
            }

            // In this order: the request may end, and its message's memory go, before the call returns.
            isUnderWay = true;
            var request = new Request(message, _isPublishPlaced);
            request.Task = FinishAsync(work, _messages.DetachMessage());
            (_underWay ??= []).Add(request);
        }
        finally
        {
            if (!isUnderWay)
            {
                _output.EndRequest();
            }
        }
    }

    private async Task FinishAsync(ValueTask work, byte[] message)
    {
        try
        {
            await work;
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
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
            _output.EndRequest();
        }
    }

    // Waits until nothing is under way that the message must come behind.
    private async ValueTask WaitForTurnAsync(ClientMessage message)
    {
        for (var i = _underWay!.Count - 1; i >= 0; i--)
        {
            var request = _underWay[i];
            if (!request.Task.IsCompleted && !MustFollow(message, request))
            {
                continue;
            }

            await request.Task;
            _underWay.RemoveAt(i);
        }

        while (_underWay.Count >= RequestsUnderWayMax)
        {
            await Task.WhenAny(_underWay.Select(request => request.Task));
            _underWay.RemoveAll(request => request.Task.IsCompleted);
        }
    }

    private bool MustFollow(in ClientMessage message, Request request) => (message.Type, request.Type) switch
    {
        (ClientMessageType.Publish, ClientMessageType.Publish) => !request.IsPlaced && request.HasChannel(message.Channel),
        (ClientMessageType.Publish, ClientMessageType.Subscribe) => request.HasNamespace(message.Channel),
        (ClientMessageType.Unsubscribe, ClientMessageType.Publish) => request.IsIn(FindNamespace(message.Id.Span)),
        (ClientMessageType.Subscribe or ClientMessageType.Unsubscribe, ClientMessageType.Subscribe) => request.HasId(message.Id.Span),
        _ => false,
    };

    private string FindNamespace(ReadOnlySpan<byte> subscriptionId)
    {
        lock (_subscriptionsLock)
        {
            return Find(subscriptionId)?.Namespace.Name ?? "";
        }
    }

    // Never throws: what goes wrong with a request has been dealt with.
    private Task RequestsEndedAsync() =>
        _underWay is { Count: > 0 } requests ? Task.WhenAll(requests.Select(request => request.Task)) : Task.CompletedTask;

    /// <summary>A publish or a subscribe that is under way, and what of it matters to those behind it.</summary>
    private sealed class Request(ClientMessage message, bool isPlaced)
    {
        // Copies, since the message's memory goes when the request ends.
        private readonly byte[] _id = message.Id.ToArray();
        private readonly byte[] _channel = GetPath(message.Channel).ToArray();

        public ClientMessageType Type { get; } = message.Type;

        /// <summary>Whether it is a publish that those behind it cannot overtake any more.</summary>
        public bool IsPlaced { get; } = isPlaced;

        public Task Task { get; set; } = Task.CompletedTask;

        public bool HasId(ReadOnlySpan<byte> id) => id.SequenceEqual(_id);

        public bool HasChannel(ReadOnlyMemory<byte>? channel) => GetPath(channel).SequenceEqual(_channel);

        public bool HasNamespace(ReadOnlyMemory<byte>? channel) => GetNamespace(GetPath(channel)).SequenceEqual(GetNamespace(_channel));

        public bool IsIn(string ns) => Ascii.Equals(GetNamespace(_channel), ns);

        // Slashes at both ends may be there or not.
        private static ReadOnlySpan<byte> GetPath(ReadOnlyMemory<byte>? channel) => (channel ?? default).Span.Trim((byte)'/');

        private static ReadOnlySpan<byte> GetNamespace(ReadOnlySpan<byte> path)
        {
            var slash = path.IndexOf((byte)'/');
            return slash < 0 ? path : path[..slash];
        }
    }
}
