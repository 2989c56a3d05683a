using System.Collections.Immutable;
using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Orleans.Storage;

namespace Fanfare.Broker;

/// <summary>The stored form of an <see cref="InterestSet"/>.</summary>
[GenerateSerializer, Alias("fanfare.stored-interest")]
public sealed class StoredInterest
{
    /// <summary>The interested gateways, each with the number of the change that made it so.</summary>
    [Id(0)]
    public Dictionary<Guid, long> Gateways { get; set; } = [];
}

/// <summary>The gateways interested in one pattern, stored before they count. Used by one grain, whose calls may interleave.</summary>
internal sealed class InterestSet(IPersistentState<StoredInterest> storage)
{
    /// <summary>How many gateways that are not interested any more are remembered; the oldest are dropped, as many at once.</summary>
    private const int LeftCountMax = 256;

    private readonly Dictionary<Guid, long> _lastChanges = [];
    private long _version;
    private long _savedVersion;
    private Task? _saving;

    /// <summary>The interested gateways. Replaced when it changes.</summary>
    public ImmutableArray<Guid> Gateways { get; private set; } = [];

    /// <summary>Takes over what is stored.</summary>
    public void Load()
    {
        foreach (var (gateway, number) in storage.State.Gateways)
        {
            _lastChanges[gateway] = number;
        }

        Gateways = [.. storage.State.Gateways.Keys];
    }

    /// <summary>Makes a change; one that comes after a later one of its gateway is ignored.</summary>
    public void Apply(InterestChange change)
    {
        if (_lastChanges.TryGetValue(change.Gateway, out var last) && change.Number < last)
        {
            return;
        }

        _lastChanges[change.Gateway] = change.Number;
        if (change.IsInterested == Gateways.Contains(change.Gateway))
        {
            // Known, but perhaps not stored yet, or stored so long ago that it must be renewed.
            _version += change.IsInterested ? 1 : 0;
            return;
        }

        Gateways = change.IsInterested ? Gateways.Add(change.Gateway) : Gateways.Remove(change.Gateway);
        _version++;
    }

    /// <summary>Forgets gateways that are gone, which is stored with the next change or at the end; returns the others.</summary>
    public async Task<IReadOnlyList<GatewayHandle>> PruneAsync(GatewayRegistry registry)
    {
        ImmutableArray<Guid> looked;
        IReadOnlyList<GatewayHandle> alive;
        do
        {
            // Again where another change came in between.
            looked = Gateways;
            alive = await registry.FindAsync(looked);
        }
        while (looked != Gateways);
        Prune(alive);
        return alive;
    }

    private void Prune(IReadOnlyList<GatewayHandle> alive)
    {
        var kept = Gateways.RemoveAll(gateway => !alive.Any(handle => handle.Id == gateway && handle.IsAlive));
        if (kept.Length < Gateways.Length)
        {
            Gateways = kept;
            _version++;
        }

        // Of those that have left, numbers are kept for changes that come late; in the long run they would add up.
        if (_lastChanges.Count > kept.Length + LeftCountMax)
        {
            foreach (var gateway in _lastChanges.Keys.Except(kept).Take(LeftCountMax).ToList())
            {
                _lastChanges.Remove(gateway);
            }
        }
    }

    /// <summary>Returns when all changes so far are stored. Several that come at once share a write.</summary>
    /// <exception cref="InconsistentStateException">Another activation has written; this one must end.</exception>
    public async Task SaveAsync()
    {
        var wanted = _version;
        while (_savedVersion < wanted)
        {
            if (_saving is { } running)
            {
                // Whoever began it hears of its failure; here it only means that another attempt is due.
                await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                continue;
            }

            _saving = SaveOnceAsync();
            try
            {
                await _saving;
            }
            finally
            {
                _saving = null;
            }
        }
    }

    private async Task SaveOnceAsync()
    {
        var version = _version;
        if (Gateways.IsEmpty)
        {
            await storage.ClearStateAsync();
        }
        else
        {
            storage.State = new StoredInterest { Gateways = Gateways.ToDictionary(gateway => gateway, gateway => _lastChanges[gateway]) };
            await storage.WriteStateAsync();
        }

        _savedVersion = version;
    }
}
