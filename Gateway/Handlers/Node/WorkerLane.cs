namespace Fanfare.Gateway.Handlers.Node;

/// <summary>A place for one worker at a time: starts it when there is something to do, and another when it has died.</summary>
/// <remarks>Safe for concurrent use.</remarks>
internal sealed class WorkerLane
{
    // A worker that dies while it starts is not started over and over.
    private static readonly TimeSpan s_restartPauseMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_restartPause = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly Func<WorkerLane, NodeWorker> _start;
    private readonly TimeProvider _timeProvider;
    private readonly int _callsMax;
    private readonly Queue<NodeCall> _waiting = new();
    private readonly int _waitingMax;
    private NodeWorker? _worker;
    private int _failedStarts;
    private long _failedAt;
    private long _idleSince;
    private bool _isClosed;

    /// <param name="start">Starts a worker.</param>
    /// <param name="callsMax">How many calls may be under way in the worker.</param>
    /// <param name="waitingMax">How many more may wait for their turn.</param>
    /// <param name="timeProvider">The time.</param>
    public WorkerLane(Func<WorkerLane, NodeWorker> start, int callsMax, int waitingMax, TimeProvider timeProvider)
    {
        _start = start;
        _callsMax = callsMax;
        _waitingMax = waitingMax;
        _timeProvider = timeProvider;
        _idleSince = timeProvider.GetTimestamp();
    }

    /// <summary>The worker, or <see langword="null"/> while there is none.</summary>
    public NodeWorker? Worker => Volatile.Read(ref _worker);

    /// <summary>The worker, which is started where there is none; <see langword="null"/> where that cannot be.</summary>
    public NodeWorker? EnsureWorker()
    {
        if (Worker is { } worker)
        {
            return worker;
        }

        lock (_lock)
        {
            return GetWorker();
        }
    }

    /// <summary>How many calls are here.</summary>
    public int Load
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count + (_worker?.CallCount ?? 0);
            }
        }
    }

    /// <summary>Takes a call; it is answered in any case.</summary>
    public void Send(NodeCall call)
    {
        // The usual case, outside of the lock, since the call may be written at once.
        if (_waitingMax == 0 && Worker is { } worker && worker.TrySend(call, _callsMax))
        {
            return;
        }

        HandlerFailure failure;
        lock (_lock)
        {
            failure = TrySend(call);
        }

        if (failure != HandlerFailure.None)
        {
            call.Complete(HandlerReply.Failed(failure));
        }
    }

    /// <summary>A call of this lane was answered, so that the next may go.</summary>
    public void Continue()
    {
        if (_waitingMax == 0)
        {
            return;
        }

        lock (_lock)
        {
            if (_worker is not null || _waiting.Count > 0)
            {
                SendWaiting();
            }
        }
    }

    /// <summary>The worker is gone.</summary>
    /// <param name="worker">Which.</param>
    /// <param name="wasReady">Whether it had come so far as to answer.</param>
    public void OnEnded(NodeWorker worker, bool wasReady)
    {
        List<NodeCall>? refused = null;
        lock (_lock)
        {
            if (_worker == worker)
            {
                _worker = null;
            }

            _failedStarts = wasReady ? 0 : _failedStarts + 1;
            _failedAt = _timeProvider.GetTimestamp();
            if (_waiting.Count > 0 && !SendWaiting())
            {
                refused = [.. _waiting];
                _waiting.Clear();
            }
        }

        foreach (var call in refused ?? [])
        {
            call.Complete(HandlerReply.Failed(HandlerFailure.Unavailable));
        }
    }

    /// <summary>Ends a worker that has had nothing to do for a while.</summary>
    public void EndIfIdle(TimeSpan idleTime)
    {
        lock (_lock)
        {
            if (_waiting.Count > 0 || _worker is not { CallCount: 0 } worker)
            {
                _idleSince = _timeProvider.GetTimestamp();
            }
            else if (_timeProvider.GetElapsedTime(_idleSince) > idleTime)
            {
                worker.Stop();
                _worker = null;
            }
        }
    }

    /// <summary>Takes no more calls, and ends the worker.</summary>
    /// <returns>The worker, or <see langword="null"/>.</returns>
    public NodeWorker? Close()
    {
        NodeCall[] waiting;
        NodeWorker? worker;
        lock (_lock)
        {
            _isClosed = true;
            waiting = [.. _waiting];
            _waiting.Clear();
            worker = _worker;
        }

        foreach (var call in waiting)
        {
            call.Complete(HandlerReply.Failed(HandlerFailure.Unavailable));
        }

        worker?.Stop();
        return worker;
    }

    private HandlerFailure TrySend(NodeCall call)
    {
        if (_isClosed)
        {
            return HandlerFailure.Unavailable;
        }

        if (_waiting.Count == 0)
        {
            for (var attempt = 0; attempt < 2; attempt++)
            {
                if (GetWorker() is not { } worker)
                {
                    return HandlerFailure.Unavailable;
                }

                if (worker.TrySend(call, _callsMax))
                {
                    return HandlerFailure.None;
                }

                if (worker.IsEnding)
                {
                    // It is on its way out; the next one takes the call.
                    _worker = null;
                }
                else
                {
                    break;
                }
            }
        }

        if (_waiting.Count >= _waitingMax)
        {
            return HandlerFailure.Overloaded;
        }

        _waiting.Enqueue(call);
        return HandlerFailure.None;
    }

    private bool SendWaiting()
    {
        while (_waiting.TryPeek(out var call))
        {
            if (GetWorker() is not { } worker)
            {
                return false;
            }

            if (worker.TrySend(call, _callsMax))
            {
                _waiting.Dequeue();
            }
            else if (worker.IsEnding)
            {
                _worker = null;
            }
            else
            {
                break;
            }
        }

        return true;
    }

    private NodeWorker? GetWorker()
    {
        if (_worker is not null || _isClosed)
        {
            return _worker;
        }

        var pause = TimeSpan.FromTicks(Math.Min(s_restartPause.Ticks << Math.Min(_failedStarts, 16), s_restartPauseMax.Ticks));
        if (_failedStarts > 0 && _timeProvider.GetElapsedTime(_failedAt) < pause)
        {
            return null;
        }

        try
        {
            return _worker = _start(this);
        }
        catch (HandlerRuntimeException)
        {
            _failedStarts++;
            _failedAt = _timeProvider.GetTimestamp();
            return null;
        }
    }
}
