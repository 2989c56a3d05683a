namespace Fanfare.Gateway;

/// <summary>Admits so many units in any second: a bucket that holds one second's worth and refills evenly.</summary>
/// <remarks>Safe for concurrent use.</remarks>
internal sealed class RateLimit
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _timeProvider;
    private readonly double _perSecond;
    private double _available;
    private long _refilledAt;

    private RateLimit(int perSecond, TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        _perSecond = _available = perSecond;
        _refilledAt = timeProvider.GetTimestamp();
    }

    /// <summary>Creates a limit, or none for 0.</summary>
    public static RateLimit? Create(int perSecond, TimeProvider timeProvider) =>
        perSecond == 0 ? null : new RateLimit(perSecond, timeProvider);

    /// <summary>Takes units if that many are available, else none.</summary>
    /// <remarks>More units than the bucket holds are admitted from a full one, so that a small limit delays a batch but never bars it.</remarks>
    public bool TryTake(int units = 1)
    {
        lock (_lock)
        {
            var now = _timeProvider.GetTimestamp();
            _available = Math.Min(_perSecond, _available + (_timeProvider.GetElapsedTime(_refilledAt, now).TotalSeconds * _perSecond));
            _refilledAt = now;
            if (_available < Math.Min(units, _perSecond))
            {
                return false;
            }

            _available -= units;
            return true;
        }
    }
}
