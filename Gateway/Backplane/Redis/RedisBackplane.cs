using Fanfare.Gateway.Channels;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>The backplane of several gateways that share one Redis (or Valkey).</summary>
/// <remarks>
/// <para>
/// Each pattern is a pub/sub channel, and a gateway subscribes to those of the patterns that it has interest in. A publish goes to the
/// channel's own name and to those of the wildcards above it, five at most, in one script: Redis carries scripts out one after the
/// other, so all gateways see all publishes in one order, whichever pattern they come by. This gateway's own subscribers get their
/// copy by way of Redis too. A subscription belongs to one pattern, so each copy concerns other subscriptions.
/// </para>
/// <para>
/// Example: an event for <c>/chat/eu/42</c> goes to <c>fanfare:{api}/chat/eu/42</c>, <c>fanfare:{api}/chat/</c> and
/// <c>fanfare:{api}/chat/eu/</c>.
/// </para>
/// <para>
/// One <see cref="RedisSession"/> at a time. When it ends, publishes and subscribes are refused until the next one has every interest
/// of this gateway confirmed by Redis. What others publish in between is not delivered here: Redis keeps nothing for those who are away.
/// </para>
/// </remarks>
internal sealed class RedisBackplane : IBackplane, IHealthCheck, IHostedService, IAsyncDisposable
{
    // What publishers may have under way to Redis. At a round trip of 1 ms that is 32 GB a second.
    private const long BytesUnderWayMax = 32 * 1024 * 1024;

    // What a publish takes besides its bytes, about: names, the command, the task.
    private const int PublishOverheadBytes = 1024;

    // Subscribes under way at once when interests are restored.
    private const int RestoreBatch = 1000;

    // A dead peer is noticed after the interval and the time-out at the latest; the time-out leaves room for a busy machine.
    private static readonly TimeSpan s_probeInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan s_backOffMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_backOffMax = TimeSpan.FromSeconds(3);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, PatternKey> _interests = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _firstAttempt = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RedisEndpoint _endpoint;
    private readonly IDeliverySink _sink;
    private readonly RedisMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly RedisInbox _inbox;
    private readonly BytesUnderWay _underWay;
    private RedisSession? _session;
    private Task _run = Task.CompletedTask;
    private long _lostAt;
    private bool _isAway;
    private int _isRefusing;
    private int _isDisposed;

    public RedisBackplane(
        RedisEndpoint endpoint, IDeliverySink sink, RedisMetrics metrics, IOptions<GatewayLimits> limits, TimeProvider timeProvider,
        ILogger<RedisBackplane> logger)
    {
        (_endpoint, _sink, _metrics, _timeProvider, _logger) = (endpoint, sink, metrics, timeProvider, logger);
        _inbox = new RedisInbox(sink, metrics, logger);
        _underWay = new BytesUnderWay(BytesUnderWayMax, limits.Value.PublishTimeout, timeProvider);
        metrics.ReadPendingBytes = () => _inbox.Bytes;
    }

