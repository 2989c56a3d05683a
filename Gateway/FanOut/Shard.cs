using System.Diagnostics;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <summary>Serves a share of the gateway's connections: their subscriptions, their outbound buffers, their clocks.</summary>
/// <remarks>
/// <para>
/// All state of these connections' sending halves is changed here and nowhere else, by one thread at a time, so nothing in it is
/// locked. Everybody else posts commands. A run takes all that is queued, appends what it means to outbound buffers, and then
/// writes each touched connection once: under load one system call carries many frames, and when idle a frame leaves at once.
/// </para>
/// <para>
/// A shard has no thread of its own. The post that finds it idle queues it to the thread pool; it runs until its queue is empty.
/// </para>
/// </remarks>
internal sealed class Shard : IThreadPoolWorkItem
{
    /// <summary>How many commands may wait before publishers and the senders of replies are held back.</summary>
    public const int QueueLengthMax = 4096;

    // A run flushes when it has appended this much, so that a long queue doesn't grow the buffers of all its connections.
    private const int FlushThresholdBytes = 1024 * 1024;

    // After so many rounds the shard goes to the back of the pool's queue, for the sake of what else runs there.
    private const int RoundsPerRun = 16;

    // A closing connection has this long to take what is under way and to answer the close frame.
    private static readonly TimeSpan s_closeTimeout = TimeSpan.FromSeconds(10);

    private readonly Lock _queueLock = new();
    private readonly LocalFanOut _fanOut;
    private readonly GatewayLimits _limits;
    private readonly GatewayMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly long _keepAliveTicks;
    private readonly long _lifetimeTicks;
    private readonly long _writeTimeoutTicks;
    private readonly long _closeTimeoutTicks;

    // Guarded by _queueLock.
    private ShardCommand[] _queue = new ShardCommand[64];
    private int _queueLength;
    private bool _isScheduled;

    // Owned by the run.
    private ShardCommand[] _round = new ShardCommand[64];
    private ConnectionOutput[] _outputs = [];
    private int _outputCount;
    private ConnectionOutput[] _touched = new ConnectionOutput[16];
    private int _touchedCount;
    private long[] _delivered = new long[16];
    private int _deliveredCount;
    private long _appendedBytes;
    private long _pendingBytes;
    private bool _isDraining;

    public Shard(int index, LocalFanOut fanOut, GatewayLimits limits, GatewayMetrics metrics, TimeProvider timeProvider, ILogger logger)
    {
        Index = index;
        _fanOut = fanOut;
        _limits = limits;
        _metrics = metrics;
        _timeProvider = timeProvider;
        _logger = logger;
        _keepAliveTicks = ToTicks(limits.KeepAliveInterval);
        _lifetimeTicks = ToTicks(limits.ConnectionLifetime);
        _writeTimeoutTicks = ToTicks(limits.WriteTimeout);
        _closeTimeoutTicks = ToTicks(s_closeTimeout);
    }

    /// <summary>Which of the gateway's shards this is.</summary>
    public int Index { get; }

    /// <summary>How many commands wait.</summary>
    public int QueueLength => Volatile.Read(ref _queueLength);

    /// <summary>How many bytes wait in the outbound buffers of this shard's connections, or are being written.</summary>
    public long PendingBytes => Volatile.Read(ref _pendingBytes);

    /// <summary>How many connections the shard serves.</summary>
    public int ConnectionCount => Volatile.Read(ref _outputCount);

