using System.Collections.Concurrent;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.FanOut;

/// <summary>A pattern that this gateway has subscriptions to, with their sets, one for each shard.</summary>
/// <param name="pattern">The pattern.</param>
/// <param name="shardCount">How many shards there are.</param>
internal sealed class Interest(PatternKey pattern, int shardCount)
{
    private readonly SubscriptionSet?[] _sets = new SubscriptionSet?[shardCount];
    private readonly int[] _holders = new int[shardCount];

    /// <summary>The pattern.</summary>
    public PatternKey Pattern { get; } = pattern;

    /// <summary>How many subscriptions hold the interest. Guarded by the table's lock.</summary>
    public int HolderCount { get; private set; }

    /// <summary>The last call to the backplane about this pattern; the next one follows it. Guarded by the table's lock.</summary>
    public Task Announcement { get; set; } = Task.CompletedTask;

    /// <summary>How many calls to the backplane are under way or wait their turn. Guarded by the table's lock.</summary>
    public int CallCount { get; set; }

    /// <summary>Whether a shard has a subscription to the pattern, or one on its way through the shard's queue.</summary>
    /// <remarks>
    /// Not the same as a set that has members: an event published behind a subscribe on the same connection must follow it into
    /// the queue.
    /// </remarks>
    public bool Concerns(int shard) => Volatile.Read(ref _holders[shard]) > 0;

    /// <summary>Counts a subscription in or out. Called under the table's lock.</summary>
    public void CountHolder(int shard, int change)
    {
        HolderCount += change;
        Volatile.Write(ref _holders[shard], _holders[shard] + change);
    }

    /// <summary>The set of one shard, or <see langword="null"/> where it never had a subscription to the pattern. For that shard only.</summary>
    public SubscriptionSet? GetSet(int shard) => _sets[shard];

    /// <summary>The set of one shard, made where there is none. For that shard only.</summary>
    public SubscriptionSet EnsureSet(int shard) => _sets[shard] ??= new SubscriptionSet();
}

/// <summary>Which patterns this gateway has subscriptions to, and what the backplane knows of it. Safe for concurrent use.</summary>
/// <remarks>
/// Looked up without a lock; changed under one. For one pattern, calls to the backplane never overlap: each waits for the one
/// before it, so that a withdrawal can't overtake the next announcement.
/// </remarks>
internal sealed class InterestTable
{
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<string, Interest> _interests = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Interest>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly IBackplane _backplane;
    private readonly int _shardCount;

    public InterestTable(IBackplane backplane, int shardCount)
    {
        _lookup = _interests.GetAlternateLookup<ReadOnlySpan<char>>();
        _backplane = backplane;
        _shardCount = shardCount;
    }

    /// <summary>How many patterns there are.</summary>
    public int Count => _interests.Count;

    /// <summary>Finds the interest in a pattern, given its <see cref="PatternKey.Value"/>.</summary>
    public bool TryFind(ReadOnlySpan<char> pattern, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Interest? interest) =>
        _lookup.TryGetValue(pattern, out interest);

    /// <summary>Holds the interest in a pattern; returns once no matching publish can pass this gateway by.</summary>
    /// <remarks>Whoever holds it calls <see cref="ReleaseAsync"/> once. When this throws, nothing is held.</remarks>
    /// <param name="pattern">The pattern.</param>
    /// <param name="shard">The index of the subscriber's shard.</param>
    /// <param name="cancellationToken">Ends the wait for the backplane.</param>
    public ValueTask<Interest> AcquireAsync(PatternKey pattern, int shard, CancellationToken cancellationToken)
    {
        Interest? interest;
        Task announcement;
        lock (_lock)
        {
            if (!_interests.TryGetValue(pattern.Value, out interest))
            {
                interest = new Interest(pattern, _shardCount);
                _interests[pattern.Value] = interest;
            }

            interest.CountHolder(shard, 1);
            if (interest.HolderCount == 1)
            {
                // Not cancelled with the first subscriber: others may be waiting for the same announcement.
                interest.CallCount++;
                interest.Announcement = AnnounceAsync(interest, interest.Announcement);
            }

            announcement = interest.Announcement;
        }

        return announcement.IsCompletedSuccessfully ? new(interest) : AwaitAsync(interest, shard, announcement, cancellationToken);
    }

    /// <summary>Gives the interest in a pattern up; the last holder's call withdraws it from the backplane.</summary>
    public ValueTask ReleaseAsync(Interest interest, int shard)
    {
        lock (_lock)
        {
            interest.CountHolder(shard, -1);
            if (interest.HolderCount > 0)
            {
                return default;
            }

            interest.CallCount++;
            interest.Announcement = WithdrawAsync(interest, interest.Announcement);
            return new(interest.Announcement);
        }
    }

    private async ValueTask<Interest> AwaitAsync(Interest interest, int shard, Task announcement, CancellationToken cancellationToken)
    {
        try
        {
            await announcement.WaitAsync(cancellationToken);
            return interest;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested && !announcement.IsCompleted)
        {
            // Not waited for: where it withdraws, it waits for the very announcement that the caller has given up on.
            _ = AbandonAsync(interest, shard);
            throw;
        }
        catch
        {
            await ReleaseAsync(interest, shard);
            throw;
        }
    }

    // Nobody is left to hear of a withdrawal that fails.
    private async Task AbandonAsync(Interest interest, int shard) =>
        await ReleaseAsync(interest, shard).AsTask().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task AnnounceAsync(Interest interest, Task previous)
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await _backplane.AddInterestAsync(interest.Pattern, CancellationToken.None);
        }
        finally
        {
            EndCall(interest);
        }
    }

    private async Task WithdrawAsync(Interest interest, Task previous)
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await _backplane.RemoveInterestAsync(interest.Pattern, CancellationToken.None);
        }
        finally
        {
            EndCall(interest);
        }
    }

    private void EndCall(Interest interest)
    {
        lock (_lock)
        {
            interest.CallCount--;
            // While a call waits its turn the pattern stays, or the next subscriber's announcement would not follow it.
            if (interest.HolderCount == 0 && interest.CallCount == 0)
            {
                _interests.TryRemove(new(interest.Pattern.Value, interest));
            }
        }
    }
}