    /// <inheritdoc/>
    public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken)
    {
        isPlaced = true;
        if (FindSession() is null)
        {
            return new(PublishStatus.Unavailable);
        }

        if (events.AcceptedCount == 0)
        {
            return new(PublishStatus.Accepted);
        }

        var bytes = events.EncodedBytes + PublishOverheadBytes;
        var entering = EnterAsync(bytes, cancellationToken);
        // Then it is among the library's commands when this returns.
        isPlaced = entering.IsCompleted;
        return PublishAsync(entering, bytes, channel, events);
    }

    /// <inheritdoc/>
    public async ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
    {
        RedisSession? session;
        lock (_lock)
        {
            session = FindSession() ?? throw new BackplaneUnavailableException("Redis cannot be reached.");
            _interests[pattern.Value] = pattern;
        }

        try
        {
            await session.SubscribeAsync(pattern).WaitAsync(s_timeout, _timeProvider, cancellationToken);
        }
        catch (Exception e)
        {
            await RemoveInterestAsync(pattern, CancellationToken.None);
            // Without the library's own exception, which is long and says nothing more.
            throw e is OperationCanceledException && cancellationToken.IsCancellationRequested
                ? e
                : new BackplaneUnavailableException($"Redis did not confirm a subscription: {Describe(e)}.");
        }
    }

    /// <inheritdoc/>
    public async ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
    {
        RedisSession? session;
        lock (_lock)
        {
            _interests.Remove(pattern.Value);
            session = FindSession();
        }

        // Where there is none, its subscriptions have gone with it, and the next one looks at the interests again before it counts.
        if (session is not null)
        {
            try
            {
                await session.UnsubscribeAsync(pattern).WaitAsync(s_timeout, _timeProvider, session.Ended)
                    .ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            }
            catch (Exception e) when (IsFailure(e))
            {
                // At worst something arrives that nobody here has subscribed to, and it is dropped.
                RedisLog.StillUnreachable(_logger, Describe(e));
            }
        }
    }

    /// <summary>Healthy while publishes are taken and all interests are in place.</summary>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(FindSession() is null ? HealthCheckResult.Unhealthy("Redis cannot be reached.") : HealthCheckResult.Healthy());

    /// <summary>Begins to connect, and returns when that has succeeded or failed once: the process starts without Redis as well.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _run = Task.Run(RunAsync, CancellationToken.None);
        return _firstAttempt.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Does nothing: requests that are finished during the stop still need the backplane.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            await _stopping.CancelAsync();
            await _run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await _inbox.DisposeAsync();
        }
    }

    private static bool IsFailure(Exception e) => e is RedisException or BackplaneUnavailableException or TimeoutException or OperationCanceledException or IOException
        or ObjectDisposedException or InvalidOperationException;

    // The library's messages name hosts and commands; anything else is left at its type.
    private static string Describe(Exception e) => e switch
    {
        RedisConnectionException connection => connection.FailureType.ToString(),
        RedisServerException server => server.Message.Split(' ')[0],
        OperationCanceledException => "the connection was lost",
        TimeoutException => "no answer",
        BackplaneUnavailableException => e.Message.TrimEnd('.'),
        _ => e.GetType().Name,
    };

    private RedisSession? FindSession() =>
        Volatile.Read(ref _session) is { Ended.IsCancellationRequested: false } session ? session : null;

    private async ValueTask<bool> EnterAsync(long bytes, CancellationToken cancellationToken) =>
        await _sink.WaitForRoomAsync(cancellationToken) && await _underWay.EnterAsync(bytes, cancellationToken);

    private async ValueTask<PublishStatus> PublishAsync(ValueTask<bool> entering, long bytes, ChannelKey channel, EventBatch events)
    {
        if (!await entering)
        {
            return PublishStatus.Overloaded;
        }

        try
        {
            return FindSession() is { } session ? await PublishAsync(session, channel, events) : PublishStatus.Unavailable;
        }
        finally
        {
            _underWay.Leave(bytes);
        }
    }

    private async ValueTask<PublishStatus> PublishAsync(RedisSession session, ChannelKey channel, EventBatch events)
    {
        try
        {
            // Not cancelled with the publisher: what is under way is counted until Redis has answered or is found dead. Continued
            // elsewhere, because the library completes its tasks one after the other.
            await session.PublishAsync(channel, RedisMessage.Encode(channel, events)).WaitAsync(session.Ended)
                .ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            if (Volatile.Read(ref _isRefusing) != 0)
            {
                Volatile.Write(ref _isRefusing, 0);
            }

            return PublishStatus.Accepted;
        }
        catch (RedisServerException e)
        {
            if (Interlocked.Exchange(ref _isRefusing, 1) == 0)
            {
                RedisLog.PublishRefused(_logger, Describe(e));
            }

            return PublishStatus.Unavailable;
        }
        catch (Exception e) when (IsFailure(e))
        {
            // It may have been published. Trying again could publish it twice.
            return PublishStatus.Unavailable;
        }
    }

    private async Task RunAsync()
    {
        var backOff = s_backOffMin;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                if (await ServeAsync())
                {
                    backOff = s_backOffMin;
                }
            }
            catch (Exception e) when (IsFailure(e))
            {
                CountAway(Describe(e));
            }
            catch (Exception e)
            {
                // A bug, or a kind of failure that nobody thought of: neither may end the backplane for good.
                RedisLog.Failed(_logger, e);
            }

            _firstAttempt.TrySetResult();
            // Not all gateways at the same moment.
            await Task.Delay(backOff * (0.5 + (Random.Shared.NextDouble() / 2)), _timeProvider, _stopping.Token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            backOff = TimeSpan.FromTicks(Math.Min(backOff.Ticks * 2, s_backOffMax.Ticks));
        }
    }

    /// <summary>Opens a session, restores the interests and watches over it until it ends.</summary>
    /// <returns>Whether the session ever counted.</returns>
    private async Task<bool> ServeAsync()
    {
        using var session = await RedisSession.OpenAsync(
            _endpoint.Options, _endpoint.NamePrefix, _inbox, _timeProvider, s_timeout);
        var patterns = await RestoreAsync(session);
        if (_isAway)
        {
            RedisLog.Recovered(_logger, _timeProvider.GetElapsedTime(_lostAt).TotalSeconds, patterns);
            _isAway = false;
        }
        else
        {
            RedisLog.Connected(_logger);
        }

        _firstAttempt.TrySetResult();
        await WatchAsync(session);
        Volatile.Write(ref _session, null);
        _metrics.IsConnected = false;
        if (!_stopping.IsCancellationRequested)
        {
            _metrics.Disconnects.Add(1, new KeyValuePair<string, object?>("reason", session.EndReason));
            _isAway = true;
            _lostAt = _timeProvider.GetTimestamp();
            RedisLog.Lost(_logger, session.EndReason, session.EndDetail);
            // What waits here must not be what ends the next session.
            await _inbox.FlushAsync(_stopping.Token);
        }

        return true;
    }

    private void CountAway(string reason)
    {
        if (_isAway)
        {
            RedisLog.StillUnreachable(_logger, reason);
            return;
        }

        _isAway = true;
        _lostAt = _timeProvider.GetTimestamp();
        RedisLog.Unreachable(_logger, reason);
    }

    /// <summary>Subscribes to all interests, and makes the session count once Redis has confirmed them.</summary>
    private async Task<int> RestoreAsync(RedisSession session)
    {
        // Interests can only go while no session counts, but they can.
        var subscribed = new Dictionary<string, PatternKey>(StringComparer.Ordinal);
        while (true)
        {
            List<PatternKey> missing, surplus;
            lock (_lock)
            {
                missing = [.. _interests.Values.Where(pattern => !subscribed.ContainsKey(pattern.Value)).Take(RestoreBatch)];
                surplus = [.. subscribed.Values.Where(pattern => !_interests.ContainsKey(pattern.Value)).Take(RestoreBatch)];
                if (missing.Count == 0 && surplus.Count == 0)
                {
                    Volatile.Write(ref _session, session);
                    _metrics.IsConnected = !session.Ended.IsCancellationRequested;
                    return subscribed.Count;
                }
            }

            await Task.WhenAll(missing.Select(session.SubscribeAsync).Concat(surplus.Select(session.UnsubscribeAsync)))
                .WaitAsync(s_timeout, _timeProvider, session.Ended).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            missing.ForEach(pattern => subscribed[pattern.Value] = pattern);
            surplus.ForEach(pattern => subscribed.Remove(pattern.Value));
        }
    }

    private async Task WatchAsync(RedisSession session)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(session.Ended, _stopping.Token);
        try
        {
            while (true)
            {
                await Task.Delay(s_probeInterval, _timeProvider, either.Token);
                await session.ProbeAsync(s_timeout);
            }
        }
        catch (OperationCanceledException)
        {
            session.End(RedisEndReason.Closed, "stopped");
        }
        catch (TimeoutException)
        {
            session.End(RedisEndReason.Silent, "no answer");
        }
        catch (RedisServerException e)
        {
            session.End(RedisEndReason.Refused, Describe(e));
        }
        catch (Exception e) when (IsFailure(e))
        {
            session.End(RedisEndReason.Closed, Describe(e));
        }
    }
}
