using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.FanOut;

/// <summary>Puts what a backplane delivers on this gateway's subscriptions: finds who is interested and hands it to their shards.</summary>
/// <remarks>
/// The interests of a channel are looked up once per publish, not once per shard. Look-up and hand-over happen under a lock that
/// channels share by hash: it gives all shards, and so all subscribers, the same order of a channel's events.
/// </remarks>
internal sealed class LocalFanOut : IDeliverySink, IDisposable
{
    private const int StripeCount = 64;
    private static readonly TimeSpan s_tickInterval = TimeSpan.FromSeconds(1);

    // Finer than the tick: a step closes a tenth of a second's connections.
    private static readonly TimeSpan s_drainInterval = TimeSpan.FromMilliseconds(100);

    private readonly Lock[] _stripes = new Lock[StripeCount];
    private readonly Shard[] _shards;
    private readonly GatewayLimits _limits;
    private readonly TimeProvider _timeProvider;
    private readonly ITimer _tick;
    private readonly Lock _waitLock = new();
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _ended;
    private int _nextShard = -1;
    private int _connectionCount;
    private InterestTable? _interests;
    private ITimer? _drainStep;
    private bool _isDraining;

    public LocalFanOut(IOptions<GatewayLimits> limits, GatewayMetrics metrics, TimeProvider timeProvider, ILogger<LocalFanOut> logger)
    {
        _limits = limits.Value;
        _timeProvider = timeProvider;
        for (var i = 0; i < StripeCount; i++)
        {
            _stripes[i] = new Lock();
        }

        _shards = new Shard[Environment.ProcessorCount];
        for (var i = 0; i < _shards.Length; i++)
        {
            _shards[i] = new Shard(i, this, _limits, metrics, timeProvider, logger);
        }

        _tick = timeProvider.CreateTimer(static state => ((LocalFanOut)state!).Tick(), this, s_tickInterval, s_tickInterval);
    }

    /// <summary>How many shards there are.</summary>
    public int ShardCount => _shards.Length;

    /// <summary>How many connections there are, from before their upgrade is answered until nothing is left of them.</summary>
    public int ConnectionCount => Volatile.Read(ref _connectionCount);

    /// <summary>The patterns with local subscriptions. Set once, before the first publish.</summary>
    /// <remarks>Not a constructor's parameter, because the table needs the backplane and the backplane needs this.</remarks>
    public InterestTable Interests
    {
        get => _interests ?? throw new InvalidOperationException("The interest table has not been set.");
        set => _interests = value;
    }

    /// <summary>Chooses the shard of a new connection: each in turn.</summary>
    public Shard AssignShard() => _shards[(uint)Interlocked.Increment(ref _nextShard) % (uint)_shards.Length];

    /// <summary>Counts a connection in, before its client can know that it is one: a drain must not miss it.</summary>
    public void ConnectionBegins() => Interlocked.Increment(ref _connectionCount);

    /// <summary>Counts a connection out, when nothing is left of it.</summary>
    public void ConnectionEnded()
    {
        if (Interlocked.Decrement(ref _connectionCount) == 0)
        {
            lock (_waitLock)
            {
                _ended?.TrySetResult();
                _ended = null;
            }
        }
    }

    /// <inheritdoc/>
    public void Deliver(ChannelKey channel, EventBatch events)
    {
        if (events.AcceptedCount == 0)
        {
            return;
        }

        lock (_stripes[(uint)channel.GetHashCode() % StripeCount])
        {
            // Where nobody listens, the look-ups are all there is to do.
            if (Match(channel) is { } delivery)
            {
                Hand(delivery, events);
            }
        }
    }

    /// <inheritdoc/>
    public void Deliver(PatternKey pattern, ChannelKey channel, EventBatch events)
    {
        if (events.AcceptedCount == 0)
        {
            return;
        }

        lock (_stripes[(uint)channel.GetHashCode() % StripeCount])
        {
            if (Interests.TryFind(pattern.Value, out var interest))
            {
                var delivery = Delivery.Rent(_timeProvider.GetTimestamp());
                delivery.AddMatch(interest);
                Hand(delivery, events);
            }
        }
    }

