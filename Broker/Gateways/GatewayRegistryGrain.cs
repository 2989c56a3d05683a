using Fanfare.Broker.Silos;
using Orleans.Concurrency;
using Orleans.Storage;

namespace Fanfare.Broker.Gateways;

/// <summary>The stored form of the registry: who there is. Until when is kept in memory; a new activation grants a whole lease.</summary>
[GenerateSerializer, Alias("fanfare.stored-registry")]
public sealed class StoredRegistry
{
    /// <summary>The gateways.</summary>
    [Id(0)]
    public Dictionary<Guid, GatewayRegistration> Gateways { get; set; } = [];

    /// <summary>The lease that each was granted last.</summary>
    [Id(1)]
    public Dictionary<Guid, TimeSpan> LeaseTimes { get; set; } = [];
}

/// <inheritdoc cref="IGatewayRegistryGrain"/>
[Reentrant]
internal sealed partial class GatewayRegistryGrain : Grain, IGatewayRegistryGrain
{
    private static readonly TimeSpan s_checkInterval = TimeSpan.FromSeconds(1);

    private readonly IPersistentState<StoredRegistry> _storage;
    private readonly SiloBroadcast _silos;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<GatewayRegistryGrain> _logger;
    private readonly Dictionary<Guid, Lease> _leases = [];
    private Task _saving = Task.CompletedTask;

    /// <summary>Called by Orleans.</summary>
    public GatewayRegistryGrain(
        [PersistentState("gateways")] IPersistentState<StoredRegistry> storage, SiloBroadcast silos, TimeProvider timeProvider,
        ILogger<GatewayRegistryGrain> logger) =>
        (_storage, _silos, _timeProvider, _logger) = (storage, silos, timeProvider, logger);

    /// <inheritdoc/>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        foreach (var (id, registration) in _storage.State.Gateways)
        {
            _leases[id] = new Lease(registration, _storage.State.LeaseTimes[id], _timeProvider.GetTimestamp());
        }

        this.RegisterGrainTimer(ExpireAsync, new GrainTimerCreationOptions(s_checkInterval, s_checkInterval) { Interleave = true });
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task RegisterAsync(GatewayRegistration registration, TimeSpan leaseTime)
    {
        _leases[registration.Id] = new Lease(registration, leaseTime, _timeProvider.GetTimestamp());
        await SaveAsync();
        LogRegistered(_logger, registration.Id, _leases.Count);
        await _silos.TellAllAsync(static silo => silo.UpdateGatewaysAsync());
    }

    /// <inheritdoc/>
    public Task<bool> RenewAsync(Guid gateway, TimeSpan leaseTime)
    {
        if (!_leases.TryGetValue(gateway, out var lease))
        {
            return Task.FromResult(false);
        }

        _leases[gateway] = lease with { Time = leaseTime, Renewed = _timeProvider.GetTimestamp() };
        return Task.FromResult(true);
    }

    /// <inheritdoc/>
    public async Task LeaveAsync(Guid gateway)
    {
        if (_leases.Remove(gateway))
        {
            await SaveAsync();
            LogLeft(_logger, gateway, _leases.Count);
            await _silos.TellAllAsync(static silo => silo.UpdateGatewaysAsync());
        }
    }

    /// <inheritdoc/>
    public async Task<GatewayRegistration[]> GetAllAsync(long membershipVersion)
    {
        await _silos.EnsureKnowsAsync(membershipVersion);
        return [.. _leases.Values.Select(lease => lease.Registration)];
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        var expired = _leases.Values
            .Where(lease => _timeProvider.GetElapsedTime(lease.Renewed) > lease.Time)
            .Select(lease => lease.Registration.Id)
            .ToList();
        if (expired.Count == 0)
        {
            return;
        }

        foreach (var gateway in expired)
        {
            _leases.Remove(gateway);
            LogExpired(_logger, gateway, _leases.Count);
        }

        await SaveAsync();
        await _silos.TellAllAsync(static silo => silo.UpdateGatewaysAsync());
    }

    // One write at a time; each stores what is the case when it begins.
    private Task SaveAsync() => _saving = SaveAfterAsync(_saving);

    private async Task SaveAfterAsync(Task previous)
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        try
        {
            _storage.State = new StoredRegistry
            {
                Gateways = _leases.ToDictionary(lease => lease.Key, lease => lease.Value.Registration),
                LeaseTimes = _leases.ToDictionary(lease => lease.Key, lease => lease.Value.Time),
            };
            await _storage.WriteStateAsync();
        }
        catch (InconsistentStateException)
        {
            DeactivateOnIdle();
            throw;
        }
    }

    [LoggerMessage(100, LogLevel.Information, "Gateway {Gateway} has joined; there are {Count}.")]
    private static partial void LogRegistered(ILogger logger, Guid gateway, int count);

    [LoggerMessage(101, LogLevel.Information, "Gateway {Gateway} has left; there are {Count}.")]
    private static partial void LogLeft(ILogger logger, Guid gateway, int count);

    [LoggerMessage(102, LogLevel.Warning, "The lease of gateway {Gateway} has run out; its interests are gone. There are {Count} gateways left.")]
    private static partial void LogExpired(ILogger logger, Guid gateway, int count);

    private readonly record struct Lease(GatewayRegistration Registration, TimeSpan Time, long Renewed);
}
