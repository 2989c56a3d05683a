using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Transport;

namespace Fanfare.Gateway.FanOut;

/// <content>Connections come, are watched by the clock, and go.</content>
internal sealed partial class Shard
{
    private void Open(ConnectionOutput output)
    {
        var now = _timeProvider.GetTimestamp();
        output.KeepAliveDue = now + _keepAliveTicks;
        output.LifetimeEnd = now + _lifetimeTicks;
        if (_outputCount == _outputs.Length)
        {
            Array.Resize(ref _outputs, Math.Max(16, _outputCount * 2));
        }

        output.Position = _outputCount;
        _outputs[_outputCount] = output;
        _outputCount++;
        if (_isDraining)
        {
            // Accepted while the drain began.
            CloseBehindAnswer(output, CloseReason.Draining);
        }
    }

    // A client that is told to go elsewhere must know what became of its request, or it could not tell whether to repeat it there.
    private static void CloseBehindAnswer(ConnectionOutput output, CloseReason reason)
    {
        if (output.TryEndRequests(reason))
        {
            // Through the queue, in which the answer of a request that has just ended may still be.
            output.Close(reason);
        }
    }

    private void Close(ConnectionOutput output, in ShardCommand command)
    {
        output.IsPeerDone |= command.IsPeerDone;
        BeginClose(output, command.Reason, command.Code, command.Frame);
    }

    private void BeginClose(ConnectionOutput output, CloseReason reason, CloseCode code, PooledFrame lastMessage)
    {
        if (output.State == OutputState.Open)
        {
            CatchUp(output);
        }

        // Catching up may have found the connection too slow.
        if (output.State == OutputState.Open)
        {
            if (lastMessage.Length > 0)
            {
                output.Buffer.Append(lastMessage.Span);
                CountAppended(output, lastMessage.Length);
            }

            var frame = ServerMessages.Close(code);
            output.Buffer.Append(frame.Span);
            CountAppended(output, frame.Length);
            frame.Return();
            output.Reason = reason;
            output.CloseDeadline = _timeProvider.GetTimestamp() + _closeTimeoutTicks;
            output.State = OutputState.Closing;
        }

        lastMessage.Return();
        // Where the close frame went before, the peer's own may be what was still missing.
        Touch(output);
    }

    private static void EndCloseWhenDone(ConnectionOutput output)
    {
        if (output.State == OutputState.Closing && output.IsPeerDone)
        {
            output.State = OutputState.Closed;
            output.Complete();
        }
    }

    private void Abandon(ConnectionOutput output, CloseReason reason)
    {
        if (output.State == OutputState.Closed)
        {
            // Its transport may serve somebody else by now: an HTTP/2 stream's context is used again.
            return;
        }

        if (output.Reason == CloseReason.None)
        {
            output.Reason = reason;
        }

        Drop(output);
        output.State = OutputState.Closed;
        output.AbortTransport();
        output.Complete();
    }

    private void Drop(ConnectionOutput output)
    {
        var dropped = output.Buffer.DropPending();
        if (output.Transport is LoopSocket)
        {
            // Nobody comes back to end it, as a stream does.
            dropped += output.Buffer.DropWrite();
        }

        Volatile.Write(ref _pendingBytes, _pendingBytes - dropped);
    }

    private void End(ConnectionOutput output, IReadOnlyList<Subscription> subscriptions)
    {
        for (var i = 0; i < subscriptions.Count; i++)
        {
            Remove(subscriptions[i]);
        }

        output.State = OutputState.Closed;
        Drop(output);
        if (output.Position >= 0)
        {
            var last = _outputs[_outputCount - 1];
            _outputs[output.Position] = last;
            last.Position = output.Position;
            _outputs[_outputCount - 1] = null!;
            output.Position = -1;
            _outputCount--;
        }
    }

    private void AbandonAll()
    {
        for (var i = _outputCount - 1; i >= 0; i--)
        {
            Abandon(_outputs[i], CloseReason.Draining);
        }
    }

    private void Tick()
    {
        Loop?.Tick();
        var now = _timeProvider.GetTimestamp();
        // Backwards, since ending a connection moves the last one into its place.
        for (var i = _outputCount - 1; i >= 0; i--)
        {
            Tick(_outputs[i], now);
        }
    }

    private void Tick(ConnectionOutput output, long now)
    {
        if (output.State == OutputState.Closing)
        {
            if (now >= output.CloseDeadline)
            {
                Abandon(output, output.Reason);
            }
        }
        else if (output.State == OutputState.Open)
        {
            if (output.Buffer.IsWriting && now - output.WriteStarted >= _writeTimeoutTicks)
            {
                CloseSlow(output);
            }
            else if (now >= output.LifetimeEnd)
            {
                CloseBehindAnswer(output, CloseReason.LifetimeReached);
            }
            else if (now >= output.KeepAliveDue)
            {
                // From the due time rather than from now, so that the interval doesn't grow by the clock's granularity.
                output.KeepAliveDue += ((now - output.KeepAliveDue) / _keepAliveTicks * _keepAliveTicks) + _keepAliveTicks;
                Append(output, ServerMessages.KeepAlive);
            }
        }
    }

    private void Drain(double share)
    {
        if (!_isDraining)
        {
            _isDraining = true;
            _drainTotal = _outputCount;
        }

        var due = (int)(_drainTotal * share) - _drainClosed;
        // From the end, where connections that have gone leave no gaps. Those that come while draining are closed when they open.
        for (var i = _outputCount - 1; i >= 0 && due > 0; i--)
        {
            if (!_outputs[i].IsCloseDue)
            {
                CloseBehindAnswer(_outputs[i], CloseReason.Draining);
                _drainClosed++;
                due--;
            }
        }
    }
}
