using Fanfare.Broker.Gateways;
using Fanfare.Broker.Silos;

namespace Fanfare.Broker.Wildcards;

/// <summary>A wildcard as a silo's channels see it.</summary>
internal sealed class CachedWildcard(string wildcard)
{
    /// <summary>The wildcard, as <see cref="Fanfare.Gateway.Channels.PatternKey.Value"/>.</summary>
    public string Wildcard { get; } = wildcard;

    /// <summary>The interested gateways. Replaced when they change.</summary>
    public IReadOnlyList<GatewayHandle> Gateways { get; set; } = [];

    /// <summary>The activation of the wildcard's grain that this comes from, and the version of it.</summary>
    public (Guid Activation, long Version) Source { get; set; }

    /// <summary>How many channels of this silo use it. Guarded by the cache's lock.</summary>
    public int UserCount { get; set; }

    /// <summary>The last call to the wildcard's grain; the next one follows it. Guarded by the cache's lock.</summary>
    public Task Filling { get; set; } = Task.CompletedTask;
}

/// <summary>The wildcards that this silo's active channels have as ancestors, with their interested gateways. Safe for concurrent use.</summary>
/// <remarks>
/// Filled when the first channel asks; kept current by the wildcards' grains (<see cref="ISiloService"/>); forgotten with the last
/// channel. So a publish needs no call to learn who is interested, and what is kept does not grow with the wildcards there are.
/// </remarks>
internal sealed class InterestCache(IGrainFactory grains, GatewayRegistry gateways, SiloBroadcast silos)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, CachedWildcard> _wildcards = new(StringComparer.Ordinal);

    /// <summary>Returns a wildcard, current from now until <see cref="Release"/>.</summary>
    public async Task<CachedWildcard> AcquireAsync(string wildcard)
    {
        CachedWildcard? cached;
        Task filling;
        lock (_lock)
        {
            if (!_wildcards.TryGetValue(wildcard, out cached))
            {
                // In place before the grain is asked, so that a change that overtakes the answer is not missed.
                _wildcards[wildcard] = cached = new CachedWildcard(wildcard);
                cached.Filling = FillAsync(cached, Task.CompletedTask);
            }

            cached.UserCount++;
            filling = cached.Filling;
        }

        try
        {
            await filling;
            return cached;
        }
        catch
        {
            Forget(cached);
            throw;
        }
    }

    /// <summary>Gives a wildcard back.</summary>
    public void Release(CachedWildcard cached)
    {
        lock (_lock)
        {
            if (--cached.UserCount == 0 && _wildcards.GetValueOrDefault(cached.Wildcard) == cached)
            {
                _wildcards.Remove(cached.Wildcard);
            }
        }
    }

    /// <summary>Notes a change of a wildcard, if it is here; returns when channels act on it.</summary>
    public async Task UpdateAsync(string wildcard, WildcardInterest interest)
    {
        CachedWildcard? cached;
        Task filling;
        lock (_lock)
        {
            if (!_wildcards.TryGetValue(wildcard, out cached))
            {
                return;
            }

            filling = cached.Filling;
        }

        // The first answer says which activation is the current one.
        await filling;
        if (cached.Source.Activation == interest.Activation)
        {
            await ApplyAsync(cached, interest);
            return;
        }

        // Either of the two may be the older one; only the grain itself can tell.
        lock (_lock)
        {
            filling = cached.Filling = FillAsync(cached, cached.Filling);
        }

        await filling;
    }

    // Not as part of the grain that asked first: it may end before the others have their answer.
    private Task FillAsync(CachedWildcard cached, Task previous) => Task.Run(async () =>
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await silos.EnsureKnownAsync();
        await ApplyAsync(cached, await grains.GetGrain<IWildcardGrain>(cached.Wildcard).GetAsync(silos.MembershipVersion));
    });

    private async Task ApplyAsync(CachedWildcard cached, WildcardInterest interest)
    {
        var handles = await gateways.FindAsync(interest.Gateways);
        lock (_lock)
        {
            if (cached.Source.Activation != interest.Activation || cached.Source.Version <= interest.Version)
            {
                cached.Gateways = handles;
                cached.Source = (interest.Activation, interest.Version);
            }
        }
    }

    private void Forget(CachedWildcard cached)
    {
        lock (_lock)
        {
            cached.UserCount--;
            // Whoever comes next asks anew; those who were waiting have failed too.
            if (_wildcards.GetValueOrDefault(cached.Wildcard) == cached)
            {
                _wildcards.Remove(cached.Wildcard);
            }
        }
    }
}
