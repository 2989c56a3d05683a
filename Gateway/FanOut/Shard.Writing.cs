using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Transport;

namespace Fanfare.Gateway.FanOut;

/// <content>Outbound buffers to sockets.</content>
internal sealed partial class Shard
{
    private void Touch(ConnectionOutput output)
    {
        if (output.IsTouched)
        {
            return;
        }

        output.IsTouched = true;
        if (_touchedCount == _touched.Length)
        {
            Array.Resize(ref _touched, _touchedCount * 2);
        }

        _touched[_touchedCount++] = output;
    }

    private void Flush()
    {
        for (var i = 0; i < _waitingSetCount; i++)
        {
            var set = _waitingSets[i];
            _waitingSets[i] = null!;
            // Written early where much waited.
            if (set.WaitingCount > 0)
            {
                Write(set);
            }
        }

        _waitingSetCount = 0;
        for (var i = 0; i < _touchedCount; i++)
        {
            var output = _touched[i];
            _touched[i] = null!;
            output.IsTouched = false;
            Write(output);
        }

        _touchedCount = 0;
        _appendedBytes = 0;
        if (_deliveredCount > 0)
        {
            CompleteDeliveries();
        }
    }

    private void CompleteDeliveries()
    {
        var isMeasured = _metrics.DeliveryDuration.Enabled;
        var now = isMeasured ? _timeProvider.GetTimestamp() : 0;
        for (var i = 0; i < _deliveredCount; i++)
        {
            var delivery = _delivered[i];
            _delivered[i] = null!;
            if (isMeasured)
            {
                _metrics.DeliveryDuration.Record(_timeProvider.GetElapsedTime(delivery.AcceptedAt, now).TotalSeconds);
            }

            delivery.Complete();
        }

        _deliveredCount = 0;
    }

    // Subscriber by subscriber rather than event by event: what one of them gets is made and sent while it is in the cache.
    private void Write(SubscriptionSet set)
    {
        _frames.Begin(set.Waiting, set.WaitingCount);
        var lone = set.Lone;
        long delivered = 0, sentBytes = 0;
        foreach (var subscription in lone)
        {
            var output = subscription.Output;
            if (subscription.CaughtUp > 0 || output.Buffer.Length > 0 || output.Transport is not LoopSocket socket)
            {
                delivered += AppendWaiting(subscription);
                subscription.CaughtUp = 0;
            }
            else if (output.State == OutputState.Open)
            {
                var frames = _frames.Get(subscription.Head);
                delivered += _frames.Count;
                sentBytes += Send(output, socket, frames);
            }
        }

        _frames.End();
        set.ClearWaiting();
        if (lone.Length > 0)
        {
            lone[0].Namespace.Metrics.Delivered(delivered);
            lone[0].Output.Api.Metrics.Sent(sentBytes);
        }
    }

    private int Send(ConnectionOutput output, LoopSocket socket, ReadOnlySpan<byte> frames)
    {
        var sent = socket.Send(frames);
        if (sent < 0)
        {
            Abandon(output, CloseReason.ClientGone);
            return 0;
        }

        if (sent < frames.Length)
        {
            var rest = frames[sent..];
            output.Buffer.BeginWrite(rest);
            output.WriteStarted = _timeProvider.GetTimestamp();
            Volatile.Write(ref _pendingBytes, _pendingBytes + rest.Length);
        }

        return sent;
    }

    private void Write(ConnectionOutput output)
    {
        while (!output.Buffer.IsWriting && output.State != OutputState.Closed)
        {
            if (output.Buffer.PendingLength == 0)
            {
                EndCloseWhenDone(output);
                return;
            }

            var bytes = output.Buffer.BeginWrite();
            if (!(output.Transport is LoopSocket socket
                ? TrySend(output, socket, isBegin: true)
                : TryWrite(output, (StreamTransport)output.Transport, bytes)))
            {
                return;
            }

            EndWrite(output);
        }
    }

    // False where the write goes on, or the connection is gone.
    private bool TrySend(ConnectionOutput output, LoopSocket socket, bool isBegin)
    {
        var unwritten = output.Buffer.Unwritten;
        var sent = socket.Send(unwritten);
        if (sent < 0)
        {
            EndWrite(output);
            Abandon(output, CloseReason.ClientGone);
            return false;
        }

        if (sent == unwritten.Length)
        {
            return true;
        }

        output.Buffer.Advance(sent);
        if (isBegin || sent > 0)
        {
            output.WriteStarted = _timeProvider.GetTimestamp();
        }

        return false;
    }

    private bool TryWrite(ConnectionOutput output, StreamTransport transport, ReadOnlyMemory<byte> bytes)
    {
        ValueTask write;
        try
        {
            write = transport.Stream.WriteAsync(bytes);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
        {
            EndWrite(output);
            Abandon(output, CloseReason.ClientGone);
            return false;
        }

        if (write.IsCompletedSuccessfully)
        {
            return true;
        }

        output.WriteStarted = _timeProvider.GetTimestamp();
        _ = AwaitWriteAsync(output, write);
        return false;
    }

    /// <summary>Goes on with a write for which the socket had no room. On the loop's thread.</summary>
    public void ContinueWrite(ConnectionOutput output)
    {
        if (output.Buffer.IsWriting && output.State != OutputState.Closed && TrySend(output, (LoopSocket)output.Transport, isBegin: false))
        {
            CompleteWrite(output);
        }
    }

    private async Task AwaitWriteAsync(ConnectionOutput output, ValueTask write)
    {
        try
        {
            await write;
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
        {
            // The transport is gone. The receive loop ends by the same cause, but may not have noticed yet.
            Post(ShardCommand.Abandon(output, CloseReason.ClientGone));
        }

        Post(ShardCommand.WriteCompleted(output));
    }

    private void CompleteWrite(ConnectionOutput output)
    {
        EndWrite(output);
        Touch(output);
    }

    private void EndWrite(ConnectionOutput output)
    {
        var length = output.Buffer.EndWrite();
        Volatile.Write(ref _pendingBytes, _pendingBytes - length);
        output.Api.Metrics.Sent(length);
    }
}
