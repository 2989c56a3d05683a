using Orleans.Runtime.Services;

namespace Fanfare.Broker.Silos;

/// <summary>Tells all silos of a change, and returns when each of them acts on it or is dead.</summary>
/// <remarks>
/// A silo that joins at the same time is not missed: before it caches anything it asks for it, with the version of the membership
/// that it is in, and the answer waits until the asked silo has that membership too (<see cref="EnsureKnowsAsync"/>).
/// </remarks>
internal sealed class SiloBroadcast(IServiceProvider services, IClusterMembershipService membership, TimeProvider timeProvider)
    : GrainServiceClient<ISiloService>(services)
{
    private readonly Lock _refreshLock = new();
    private Task _refresh = Task.CompletedTask;
    private Task? _nextRefresh;

    /// <summary>The version of the membership that this silo knows.</summary>
    public long MembershipVersion => membership.CurrentSnapshot.Version.Value;

    /// <summary>Returns when this silo knows the membership of at least the version.</summary>
    public ValueTask EnsureKnowsAsync(long membershipVersion) =>
        membership.CurrentSnapshot.Version.Value >= membershipVersion ? default : membership.Refresh(new MembershipVersion(membershipVersion));

    /// <summary>Returns when this silo has looked at the membership anew: an activation may follow one that knew more.</summary>
    /// <remarks>Those who ask while others are answered share the next look.</remarks>
    public Task RefreshAsync()
    {
        lock (_refreshLock)
        {
            if (_nextRefresh is null)
            {
                _nextRefresh = RefreshAfterAsync(_refresh);
                _refresh = _nextRefresh;
            }

            return _nextRefresh;
        }
    }

    /// <summary>Tells all silos.</summary>
    /// <param name="call">The call; repeated where it fails, until the silo is dead.</param>
    public Task TellAllAsync(Func<ISiloService, Task> call)
    {
        var calls = new List<Task>();
        foreach (var member in membership.CurrentSnapshot.Members.Values)
        {
            if (IsServing(member.Status))
            {
                calls.Add(TellAsync(member.SiloAddress, call));
            }
        }

        return Task.WhenAll(calls);
    }

    private Task RefreshAfterAsync(Task previous) => Task.Run(async () =>
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_refreshLock)
        {
            _nextRefresh = null;
        }

        await membership.Refresh();
    });

    // One that still joins has no channels; one that stops may have some to the end.
    private static bool IsServing(SiloStatus status) => status is SiloStatus.Active or SiloStatus.ShuttingDown or SiloStatus.Stopping;

    private async Task TellAsync(SiloAddress silo, Func<ISiloService, Task> call)
    {
        var retry = new RetryDelay(timeProvider);
        while (true)
        {
            try
            {
                await call(GetGrainService(silo));
                return;
            }
            catch (Exception) when (IsServing(membership.CurrentSnapshot.GetSiloStatus(silo)))
            {
                // The caller's own time-out ends this; the change is idempotent and will be asked for again.
                await retry.WaitAsync();
            }
            catch (Exception)
            {
                // Dead: it has no channels any more.
                return;
            }
        }
    }
}
