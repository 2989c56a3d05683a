using Fanfare.Broker.Channels;
using Fanfare.Broker.Silos;

namespace Fanfare.Broker.Gateways;

/// <summary>A gateway as this silo's channels see it.</summary>
/// <param name="registration">What the gateway joined with.</param>
/// <param name="inboxes">Where channels deliver to, if the gateway is in this process; as many as it has observers.</param>
/// <param name="metrics">What is counted.</param>
internal sealed class GatewayHandle(GatewayRegistration registration, GatewayInbox[]? inboxes, BrokerMetrics metrics)
{
    /// <summary>How many bytes of this silo's channels may wait for a gateway that gives no receipts; what comes then is lost to it.</summary>
    private const long ReservedBytesMax = 64 * 1024 * 1024;

    private readonly GatewayOutbox[] _outboxes = Array.ConvertAll(registration.Observers, observer => new GatewayOutbox(observer, metrics));
    private volatile bool _isAlive = true;
    private volatile bool _isSuspect;
    private long _reservedBytes;

    /// <summary>The gateway's id.</summary>
    public Guid Id => registration.Id;

    /// <summary>Whether its lease has not run out; once it has, it never comes back under this id.</summary>
    public bool IsAlive => _isAlive;

    /// <summary>Whether it gave no receipt in time, and no other since.</summary>
    public bool IsSuspect
    {
        get => _isSuspect;
        set => _isSuspect = value;
    }

    /// <summary>Returns where a channel delivers to, if the gateway is in this process.</summary>
    public GatewayInbox? FindInbox(uint channelHash) => inboxes?[channelHash % (uint)inboxes.Length];

    /// <summary>See <see cref="IGatewayObserver.BeginAsync"/>.</summary>
    public Task<ChannelPosition> BeginAsync(uint channelHash, string channel, Guid activation, long position) =>
        FindInbox(channelHash)?.BeginAsync(channel, activation, position)
            ?? CallAsync(channelHash, observer => observer.BeginAsync(channel, activation, position));

    /// <summary>See <see cref="IGatewayObserver.DeliverAsync"/>. Deliveries of a channel reach the gateway in the order of these calls.</summary>
    public ValueTask<DeliveryReceipt> DeliverAsync(uint channelHash, ChannelDelivery delivery) => FindInbox(channelHash) is { } inbox
        ? new(inbox.Deliver(delivery))
        : new(_outboxes[channelHash % (uint)_outboxes.Length].SendAsync(delivery));

    /// <summary>See <see cref="IGatewayObserver.WaitForRoomAsync"/>.</summary>
    public Task<bool> WaitForRoomAsync(uint channelHash) =>
        FindInbox(channelHash)?.WaitForRoomAsync() ?? CallAsync(channelHash, observer => observer.WaitForRoomAsync());

    // On behalf of the silo, as in GatewayOutbox.
    private Task<T> CallAsync<T>(uint channelHash, Func<IGatewayObserver, Task<T>> call)
    {
        var observer = registration.Observers[channelHash % (uint)registration.Observers.Length];
        return Task.Run(() => call(observer));
    }

    /// <summary>Makes room for a delivery that must wait; <see langword="false"/> where too many do.</summary>
    public bool TryReserve(int bytes)
    {
        if (Interlocked.Add(ref _reservedBytes, bytes) <= ReservedBytesMax)
        {
            return true;
        }

        GiveBack(bytes);
        return false;
    }

    /// <summary>A delivery waits no longer.</summary>
    public void GiveBack(int bytes) => Interlocked.Add(ref _reservedBytes, -bytes);

    /// <summary>Its lease has run out, or it has left.</summary>
    public void MarkGone() => _isAlive = false;
}

/// <summary>The gateways that this silo knows. Safe for concurrent use.</summary>
internal sealed class GatewayRegistry(IGrainFactory grains, SiloBroadcast silos, LocalGateway local, BrokerMetrics metrics)
{
    private readonly Lock _lock = new();
    private Dictionary<Guid, GatewayHandle> _gateways = [];
    private Task _refreshing = Task.CompletedTask;
    private int _version;

    /// <summary>Grows when a gateway is gone.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>Whether a gateway is among those that this silo was told of last.</summary>
    public bool Knows(Guid id)
    {
        lock (_lock)
        {
            return _gateways.ContainsKey(id);
        }
    }

    /// <summary>Returns the handles of those gateways that are alive.</summary>
    public async ValueTask<IReadOnlyList<GatewayHandle>> FindAsync(IReadOnlyList<Guid> ids)
    {
        if (ids.Count == 0)
        {
            return [];
        }

        // One that is not known may have come after this silo was told last; the grain knows.
        if (!TryFindAll(ids, out var handles))
        {
            await RefreshAsync();
            TryFindAll(ids, out handles);
        }

        return handles;
    }

    /// <summary>Asks for all gateways anew; returns when what was the case at the call is known.</summary>
    public Task RefreshAsync()
    {
        lock (_lock)
        {
            return _refreshing = RefreshOnceAsync(_refreshing);
        }
    }

    // Not as part of the grain that asked; see InterestCache.
    private Task RefreshOnceAsync(Task previous) => Task.Run(async () =>
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await silos.EnsureKnownAsync();
        var registrations = await grains.GetGrain<IGatewayRegistryGrain>(0).GetAllAsync(silos.MembershipVersion);
        lock (_lock)
        {
            var known = _gateways;
            _gateways = registrations.ToDictionary(
                registration => registration.Id,
                registration => known.GetValueOrDefault(registration.Id)
                    ?? new GatewayHandle(registration, local.Find(registration.Id), metrics));
            foreach (var (id, handle) in known)
            {
                if (!_gateways.ContainsKey(id))
                {
                    handle.MarkGone();
                    Interlocked.Increment(ref _version);
                }
            }
        }
    });

    private bool TryFindAll(IReadOnlyList<Guid> ids, out IReadOnlyList<GatewayHandle> handles)
    {
        var found = new List<GatewayHandle>(ids.Count);
        lock (_lock)
        {
            foreach (var id in ids)
            {
                if (_gateways.TryGetValue(id, out var handle))
                {
                    found.Add(handle);
                }
            }
        }

        handles = found;
        return found.Count == ids.Count;
    }
}
