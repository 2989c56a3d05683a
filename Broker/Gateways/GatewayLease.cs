using System.Collections.Concurrent;
using Fanfare.Broker.Channels;
using Fanfare.Broker.Wildcards;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Microsoft.Extensions.Options;

namespace Fanfare.Broker.Gateways;

/// <summary>This gateway's place in the cluster: its id, its lease, and the interests that hang on it.</summary>
/// <remarks>
/// The lease is renewed in one place for all interests. Where it has run out, the cluster has forgotten the gateway: it comes back
/// under another id and announces all its interests anew. What was published in between has passed it by, and is counted.
/// </remarks>
internal sealed partial class GatewayLease : IHostedService, IDisposable
{
    private static readonly TimeSpan s_interestTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_leaveTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_renewInterval = TimeSpan.FromHours(6);
    private const int AnnouncementsAtOnce = 64;

    private readonly IGrainFactory _grains;
    private readonly LocalGateway _local;
    private readonly BrokerClusterOptions _options;
    private readonly BrokerMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly ILogger<GatewayLease> _logger;
    private readonly GatewayInbox[] _inboxes;
    private readonly ConcurrentDictionary<string, long> _interests = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, InterestChange> _failedWithdrawals = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private GatewayRegistration? _registration;
    private Task _running = Task.CompletedTask;
    private long _lastChangeNumber;
    private long _announced;
    private volatile bool _isHeld;
    private volatile bool _isAnnounced;

    public GatewayLease(
        IGrainFactory grains, LocalGateway local, IDeliverySink sink, BrokerMetrics metrics, IOptions<BrokerOptions> options, TimeProvider timeProvider,
        IHostApplicationLifetime lifetime, ILogger<GatewayLease> logger, ILogger<GatewayInbox> inboxLogger)
    {
        (_lifetime, _local) = (lifetime, local);
        (_grains, _options, _metrics, _timeProvider, _logger) = (grains, options.Value.Cluster, metrics, timeProvider, logger);
        // Deliveries of one observer are carried out one after the other, so there is one for each core.
        _inboxes = new GatewayInbox[Environment.ProcessorCount];
        for (var i = 0; i < _inboxes.Length; i++)
        {
            _inboxes[i] = new GatewayInbox(sink, metrics, timeProvider, inboxLogger);
        }
    }

    /// <summary>This gateway's id in the cluster.</summary>
    public Guid GatewayId => Volatile.Read(ref _registration)?.Id ?? throw new InvalidOperationException("The gateway has not joined the cluster yet.");

