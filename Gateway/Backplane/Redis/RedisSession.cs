using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Fanfare.Gateway.Channels;
using StackExchange.Redis;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>Why a session ended, as the tag of a metric.</summary>
internal static class RedisEndReason
{
    /// <summary>Redis closed a connection, or the network did.</summary>
    public const string Closed = "closed";

    /// <summary>What was published to itself did not come back.</summary>
    public const string Silent = "silent";

    /// <summary>More arrived than the gateway could deliver.</summary>
    public const string Overrun = "overrun";

    /// <summary>Redis refused a command.</summary>
    public const string Refused = "refused";
}

/// <summary>One subscription to a pattern, from its subscribe to its unsubscribe. Safe for concurrent use.</summary>
/// <remarks>
/// The next subscription to the same pattern is another one: were it given what still waits of this one, it would get an older event, and
/// then miss those that were published while there was no subscription.
/// </remarks>
internal sealed class RedisSubscription(PatternKey pattern)
{
    private volatile bool _hasEnded;

    /// <summary>The pattern.</summary>
    public PatternKey Pattern { get; } = pattern;

    /// <summary>Whether nobody asks any more.</summary>
    public bool HasEnded => _hasEnded;

    /// <summary>Nobody asks any more.</summary>
    public void End() => _hasEnded = true;
}

/// <summary>A pair of connections to Redis, one to publish and one to listen, from their opening until the first of them breaks.</summary>
/// <remarks>
/// The client library would reconnect by itself, and would restore what was subscribed behind our back. What was published in between
/// would be missing without a trace. So a session ends with the first break of either connection, and nothing arrives through it
/// any more; another one takes its place (<see cref="RedisBackplane"/>). Safe for concurrent use.
/// </remarks>
internal sealed class RedisSession : IDisposable
{
    // PUBLISH to each name, in one step for everybody who listens. The names are arguments, not keys: no key is touched.
    private const string PublishScript = "for i = 2, #ARGV do redis.call('PUBLISH', ARGV[i], ARGV[1]) end";

    private static readonly TimeSpan s_listeningInterval = TimeSpan.FromMilliseconds(10);

    private readonly ConnectionMultiplexer _connections;
    private readonly IDatabase _publishing;
    private readonly ISubscriber _listening;
    private readonly string _namePrefix;
    private readonly RedisInbox _inbox;
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<string, RedisSubscription> _subscriptions = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _ended = new();
    private readonly string _probeName;
    private readonly TimeProvider _timeProvider;
    private long _probesSent;
    private TaskCompletionSource? _probe;
    private bool _hasEnded;

    private RedisSession(ConnectionMultiplexer connections, string namePrefix, RedisInbox inbox, TimeProvider timeProvider)
    {
        _connections = connections;
        _publishing = connections.GetDatabase();
        _listening = connections.GetSubscriber();
        _namePrefix = namePrefix;
        _inbox = inbox;
        _timeProvider = timeProvider;
        _probeName = $"{namePrefix.TrimEnd(':')}-probe:{Guid.NewGuid():N}";
        Ended = _ended.Token;
        connections.ConnectionFailed += (_, failure) => End(RedisEndReason.Closed, $"{failure.ConnectionType} {failure.FailureType}");
    }

    /// <summary>Cancelled when the session has ended.</summary>
    public CancellationToken Ended { get; }

    /// <summary>Why it ended; one of <see cref="RedisEndReason"/>.</summary>
    public string EndReason { get; private set; } = RedisEndReason.Closed;

    /// <summary>More about the end, for the log.</summary>
    public string EndDetail { get; private set; } = "";

