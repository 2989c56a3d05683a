using System.Diagnostics;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Transport;

namespace Fanfare.Gateway.FanOut;

/// <summary>Serves a share of the gateway's connections: their subscriptions, their outbound buffers, their clocks.</summary>
/// <remarks>
/// <para>
/// All state of these connections' sending halves is changed here and nowhere else, by one thread at a time, so nothing in it is
/// locked. Everybody else posts commands. A run takes all that is queued, appends what it means to outbound buffers, and then
/// writes each touched connection once: under load one system call carries many frames, and when idle a frame leaves at once.
/// </para>
/// <para>
/// On Linux a shard has an <see cref="EventLoop"/>, on whose thread all its sockets are read and its commands carried out. Elsewhere it
/// has no thread of its own: the post that finds it idle queues it to the thread pool, and it runs until its queue is empty.
/// </para>
/// </remarks>
internal sealed partial class Shard : IThreadPoolWorkItem, IEventLoopWork, IDisposable
{
    /// <summary>How many commands may wait before publishers and the senders of replies are held back.</summary>
    public const int QueueLengthMax = 4096;

    // A run flushes when it has appended this much, so that a long queue doesn't grow the buffers of all its connections.
    private const int FlushThresholdBytes = 1024 * 1024;

    // As much of one pattern's events is written before the round's end: more would not make a write cheaper, and leave the cache.
    private const int WaitingBytesMax = 64 * 1024;

    // After so many rounds the shard gives way to its loop's sockets, or to what else waits for the thread pool.
    private const int RoundsPerRun = 16;

    // A closing connection has this long to take what is under way and to answer the close frame.
    private static readonly TimeSpan s_closeTimeout = TimeSpan.FromSeconds(10);

    // The shard on whose loop's thread this is.
    [ThreadStatic]
    private static Shard? t_current;

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
    private readonly List<Shard> _toWake = [];
    private SubscriptionSet[] _waitingSets = new SubscriptionSet[16];
    private int _waitingSetCount;
    private readonly DataFrames _frames = new();
    private Delivery[] _delivered = new Delivery[16];
    private int _deliveredCount;
    private long _appendedBytes;
    private long _pendingBytes;
    private bool _isDraining;
    private int _drainTotal;
    private int _drainClosed;

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
        Loop = EventLoop.IsSupported ? new EventLoop($"shard {index}", this) : null;
    }

    /// <summary>The shard's event loop; <see langword="null"/> where the system has none.</summary>
    public EventLoop? Loop { get; }

    /// <summary>Which of the gateway's shards this is.</summary>
    public int Index { get; }

    /// <summary>How many commands wait.</summary>
    public int QueueLength => Volatile.Read(ref _queueLength);

    /// <summary>How many bytes wait in the outbound buffers of this shard's connections, or are being written.</summary>
    public long PendingBytes => Volatile.Read(ref _pendingBytes);

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
            if (t_current is { } current)
            {
                current._toWake.Add(this);
            }
            else
            {
                Schedule();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Loop?.Dispose();

    /// <summary>Carries out what is queued. Called by the thread pool, one call at a time.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        if (RunQueued())
        {
            Schedule();
        }
    }

    void IEventLoopWork.LoopWoke()
    {
        t_current = this;
        lock (_queueLock)
        {
            _isScheduled = true;
        }
    }

    void IEventLoopWork.SocketRead() => WakeOthers();

    void IEventLoopWork.LoopFailed(Exception exception) => ShardLog.LoopFailed(_logger, exception);

    /// <inheritdoc/>
    public bool RunQueued()
    {
        WakeOthers();
        // What the loop's sockets left to write.
        Flush();
        for (var round = 0; round < RoundsPerRun; round++)
        {
            int length;
            lock (_queueLock)
            {
                length = _queueLength;
                if (length == 0)
                {
                    _isScheduled = false;
                    return false;
                }

                (_queue, _round) = (_round, _queue);
                _queueLength = 0;
            }

            Run(_round.AsSpan(0, length));
            WakeOthers();
            if (_round.Length > QueueLengthMax && length < _round.Length / 4)
            {
                _round = new ShardCommand[_round.Length / 2];
            }
        }

        return true;
    }

    // Not at the first post: what one read has brought should be one round of the other shards too, not its first event and then the rest.
    private void WakeOthers()
    {
        if (_toWake.Count > 0)
        {
            foreach (var shard in _toWake)
            {
                shard.Schedule();
            }

            _toWake.Clear();
        }
    }

    private void Schedule()
    {
        if (Loop is { } loop)
        {
            loop.Wake();
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
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
                Drain(command.Share);
                break;
            case ShardCommandKind.AbandonAll:
                AbandonAll();
                break;
            default:
                throw new UnreachableException();
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

    [LoggerMessage(22, LogLevel.Error, "A connection's socket failed.")]
    public static partial void LoopFailed(ILogger logger, Exception exception);

    [LoggerMessage(21, LogLevel.Error, "The shard command {Command} failed.")]
    public static partial void CommandFailed(ILogger logger, Exception exception, ShardCommandKind command);
}
