namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A clock that stands still until a test advances it. Timers fire inside <see cref="Advance"/>, in due order.</summary>
/// <remarks>Safe for concurrent use; <see cref="Advance"/> itself is called from one place at a time, the test.</remarks>
public sealed class ManualTimeProvider : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly PriorityQueue<Due, (DateTimeOffset, long)> _queue = new();
    private readonly DateTimeOffset _start;
    private DateTimeOffset _now;
    private long _sequence;

    /// <summary>Starts at the machine's present, to the second, so that dates in credentials stay plausible.</summary>
    public ManualTimeProvider()
    {
        _start = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        _now = _start;
    }

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    /// <inheritdoc/>
    public override long GetTimestamp() => (GetUtcNow() - _start).Ticks;

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clock forward, stopping at each due timer on the way so that callbacks see their own due time.</summary>
    public void Advance(TimeSpan by)
    {
        DateTimeOffset end;
        lock (_lock)
        {
            end = _now + by;
        }

        while (TakeDue(end) is { } timer)
        {
            timer.Fire();
        }
    }

    private ManualTimer? TakeDue(DateTimeOffset end)
    {
        lock (_lock)
        {
            while (_queue.TryPeek(out var due, out var order) && order.Item1 <= end)
            {
                _queue.Dequeue();
                if (!due.Timer.IsCurrent(due.Generation))
                {
                    continue; // changed or disposed since it was queued
                }

                _now = order.Item1 > _now ? order.Item1 : _now;
                if (due.Timer.Period > TimeSpan.Zero)
                {
                    Enqueue(due.Timer, due.Generation, _now + due.Timer.Period);
                }

                return due.Timer;
            }

            _now = end;
            return null;
        }
    }

    private void Enqueue(ManualTimer timer, long generation, DateTimeOffset at) =>
        _queue.Enqueue(new Due(timer, generation), (at, _sequence++));

    private readonly record struct Due(ManualTimer Timer, long Generation);

    private sealed class ManualTimer(ManualTimeProvider clock, TimerCallback callback, object? state) : ITimer
    {
        private readonly ExecutionContext? _context = ExecutionContext.Capture();
        private long _generation;
        private bool _isDisposed;

        public TimeSpan Period { get; private set; }

        public bool IsCurrent(long generation) => !_isDisposed && generation == _generation;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                if (_isDisposed)
                {
                    return false;
                }

                _generation++;
                Period = period;
                if (dueTime >= TimeSpan.Zero)
                {
                    // A timer due at once fires with the next Advance, even one by zero.
                    clock.Enqueue(this, _generation, clock._now + dueTime);
                }

                return true;
            }
        }

        public void Fire()
        {
            if (_context is null)
            {
                callback(state);
            }
            else
            {
                ExecutionContext.Run(_context, static target => ((ManualTimer)target!).Invoke(), this);
            }
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                _isDisposed = true;
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Invoke() => callback(state);
    }
}