    /// <summary>Connects, and returns when both connections work.</summary>
    /// <param name="options">Where to, and how.</param>
    /// <param name="namePrefix">What all names begin with.</param>
    /// <param name="inbox">Where messages go.</param>
    /// <param name="timeProvider">The clock.</param>
    /// <param name="timeout">How long each step may take.</param>
    /// <exception cref="RedisException">There is no Redis, or it refuses.</exception>
    /// <exception cref="TimeoutException">It does not answer.</exception>
    public static async Task<RedisSession> OpenAsync(
        ConfigurationOptions options, string namePrefix, RedisInbox inbox, TimeProvider timeProvider, TimeSpan timeout)
    {
        var connecting = ConnectionMultiplexer.ConnectAsync(options);
        ConnectionMultiplexer connections;
        try
        {
            connections = await connecting.WaitAsync(timeout, timeProvider).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        }
        catch (TimeoutException)
        {
            _ = connecting.ContinueWith(
                static late => Close(late.Result), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }

        var session = new RedisSession(connections, namePrefix, inbox, timeProvider);
        try
        {
            await session.WaitForListeningAsync(timeout);
            await session.SubscribeAsync(session._probeName, session.ReceiveProbe).WaitAsync(timeout, timeProvider);
            await session.ProbeAsync(timeout);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Asks for what is published to a pattern; completes when Redis has confirmed. Not twice before it asks no longer.</summary>
    public Task SubscribeAsync(PatternKey pattern)
    {
        var subscription = new RedisSubscription(pattern);
        _subscriptions[pattern.Value] = subscription;
        return SubscribeAsync(_namePrefix + pattern.Value, (_, message) => Receive(subscription, message));
    }

    /// <summary>Asks no longer. What has arrived by then and still waits is not delivered.</summary>
    public Task UnsubscribeAsync(PatternKey pattern)
    {
        if (_subscriptions.TryRemove(pattern.Value, out var subscription))
        {
            subscription.End();
        }

        return _listening.UnsubscribeAsync(ToName(_namePrefix + pattern.Value));
    }

    /// <summary>Publishes; completes when Redis has handed the message to all who listen.</summary>
    public Task PublishAsync(ChannelKey channel, byte[] message)
    {
        var names = RedisMessage.GetNames(_namePrefix, channel);
        if (names.Count == 1)
        {
            return _publishing.ExecuteAsync("PUBLISH", names[0], message);
        }

        // The text and not its hash: then no restart or failover of Redis can have forgotten it, and nothing is ever sent twice.
        var arguments = new object[3 + names.Count];
        (arguments[0], arguments[1], arguments[2]) = (PublishScript, 0, message);
        for (var i = 0; i < names.Count; i++)
        {
            arguments[3 + i] = names[i];
        }

        return _publishing.ExecuteAsync("EVAL", arguments);
    }

    /// <summary>Publishes to itself and returns when that has come back: both connections work, and all before it has arrived.</summary>
    /// <exception cref="TimeoutException">It has not come back.</exception>
    /// <exception cref="RedisServerException">Redis refuses it.</exception>
    /// <exception cref="OperationCanceledException">The session has ended.</exception>
    public async Task ProbeAsync(TimeSpan timeout)
    {
        var number = Interlocked.Increment(ref _probesSent);
        var probe = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _probe, probe);
        await _publishing.ExecuteAsync("PUBLISH", _probeName, number).WaitAsync(timeout, _timeProvider, Ended)
            .ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await probe.Task.WaitAsync(timeout, _timeProvider, Ended);
    }

    /// <summary>Ends the session; the first reason counts.</summary>
    public void End(string reason, string detail)
    {
        lock (_lock)
        {
            if (_hasEnded)
            {
                return;
            }

            _hasEnded = true;
            (EndReason, EndDetail) = (reason, detail);
        }

        // Not on this thread, which may be the library's own: whoever waits for the end goes on with work of its own.
        _ = _ended.CancelAsync();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End(RedisEndReason.Closed, "disposed");
        // It may wait for threads of the library, one of which may be waiting for this one.
        _ = Task.Run(() => Close(_connections));
    }

    private static void Close(ConnectionMultiplexer connections)
    {
        try
        {
            connections.Close(allowCommandsToComplete: false);
            connections.Dispose();
        }
        catch (Exception e) when (e is RedisException or IOException or ObjectDisposedException or InvalidOperationException or AggregateException)
        {
            // What is closed is broken as a rule.
            Debug.WriteLine(e);
        }
    }

    private static RedisChannel ToName(string name) => new(name, RedisChannel.PatternMode.Literal);

    // The library says that it is connected when it can publish; the connection to listen may come a moment later, without a word.
    private async Task WaitForListeningAsync(TimeSpan timeout)
    {
        var began = _timeProvider.GetTimestamp();
        while (true)
        {
            try
            {
                await _listening.PingAsync().WaitAsync(timeout, _timeProvider, Ended).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
                return;
            }
            catch (RedisConnectionException) when (_timeProvider.GetElapsedTime(began) < timeout)
            {
                await Task.Delay(s_listeningInterval, _timeProvider, Ended);
            }
        }
    }

    private async Task SubscribeAsync(string name, Action<RedisChannel, RedisValue> receive)
    {
        var channel = ToName(name);
        await _listening.SubscribeAsync(channel, receive).WaitAsync(Ended).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        // Without a connection the library keeps the wish for later, and says nothing.
        if (_listening.SubscribedEndpoint(channel) is null)
        {
            throw new BackplaneUnavailableException("Redis has no connection to subscribe on.");
        }
    }

    private void Receive(RedisSubscription subscription, RedisValue message)
    {
        // Under the lock, so that nothing of a session arrives after its end: its successor may have it too.
        lock (_lock)
        {
            if (_hasEnded || _inbox.TryAdd(subscription, message!))
            {
                return;
            }
        }

        End(RedisEndReason.Overrun, string.Create(CultureInfo.InvariantCulture, $"{RedisInbox.BytesMax} bytes wait"));
    }

    private void ReceiveProbe(RedisChannel name, RedisValue message)
    {
        if (long.TryParse((string?)message, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number == Volatile.Read(ref _probesSent))
        {
            Volatile.Read(ref _probe)?.TrySetResult();
        }
    }
}
