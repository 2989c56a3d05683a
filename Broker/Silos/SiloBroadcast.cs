using Orleans.Runtime.Services;

namespace Fanfare.Broker.Silos;

/// <summary>Tells all silos of a change, and returns when each of them acts on it or is dead.</summary>
/// <remarks>
/// A silo that joins at the same time is not missed: before it caches anything it makes itself known to all others
/// (<see cref="EnsureKnownAsync"/>), and what it asks a grain for waits until that grain's silo has the same membership
/// (<see cref="EnsureKnowsAsync"/>), which covers those that join together.
/// </remarks>
internal sealed class SiloBroadcast(IServiceProvider services, IClusterMembershipService membership, TimeProvider timeProvider)
    : GrainServiceClient<ISiloService>(services)
{
    private readonly Lock _lock = new();
    private Task? _announcement;

    /// <summary>The version of the membership that this silo knows.</summary>
    public long MembershipVersion => membership.CurrentSnapshot.Version.Value;

    /// <summary>Returns when this silo knows the membership of at least the version.</summary>
    public ValueTask EnsureKnowsAsync(long membershipVersion) =>
        membership.CurrentSnapshot.Version.Value >= membershipVersion ? default : membership.Refresh(new MembershipVersion(membershipVersion));

    /// <summary>Returns when all other silos know that this one is there; asked before anything is cached, it waits once.</summary>
    /// <remarks>So a grain that is activated anew, wherever it is, tells this silo of changes too.</remarks>
    public Task EnsureKnownAsync()
    {
        lock (_lock)
        {
            if (_announcement is null or { IsFaulted: true })
            {
                _announcement = Task.Run(AnnounceAsync);
            }

            return _announcement;
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

    private async Task AnnounceAsync()
    {
        await membership.Refresh();
        var version = MembershipVersion;
        await TellAllAsync(silo => silo.EnsureMembershipAsync(version));
    }

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