    /// <summary>Whether the lease has been renewed lately, and all interests are announced under it.</summary>
    public bool IsHeld => _isHeld;

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await RegisterAsync(cancellationToken);
        _isHeld = _isAnnounced = true;
        _announced = _timeProvider.GetTimestamp();
        _running = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_registration is { } registration)
        {
            // Where this fails, the lease runs out.
            await Registry.LeaveAsync(registration.Id).WaitAsync(s_leaveTimeout, _timeProvider, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping.Dispose();
        foreach (var inbox in _inboxes)
        {
            inbox.Dispose();
        }
    }

    /// <summary>Announces an interest; returns when no publish can pass this gateway by.</summary>
    public async Task AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
    {
        var number = Interlocked.Increment(ref _lastChangeNumber);
        // Before the call: a lease that is lost meanwhile announces it again.
        _interests[pattern.Value] = number;
        _failedWithdrawals.TryRemove(pattern.Value, out _);
        try
        {
            Guid gateway;
            do
            {
                gateway = GatewayId;
                await ChangeAsync(pattern, new InterestChange(gateway, number, IsInterested: true), cancellationToken);
            }
            while (gateway != GatewayId);
        }
        catch
        {
            _interests.TryRemove(new(pattern.Value, number));
            // It may have been noted all the same.
            _failedWithdrawals[pattern.Value] = NewWithdrawal();
            throw;
        }
    }

    /// <summary>Withdraws an interest.</summary>
    public async Task RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
    {
        _interests.TryRemove(pattern.Value, out _);
        if (_lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // All interests end with the lease, which is given up once the last connection is closed.
            return;
        }

        var change = NewWithdrawal();
        try
        {
            await ChangeAsync(pattern, change, cancellationToken);
        }
        catch
        {
            _failedWithdrawals[pattern.Value] = change;
            throw;
        }
    }

    private IGatewayRegistryGrain Registry => _grains.GetGrain<IGatewayRegistryGrain>(0);

    private InterestChange NewWithdrawal() => new(GatewayId, Interlocked.Increment(ref _lastChangeNumber), IsInterested: false);

    private async Task RegisterAsync(CancellationToken cancellationToken)
    {
        var observers = Array.ConvertAll(_inboxes, inbox => _grains.CreateObjectReference<IGatewayObserver>(inbox));
        var registration = new GatewayRegistration(Guid.NewGuid(), observers);
        // Before any silo hears of it, this one included.
        _local.Join(registration.Id, _inboxes);
        var retry = new RetryDelay(_timeProvider);
        while (true)
        {
            try
            {
                await Registry.RegisterAsync(registration, _options.LeaseTime);
                Volatile.Write(ref _registration, registration);
                return;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                LogNotRegistered(_logger, e);
                await retry.WaitAsync(cancellationToken);
            }
        }
    }

    private async Task RunAsync()
    {
        var stopping = _stopping.Token;
        using var timer = new PeriodicTimer(_options.LeaseTime / 3, _timeProvider);
        var mending = Task.CompletedTask;
        while (await timer.WaitForNextTickAsync(stopping))
        {
            try
            {
                if (!await Registry.RenewAsync(GatewayId, _options.LeaseTime))
                {
                    _isHeld = _isAnnounced = false;
                    _metrics.LeaseLosses.Add(1);
                    LogLost(_logger, _interests.Count);
                    await RegisterAsync(stopping);
                }

                _isHeld = _isAnnounced;
                // Beside the renewals, or announcing many interests could cost the next lease.
                if (mending.IsCompleted)
                {
                    mending = MendAsync(stopping);
                }
            }
            catch (Exception e) when (!stopping.IsCancellationRequested)
            {
                _isHeld = false;
                LogNotRenewed(_logger, e);
            }
        }
    }

    // What fails here is tried again with the next renewal.
    private async Task MendAsync(CancellationToken stopping)
    {
        try
        {
            // What is stored of an interest is kept for a day, so that what a crash left behind goes away; it must be renewed in time.
            if (!_isAnnounced || _timeProvider.GetElapsedTime(_announced) > s_renewInterval)
            {
                var gateway = GatewayId;
                await AnnounceAllAsync(stopping);
                if (gateway == GatewayId)
                {
                    _announced = _timeProvider.GetTimestamp();
                    _isHeld = _isAnnounced = true;
                }
            }

            foreach (var (pattern, change) in _failedWithdrawals)
            {
                await ChangeOnceAsync(PatternKey.FromValue(pattern), change);
                _failedWithdrawals.TryRemove(new(pattern, change));
            }
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            LogNotMended(_logger, e);
        }
        catch (OperationCanceledException)
        {
            // The gateway stops, and all of this ends with its lease.
        }
    }

    private Task AnnounceAllAsync(CancellationToken stopping)
    {
        var limits = new ParallelOptions { MaxDegreeOfParallelism = AnnouncementsAtOnce, CancellationToken = stopping };
        return Parallel.ForEachAsync(_interests.Keys, limits, async (pattern, token) =>
        {
            // Its number as it is now: where it was withdrawn in the meantime, the withdrawal has a higher one.
            if (_interests.TryGetValue(pattern, out var number))
            {
                await ChangeAsync(PatternKey.FromValue(pattern), new InterestChange(GatewayId, number, IsInterested: true), token);
            }
        });
    }

    private async Task ChangeAsync(PatternKey pattern, InterestChange change, CancellationToken cancellationToken)
    {
        var began = _timeProvider.GetTimestamp();
        var retry = new RetryDelay(_timeProvider);
        while (true)
        {
            try
            {
                await ChangeOnceAsync(pattern, change);
                return;
            }
            catch (Exception e) when (!_stopping.IsCancellationRequested && _timeProvider.GetElapsedTime(began) < s_interestTimeout)
            {
                LogChangeFailed(_logger, e, pattern.ToString());
                await retry.WaitAsync(cancellationToken);
            }
        }
    }

    private Task ChangeOnceAsync(PatternKey pattern, InterestChange change) => pattern.IsWildcard
        ? _grains.GetGrain<IWildcardGrain>(pattern.Value).ChangeInterestAsync(change)
        : _grains.GetGrain<IChannelGrain>(pattern.Value).ChangeInterestAsync(change);

    [LoggerMessage(140, LogLevel.Warning, "The gateway could not join the cluster; it goes on trying.")]
    private static partial void LogNotRegistered(ILogger logger, Exception exception);

    [LoggerMessage(141, LogLevel.Warning, "The gateway's lease could not be renewed.")]
    private static partial void LogNotRenewed(ILogger logger, Exception exception);

    [LoggerMessage(144, LogLevel.Warning, "Interests could not be announced or withdrawn; they are with the next renewal.")]
    private static partial void LogNotMended(ILogger logger, Exception exception);

    [LoggerMessage(142, LogLevel.Error, "The gateway's lease ran out; {Count} interests are announced anew. Their subscribers may have missed events.")]
    private static partial void LogLost(ILogger logger, int count);

    [LoggerMessage(143, LogLevel.Debug, "A change of the interest in {Pattern} failed; it is repeated.")]
    private static partial void LogChangeFailed(ILogger logger, Exception exception, string pattern);
}