    /// <summary>Queues a command. Safe for concurrent use; never waits.</summary>
    public void Post(in ShardCommand command)
    {
        bool schedule;
        lock (_queueLock)
        {
            if (_queueLength == _queue.Length)
            {
                Array.Resize(ref _queue, _queueLength * 2);
            }

            _queue[_queueLength++] = command;
            schedule = !_isScheduled;
            _isScheduled = true;
        }

        if (schedule)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    /// <summary>Carries out what is queued. Called by the thread pool, one call at a time.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        for (var round = 0; round < RoundsPerRun; round++)
        {
            int length;
            lock (_queueLock)
            {
                length = _queueLength;
                if (length == 0)
                {
                    _isScheduled = false;
                    return;
                }

                (_queue, _round) = (_round, _queue);
                _queueLength = 0;
            }

            Run(_round.AsSpan(0, length));
            if (_round.Length > QueueLengthMax && length < _round.Length / 4)
            {
                _round = new ShardCommand[_round.Length / 2];
            }
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private void Run(Span<ShardCommand> commands)
    {
        foreach (ref readonly var command in commands)
        {
            try
            {
                Process(in command);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                // A bug in one command must not end the shard, and with it a share of all connections.
                ShardLog.CommandFailed(_logger, e, command.Kind);
            }

            if (_appendedBytes >= FlushThresholdBytes)
            {
                Flush();
            }
        }

        commands.Clear();
        Flush();
        _fanOut.SignalRoom();
    }

    private void Process(in ShardCommand command)
    {
        switch (command.Kind)
        {
            case ShardCommandKind.Deliver:
                Deliver((Delivery)command.Target!);
                break;
            case ShardCommandKind.Send:
                Append((ConnectionOutput)command.Target!, command.Frame);
                break;
            case ShardCommandKind.WriteCompleted:
                CompleteWrite((ConnectionOutput)command.Target!);
                break;
            case ShardCommandKind.Subscribe:
                Subscribe((Subscription)command.Target!, command.Frame);
                break;
            case ShardCommandKind.Unsubscribe:
                Unsubscribe((Subscription)command.Target!, command.Frame);
                break;
            case ShardCommandKind.Open:
                Open((ConnectionOutput)command.Target!);
                break;
            case ShardCommandKind.Acknowledge:
                Acknowledge((ConnectionOutput)command.Target!, command.Frame);
                break;
            case ShardCommandKind.Close:
                Close((ConnectionOutput)command.Target!, in command);
                break;
            case ShardCommandKind.Abandon:
                Abandon((ConnectionOutput)command.Target!, command.Reason);
                break;
            case ShardCommandKind.End:
                End((ConnectionOutput)command.Target!, command.Subscriptions!);
                break;
            case ShardCommandKind.Tick:
                Tick();
                break;
            case ShardCommandKind.Drain:
                Drain(command.Reason);
                break;
            default:
                throw new UnreachableException();
        }
    }

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
        Volatile.Write(ref _outputCount, _outputCount + 1);
        if (_isDraining)
        {
            // Accepted while the drain began.
            BeginClose(output, CloseReason.Draining, CloseReason.Draining.GetCode(), lastMessage: default);
        }
    }

    private void Acknowledge(ConnectionOutput output, PooledFrame frames)
    {
        // The acknowledgement brings the first ka with it, so the next one is due a whole interval later.
        output.KeepAliveDue = _timeProvider.GetTimestamp() + _keepAliveTicks;
        Append(output, frames);
    }

    private void Append(ConnectionOutput output, PooledFrame frames)
    {
        if (output.State == OutputState.Open && HasRoom(output, frames.Length))
        {
            output.Buffer.Append(frames.Span);
            CountAppended(output, frames.Length);
        }

        frames.Return();
    }

    private void Subscribe(Subscription subscription, PooledFrame confirmation)
    {
        if (subscription.Output.State == OutputState.Open)
        {
            subscription.Interest.EnsureSet(Index).Add(subscription);
            subscription.Namespace.Metrics.SubscriptionAdded();
        }

        Append(subscription.Output, confirmation);
    }

    private void Unsubscribe(Subscription subscription, PooledFrame confirmation)
    {
        Remove(subscription);
        Append(subscription.Output, confirmation);
    }

    private void Remove(Subscription subscription)
    {
        // A subscription that came after its connection began to close was never added.
        if (subscription.Position >= 0)
        {
            subscription.Interest.GetSet(Index)!.Remove(subscription);
            subscription.Namespace.Metrics.SubscriptionsRemoved(1);
        }
    }

    private void Deliver(Delivery delivery)
    {
        var events = delivery.Events;
        foreach (var match in delivery.Matches)
        {
            if (match!.GetSet(Index) is { } set)
            {
                Deliver(events, set.Items);
            }
        }

        if (_deliveredCount == _delivered.Length)
        {
            Array.Resize(ref _delivered, _deliveredCount * 2);
        }

        _delivered[_deliveredCount++] = delivery.AcceptedAt;
        delivery.Complete();
    }

    private void Deliver(Backplane.EventBatch events, ReadOnlySpan<Subscription> subscriptions)
    {
        if (subscriptions.IsEmpty)
        {
            return;
        }

        foreach (var subscription in subscriptions)
        {
            var output = subscription.Output;
            var head = subscription.Head;
            for (var i = 0; i < events.Count; i++)
            {
                // Empty where the event failed; it goes to nobody.
                var tail = events.GetTail(i);
                if (!tail.IsEmpty
                    && output.State == OutputState.Open
                    && HasRoom(output, FrameHeader.LengthMax + head.Length + tail.Length))
                {
                    CountAppended(output, output.Buffer.AppendText(head, tail));
                }
            }
        }

        subscriptions[0].Namespace.Metrics.Delivered((long)subscriptions.Length * events.AcceptedCount);
    }

    private bool HasRoom(ConnectionOutput output, int length)
    {
        // An empty buffer takes anything: one frame over the limit is no sign of slowness.
        var waiting = output.Buffer.Length;
        if (waiting == 0 || waiting + length <= _limits.PendingBytesMax)
        {
            return true;
        }

        CloseSlow(output);
        return false;
    }

    private void CloseSlow(ConnectionOutput output)
    {
        ShardLog.SlowSubscriber(_logger, output.Api.Model.Id, output.Buffer.Length, _limits.PendingBytesMax);
        // What waits would only delay the close frame behind what the client has already failed to take.
        _pendingBytes -= output.Buffer.DropPending();
        BeginClose(output, CloseReason.SlowSubscriber, CloseReason.SlowSubscriber.GetCode(), lastMessage: default);
    }

    private void CountAppended(ConnectionOutput output, int length)
    {
        _appendedBytes += length;
        Volatile.Write(ref _pendingBytes, _pendingBytes + length);
        Touch(output);
    }

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

    private void Close(ConnectionOutput output, in ShardCommand command)
    {
        output.IsPeerDone |= command.IsPeerDone;
        BeginClose(output, command.Reason, command.Code, command.Frame);
    }

    private void BeginClose(ConnectionOutput output, CloseReason reason, CloseCode code, PooledFrame lastMessage)
    {
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
        if (output.Reason == CloseReason.None)
        {
            output.Reason = reason;
        }

        Volatile.Write(ref _pendingBytes, _pendingBytes - output.Buffer.DropPending());
        output.State = OutputState.Closed;
        output.AbortTransport();
        output.Complete();
    }

    private void End(ConnectionOutput output, IReadOnlyList<Subscription> subscriptions)
    {
        for (var i = 0; i < subscriptions.Count; i++)
        {
            Remove(subscriptions[i]);
        }

        output.State = OutputState.Closed;
        Volatile.Write(ref _pendingBytes, _pendingBytes - output.Buffer.DropPending());
        if (output.Position >= 0)
        {
            var last = _outputs[_outputCount - 1];
            _outputs[output.Position] = last;
            last.Position = output.Position;
            _outputs[_outputCount - 1] = null!;
            output.Position = -1;
            Volatile.Write(ref _outputCount, _outputCount - 1);
        }

        _fanOut.Ended();
    }

    private void Tick()
    {
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
                BeginClose(output, CloseReason.LifetimeReached, CloseReason.LifetimeReached.GetCode(), lastMessage: default);
            }
            else if (now >= output.KeepAliveDue)
            {
                // From the due time rather than from now, so that the interval doesn't grow by the clock's granularity.
                output.KeepAliveDue += ((now - output.KeepAliveDue) / _keepAliveTicks * _keepAliveTicks) + _keepAliveTicks;
                Append(output, ServerMessages.KeepAlive);
            }
        }
    }

    private void Drain(CloseReason reason)
    {
        _isDraining = true;
        for (var i = _outputCount - 1; i >= 0; i--)
        {
            BeginClose(_outputs[i], reason, reason.GetCode(), lastMessage: default);
        }
    }

    private long ToTicks(TimeSpan span) => (long)(span.TotalSeconds * _timeProvider.TimestampFrequency);
}

/// <summary>What shards log.</summary>
internal static partial class ShardLog
{
    // Debug: the peer causes it and can repeat it at will. The metric is what operators watch.
    [LoggerMessage(20, LogLevel.Debug, "A slow subscriber of API {ApiId} is closed: {PendingBytes} bytes wait, limit {PendingBytesMax}.")]
    public static partial void SlowSubscriber(ILogger logger, string apiId, int pendingBytes, int pendingBytesMax);

    [LoggerMessage(21, LogLevel.Error, "The shard command {Command} failed.")]
    public static partial void CommandFailed(ILogger logger, Exception exception, ShardCommandKind command);
}
