namespace Fanfare.Gateway.Handlers.Node;

/// <summary>A compiled module, and what it is held to account for.</summary>
internal sealed class NodeModule : HandlerModule
{
    // The first death may be chance; from the second on, each doubles the time that the code is not run.
    private static readonly TimeSpan s_firstFence = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_fenceMax = TimeSpan.FromMinutes(1);

    // Code that caused no death for this long is trusted as if it never had.
    private static readonly TimeSpan s_forgetTime = TimeSpan.FromMinutes(2);

    private readonly TimeProvider _timeProvider;
    private readonly Lock _lock = new();
    private int _strikes;
    private long _lastStrike;

    public NodeModule(
        uint id, HandlerOwner owner, byte[] program, IReadOnlyList<CodeProblem> problems, HandlerForm onPublish, HandlerForm onSubscribe,
        TimeProvider timeProvider)
        : base(owner, problems, onPublish, onSubscribe) => (Id, Program, _timeProvider) = (id, program, timeProvider);

    /// <summary>The number that workers know the module by.</summary>
    public uint Id { get; }

    /// <summary>What workers load: JSON, as the frame <c>load</c> has it.</summary>
    public ReadOnlyMemory<byte> Program { get; }

    /// <summary>Whether the code brought a worker down lately, so that it runs apart from others.</summary>
    public bool IsSuspect
    {
        get
        {
            lock (_lock)
            {
                return HasStrikes();
            }
        }
    }

    /// <summary>Whether the code is not run for a while.</summary>
    public bool IsFenced
    {
        get
        {
            lock (_lock)
            {
                return HasStrikes() && _timeProvider.GetElapsedTime(_lastStrike) < GetFence();
            }
        }
    }

    /// <summary>The code brought a worker down.</summary>
    /// <returns>For how long it is not run now.</returns>
    public TimeSpan Strike()
    {
        lock (_lock)
        {
            _strikes = HasStrikes() ? _strikes + 1 : 1;
            _lastStrike = _timeProvider.GetTimestamp();
            return GetFence();
        }
    }

    private bool HasStrikes() => _strikes > 0 && _timeProvider.GetElapsedTime(_lastStrike) < s_forgetTime;

    private TimeSpan GetFence()
    {
        if (_strikes < 2)
        {
            return TimeSpan.Zero;
        }

        var fence = s_firstFence * Math.Pow(2, Math.Min(_strikes - 2, 10));
        return fence < s_fenceMax ? fence : s_fenceMax;
    }
}