    /// <inheritdoc/>
    public bool HasRoom
    {
        get
        {
            long pendingBytes = 0;
            foreach (var shard in _shards)
            {
                if (shard.QueueLength >= Shard.QueueLengthMax)
                {
                    return false;
                }

                pendingBytes += shard.PendingBytes;
            }

            return pendingBytes < _limits.PendingBytesTotalMax;
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> WaitForRoomAsync(CancellationToken cancellationToken) =>
        HasRoom ? new(true) : WaitForRoomSlowAsync(cancellationToken);

    /// <summary>Whether connections are being closed for good, and no more should come.</summary>
    public bool IsDraining => Volatile.Read(ref _isDraining);

    /// <summary>Closes all connections, and those that are still being accepted. Called once.</summary>
    /// <param name="time">Over how long the closes are spread evenly; zero for all at once.</param>
    public void Drain(TimeSpan time)
    {
        Volatile.Write(ref _isDraining, true);
        var began = _timeProvider.GetTimestamp();
        PostDrain();
        if (time > TimeSpan.Zero)
        {
            _drainStep = _timeProvider.CreateTimer(_ => PostDrain(), null, s_drainInterval, s_drainInterval);
        }

        void PostDrain()
        {
            var share = time > TimeSpan.Zero ? Math.Min(1, _timeProvider.GetElapsedTime(began) / time) : 1;
            foreach (var shard in _shards)
            {
                shard.Post(ShardCommand.Drain(share));
            }

            if (share >= 1)
            {
                _drainStep?.Dispose();
            }
        }
    }

    /// <summary>Breaks off the connections that a drain has left.</summary>
    public void Abandon()
    {
        foreach (var shard in _shards)
        {
            shard.Post(ShardCommand.AbandonAll);
        }
    }

    /// <summary>Returns when no connection is left.</summary>
    public async Task WaitUntilEmptyAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task ended;
            lock (_waitLock)
            {
                _ended ??= NewSignal();
                ended = _ended.Task;
            }

            if (ConnectionCount == 0)
            {
                return;
            }

            await ended.WaitAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _tick.Dispose();
        _drainStep?.Dispose();
        foreach (var shard in _shards)
        {
            shard.Dispose();
        }
    }

    /// <summary>Called by a shard after each round: lets publishers go on that were held back.</summary>
    internal void SignalRoom()
    {
        if (Volatile.Read(ref _room) is not null && HasRoom)
        {
            Interlocked.Exchange(ref _room, null)?.TrySetResult();
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Delivery? Match(ChannelKey channel)
    {
        Delivery? delivery = null;
        if (Interests.TryFind(channel.Value, out var interest))
        {
            AddMatch(ref delivery, interest);
        }

        var position = 0;
        while (channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            if (Interests.TryFind(wildcard, out interest))
            {
                AddMatch(ref delivery, interest);
            }
        }

        return delivery;
    }

    private void AddMatch(ref Delivery? delivery, Interest interest)
    {
        delivery ??= Delivery.Rent(_timeProvider.GetTimestamp());
        delivery.AddMatch(interest);
    }

    private void Hand(Delivery delivery, EventBatch events)
    {
        Span<bool> concerned = stackalloc bool[_shards.Length];
        var count = 0;
        for (var i = 0; i < _shards.Length; i++)
        {
            if (delivery.Concerns(i))
            {
                concerned[i] = true;
                count++;
            }
        }

        if (count == 0)
        {
            delivery.Return();
            return;
        }

        delivery.Share(events, count);
        for (var i = 0; i < _shards.Length; i++)
        {
            if (concerned[i])
            {
                _shards[i].Post(ShardCommand.Deliver(delivery));
            }
        }
    }

    private async ValueTask<bool> WaitForRoomSlowAsync(CancellationToken cancellationToken)
    {
        var began = _timeProvider.GetTimestamp();
        while (true)
        {
            var signal = Volatile.Read(ref _room);
            if (signal is null)
            {
                var created = NewSignal();
                signal = Interlocked.CompareExchange(ref _room, created, null) ?? created;
            }

            // Looked at again after the signal is in place, or the last shard's call could have come before it.
            if (HasRoom)
            {
                return true;
            }

            var left = _limits.PublishTimeout - _timeProvider.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
            {
                return false;
            }

            try
            {
                await signal.Task.WaitAsync(left, _timeProvider, cancellationToken);
            }
            catch (TimeoutException)
            {
                return false;
            }
        }
    }

    private void Tick()
    {
        foreach (var shard in _shards)
        {
            // A shard this far behind has more urgent work, and would only collect ticks.
            if (shard.QueueLength < Shard.QueueLengthMax)
            {
                shard.Post(ShardCommand.Tick);
            }
        }
    }
}
