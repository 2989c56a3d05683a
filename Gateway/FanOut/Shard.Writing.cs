using Fanfare.Gateway.Protocol;

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
            RecordDeliveries();
        }
    }

    private void RecordDeliveries()
    {
        if (_metrics.DeliveryDuration.Enabled)
        {
            var now = _timeProvider.GetTimestamp();
            foreach (var acceptedAt in _delivered.AsSpan(0, _deliveredCount))
            {
                _metrics.DeliveryDuration.Record(_timeProvider.GetElapsedTime(acceptedAt, now).TotalSeconds);
            }
        }

        _deliveredCount = 0;
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
            ValueTask write;
            try
            {
                write = output.Stream.WriteAsync(bytes);
            }
            catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
            {
                EndWrite(output);
                Abandon(output, CloseReason.ClientGone);
                return;
            }

            if (!write.IsCompletedSuccessfully)
            {
                output.WriteStarted = _timeProvider.GetTimestamp();
                _ = AwaitWriteAsync(output, write);
                return;
            }

            EndWrite(output);
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
