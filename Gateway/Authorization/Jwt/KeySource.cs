using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>The keys of one issuer, kept fresh. Safe for concurrent use.</summary>
/// <remarks>
/// <para>Nothing is fetched until the first token asks. From then on a timer fetches every refresh interval, so the age of the keys
/// does not depend on traffic and no request waits for a fetch while keys are there: a slow or dead issuer is noticed by the timer
/// alone. After a failure the timer comes back sooner, at doubling distances.</para>
/// <para>A request waits in two cases: when there are no keys yet, and when its token names a key that is not among them. All wait
/// for the same fetch, which takes <see cref="FetchTimeout"/> at most. The second kind, which anyone can cause by making up a key
/// id, starts a fetch no more often than every <see cref="UnknownKeyInterval"/>.</para>
/// </remarks>
internal sealed class KeySource : IDisposable
{
    /// <summary>How long a fetch may take, discovery included.</summary>
    public static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(5);

    /// <summary>The least time between two fetches for unknown key ids.</summary>
    public static readonly TimeSpan UnknownKeyInterval = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_retryMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_retryMax = TimeSpan.FromMinutes(1);

    private readonly string _issuer;
    private readonly Func<CancellationToken, Task<KeySet>> _fetch;
    private readonly JwtOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource _stopping = new();

    // Guards the fields below, except that _snapshot is read without it.
    private readonly Lock _lock = new();
    private volatile Snapshot? _snapshot;
    private Task? _fetching;
    private long? _unknownKeyFetch;
    private int _failures;
    private bool _isDisposed;

    /// <param name="issuer">The issuer, for the log.</param>
    /// <param name="fetch">Fetches the keys; called by one at a time.</param>
    /// <param name="options">Refresh interval and greatest age.</param>
    /// <param name="timeProvider">The clock.</param>
    /// <param name="logger">Told when keys cannot be had, and when they can again.</param>
    public KeySource(
        string issuer, Func<CancellationToken, Task<KeySet>> fetch, JwtOptions options, TimeProvider timeProvider, ILogger logger)
    {
        _issuer = issuer;
        _fetch = fetch;
        _options = options;
        _timeProvider = timeProvider;
        _logger = logger;
        _timer = timeProvider.CreateTimer(
            static source => ((KeySource)source!).Refresh(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The keys, or <see langword="null"/> where there are none or they are too old to be trusted.</summary>
    public KeySet? Current =>
        _snapshot is { } snapshot && _timeProvider.GetElapsedTime(snapshot.FetchedAt) <= _options.KeysAgeMax ? snapshot.Keys : null;

    /// <summary>Gets the keys; waits for them only where there are none. <see langword="null"/> where they cannot be had.</summary>
    public async ValueTask<KeySet?> GetAsync(CancellationToken cancellationToken)
    {
        if (Current is { } keys)
        {
            return keys;
        }

        Task? fetching;
        lock (_lock)
        {
            // After a failure the timer decides when to ask again; until then there is nothing to wait for.
            fetching = _fetching ?? (_failures == 0 ? Start() : null);
        }

        if (fetching is not null)
        {
            await fetching.WaitAsync(cancellationToken);
        }

        return Current;
    }

    /// <summary>Gets keys newer than those that lack the one a token was signed with.</summary>
    /// <returns><see langword="null"/> where none can be had now.</returns>
    public async ValueTask<KeySet?> GetNewerAsync(KeySet known, CancellationToken cancellationToken)
    {
        Task fetching;
        lock (_lock)
        {
            if (_snapshot is { } snapshot && snapshot.Keys != known)
            {
                return snapshot.Keys;
            }

            if (_fetching is null)
            {
                if (_failures > 0
                    || (_unknownKeyFetch is { } last && _timeProvider.GetElapsedTime(last) < UnknownKeyInterval))
                {
                    return null;
                }

                _unknownKeyFetch = _timeProvider.GetTimestamp();
            }

            fetching = _fetching ?? Start();
        }

        await fetching.WaitAsync(cancellationToken);
        return Current;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        _stopping.Cancel();
        _timer.Dispose();
    }

    private void Refresh()
    {
        lock (_lock)
        {
            _ = _fetching ?? Start();
        }
    }

    /// <summary>Starts the one fetch. The lock is held, so nothing of the fetch runs on this thread.</summary>
    private Task Start() => _fetching = _isDisposed ? Task.CompletedTask : Task.Run(FetchAsync, CancellationToken.None);

    private async Task FetchAsync()
    {
        try
        {
            using var timeout = new CancellationTokenSource(FetchTimeout, _timeProvider);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stopping.Token);
            Succeed(await _fetch(either.Token));
        }
        catch (OperationCanceledException)
        {
            Fail("It did not answer in time.");
        }
        catch (Exception e)
        {
            // Whatever it is that an issuer's answer makes fail: a fetch that ended without being finished would be the last one.
            Fail(e.Message);
        }
    }

    private void Succeed(KeySet fetched)
    {
        bool isNews;
        lock (_lock)
        {
            isNews = _failures > 0 || _snapshot is null || !_snapshot.Keys.Equivalent(fetched);

            // The same keys stay the same objects, so that what was verified with them stays verified at no cost.
            var keys = _snapshot is { } old && old.Keys.Equivalent(fetched) ? old.Keys : fetched;
            _snapshot = new Snapshot(keys, _timeProvider.GetTimestamp());
            _failures = 0;
            Finish(_options.KeysRefreshInterval);
        }

        if (isNews)
        {
            JwtLog.KeysFetched(_logger, _issuer, fetched.Count);
        }
    }

    private void Fail(string reason)
    {
        bool isFirst;
        lock (_lock)
        {
            isFirst = _failures++ == 0 && !_isDisposed;
            var delay = s_retryMin * Math.Pow(2, Math.Min(_failures - 1, 10));
            Finish(TimeSpan.FromTicks(Math.Min(delay.Ticks, s_retryMax.Ticks)));
        }

        if (isFirst)
        {
            JwtLog.KeysUnavailable(_logger, _issuer, reason);
        }
    }

    /// <summary>Ends the fetch and arms the timer for the next. The lock is held.</summary>
    private void Finish(TimeSpan next)
    {
        _fetching = null;
        if (!_isDisposed)
        {
            _timer.Change(next, Timeout.InfiniteTimeSpan);
        }
    }

    private sealed record Snapshot(KeySet Keys, long FetchedAt);
}

/// <summary>The key sources of all issuers, one each however many APIs take its tokens.</summary>
internal sealed class KeySources(KeyFetcher fetcher, JwtOptions options, TimeProvider timeProvider, ILogger<KeySources> logger) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(AuthMode Mode, string Issuer), KeySource> _sources = [];

    /// <summary>Gets the source of an issuer. Issuers come from configuration, so there are few.</summary>
    public KeySource Get(TokenIssuer issuer)
    {
        lock (_lock)
        {
            if (!_sources.TryGetValue((issuer.Mode, issuer.Issuer), out var source))
            {
                source = new KeySource(
                    issuer.Issuer, cancellationToken => fetcher.FetchAsync(issuer, cancellationToken), options, timeProvider, logger);
                _sources.Add((issuer.Mode, issuer.Issuer), source);
            }

            return source;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var source in _sources.Values)
            {
                source.Dispose();
            }
        }
    }
}
