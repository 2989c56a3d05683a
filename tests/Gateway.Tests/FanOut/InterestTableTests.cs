using System.Globalization;
using System.Text;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>What the backplane hears of a gateway's patterns, and when a subscriber may count on it.</summary>
public sealed class InterestTableTests
{
    private const int Shards = 2;

    private static readonly PatternKey s_pattern = Parse("/chat/room");

    private readonly HeldBackplane _backplane = new();
    private readonly InterestTable _table;

    public InterestTableTests() => _table = new InterestTable(_backplane, Shards);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_subscriber_waits_for_the_announcement()
    {
        var acquired = AcquireAsync();
        var call = await _backplane.NextAsync(isAdd: true);
        Assert.False(acquired.IsCompleted);

        call.Complete();
        var interest = await Within(acquired, "the interest");

        Assert.Equal(s_pattern, interest.Pattern);
        Assert.Equal([s_pattern], _backplane.Interests);
    }

    [Fact]
    public async Task Subscribers_that_come_meanwhile_wait_for_the_same_announcement()
    {
        var first = AcquireAsync();
        var second = AcquireAsync(shard: 1);
        var call = await _backplane.NextAsync(isAdd: true);
        Assert.False(second.IsCompleted);

        call.Complete();

        Assert.Same(await Within(first, "the first interest"), await Within(second, "the second interest"));
        _backplane.AssertNoCall();
    }

    [Fact]
    public async Task Only_the_last_holder_withdraws()
    {
        var first = AcquireAsync();
        (await _backplane.NextAsync(isAdd: true)).Complete();
        var interest = await Within(first, "the first interest");
        await Within(AcquireAsync(), "the second interest");

        await ReleaseAsync(interest);
        _backplane.AssertNoCall();
        Assert.Equal(1, _table.Count);

        var released = ReleaseAsync(interest);
        (await _backplane.NextAsync(isAdd: false)).Complete();
        await Deadline.WaitAsync(released, "the release");
        AssertNothingLeft();
    }

    [Fact]
    public async Task An_interest_concerns_just_the_shards_of_its_holders()
    {
        var acquired = AcquireAsync(shard: 1);
        (await _backplane.NextAsync(isAdd: true)).Complete();
        var interest = await Within(acquired, "the interest");

        Assert.False(interest.Concerns(0));
        Assert.True(interest.Concerns(1));
        Assert.True(_table.TryFind(s_pattern.Value, out var found));
        Assert.Same(interest, found);
    }

    [Fact]
    public async Task A_subscriber_that_comes_while_the_pattern_is_withdrawn_waits_for_a_new_announcement()
    {
        var interest = await HoldAsync();
        var released = ReleaseAsync(interest);
        var withdrawal = await _backplane.NextAsync(isAdd: false);

        var again = AcquireAsync();
        _backplane.AssertNoCall();
        withdrawal.Complete();
        await Deadline.WaitAsync(released, "the release");
        var announcement = await _backplane.NextAsync(isAdd: true);
        Assert.False(again.IsCompleted);
        announcement.Complete();

        await Within(again, "the interest");
        Assert.Equal([s_pattern], _backplane.Interests);
        Assert.True(_table.TryFind(s_pattern.Value, out _), "the table lost a pattern that is held");
        Assert.Empty(_backplane.Overlaps);
    }

    [Fact]
    public async Task A_failed_announcement_fails_all_that_waited_and_holds_nothing()
    {
        var first = AcquireAsync();
        var second = AcquireAsync(shard: 1);
        (await _backplane.NextAsync(isAdd: true)).Fail(new IOException("no backplane"));
        (await _backplane.NextAsync(isAdd: false)).Complete();

        await Assert.ThrowsAsync<IOException>(() => Within(first, "the first failure"));
        await Assert.ThrowsAsync<IOException>(() => Within(second, "the second failure"));
        AssertNothingLeft();
    }

    [Fact]
    public async Task After_a_failed_announcement_the_next_subscriber_announces_again()
    {
        var failed = AcquireAsync();
        (await _backplane.NextAsync(isAdd: true)).Fail(new IOException("no backplane"));
        (await _backplane.NextAsync(isAdd: false)).Complete();
        await Assert.ThrowsAsync<IOException>(() => Within(failed, "the failure"));

        await HoldAsync();

        Assert.Equal([s_pattern], _backplane.Interests);
    }

    [Fact]
    public async Task A_failed_withdrawal_does_not_keep_the_pattern()
    {
        var interest = await HoldAsync();
        var released = ReleaseAsync(interest);
        (await _backplane.NextAsync(isAdd: false)).Fail(new IOException("no backplane"));

        await Assert.ThrowsAsync<IOException>(() => Deadline.WaitAsync(released, "the failure"));
        Assert.Equal(0, _table.Count);
        await HoldAsync();
        Assert.Equal([s_pattern], _backplane.Interests);
    }

    [Fact]
    public async Task A_subscriber_that_gives_up_does_not_end_the_wait_of_the_others()
    {
        using var gone = new CancellationTokenSource();
        var first = _table.AcquireAsync(s_pattern, 0, gone.Token).AsTask();
        var second = AcquireAsync();
        var call = await _backplane.NextAsync(isAdd: true);

        await gone.CancelAsync();
        await AssertCancelledAsync(first);
        call.Complete();

        await Within(second, "the interest");
        _backplane.AssertNoCall();
        Assert.Equal([s_pattern], _backplane.Interests);
    }

    [Fact]
    public async Task The_only_subscriber_that_gives_up_does_not_wait_for_the_backplane()
    {
        using var gone = new CancellationTokenSource();
        var acquired = _table.AcquireAsync(s_pattern, 0, gone.Token).AsTask();
        var call = await _backplane.NextAsync(isAdd: true);

        await gone.CancelAsync();
        await AssertCancelledAsync(acquired);

        call.Complete();
        (await _backplane.NextAsync(isAdd: false)).Complete();
    }

    [Fact]
    public async Task A_pattern_that_came_and_went_during_its_withdrawal_is_not_announced_over_the_calls_that_remain()
    {
        var interest = await HoldAsync();
        var released = ReleaseAsync(interest);
        var firstWithdrawal = await _backplane.NextAsync(isAdd: false);
        using var gone = new CancellationTokenSource();
        var second = _table.AcquireAsync(s_pattern, 0, gone.Token).AsTask();
        await gone.CancelAsync();
        // Cancelled on the pool, so the release is under way only once nobody holds the pattern.
        await Deadline.WaitAsync(
            async token =>
            {
                while (interest.HolderCount > 0)
                {
                    await Task.Yield();
                    token.ThrowIfCancellationRequested();
                }
            },
            "the second subscriber's release");

        firstWithdrawal.Complete();
        await Deadline.WaitAsync(released, "the first release");
        var secondAnnouncement = await _backplane.NextAsync(isAdd: true);
        var third = AcquireAsync();
        _backplane.AssertNoCall(); // the second subscriber's calls are still to end
        secondAnnouncement.Complete();
        (await _backplane.NextAsync(isAdd: false)).Complete();
        (await _backplane.NextAsync(isAdd: true)).Complete();

        await Within(third, "the third subscriber's interest");
        await AssertCancelledAsync(second);
        Assert.Equal([s_pattern], _backplane.Interests);
        Assert.True(_table.TryFind(s_pattern.Value, out _), "the table lost a pattern that is held");
        Assert.Empty(_backplane.Overlaps);
    }

    [Fact]
    public async Task Ten_thousand_patterns_leave_nothing_behind()
    {
        var backplane = new HeldBackplane { Answer = static _ => Task.CompletedTask };
        var table = new InterestTable(backplane, Shards);
        var held = new List<Interest>();
        for (var i = 0; i < 10_000; i++)
        {
            held.Add(await table.AcquireAsync(Parse(string.Create(CultureInfo.InvariantCulture, $"/chat/{i}/*")), i % Shards, Token));
        }

        Assert.Equal(10_000, table.Count);
        Assert.Equal(10_000, backplane.Interests.Count);
        for (var i = 0; i < held.Count; i++)
        {
            await table.ReleaseAsync(held[i], i % Shards);
        }

        Assert.Equal(0, table.Count);
        Assert.Empty(backplane.Interests);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Whatever_happens_at_once_the_backplane_ends_with_just_the_patterns_that_are_held(int seed)
    {
        const int Tasks = 16, Rounds = 300, Patterns = 4;
        var backplane = new HeldBackplane { Answer = static async _ => await Task.Yield() };
        var table = new InterestTable(backplane, Shards);
        var patterns = Enumerable.Range(0, Patterns).Select(i => Parse($"/chat/{i}")).ToArray();
        var held = new int[Patterns];

        async Task RunAsync(int task)
        {
            var random = new Random(seed * 1000 + task);
            var own = new List<(Interest Interest, int Pattern, int Shard)>();
            for (var round = 0; round < Rounds; round++)
            {
                var pattern = random.Next(Patterns);
                var shard = random.Next(Shards);
                if (own.Count > 0 && random.Next(3) > 0)
                {
                    var (interest, released, releasedShard) = own[^1];
                    own.RemoveAt(own.Count - 1);
                    Interlocked.Decrement(ref held[released]);
                    await table.ReleaseAsync(interest, releasedShard);
                    continue;
                }

                using var gone = new CancellationTokenSource();
                if (random.Next(4) == 0)
                {
                    _ = Task.Run(gone.Cancel, Token);
                }

                try
                {
                    var interest = await table.AcquireAsync(patterns[pattern], shard, gone.Token);
                    own.Add((interest, pattern, shard));
                    Interlocked.Increment(ref held[pattern]);
                    Assert.True(table.TryFind(patterns[pattern].Value, out var found), "a held pattern is not in the table");
                    Assert.Same(interest, found);
                    Assert.Contains(patterns[pattern], backplane.Interests);
                }
                catch (OperationCanceledException)
                {
                    // Given up; nothing is held.
                }
            }

            if (task % 2 == 0)
            {
                foreach (var (interest, pattern, shard) in own)
                {
                    Interlocked.Decrement(ref held[pattern]);
                    await table.ReleaseAsync(interest, shard);
                }
            }
        }

        await Deadline.WaitAsync(
            Task.WhenAll(Enumerable.Range(0, Tasks).Select(task => Task.Run(() => RunAsync(task), Token))), "the end of all tasks");

        var expected = patterns.Where((_, i) => held[i] > 0).Select(pattern => pattern.Value).Order();
        await Deadline.WaitAsync(
            async token =>
            {
                // Withdrawals of cancelled subscribers may still be under way.
                while (!backplane.Interests.Select(pattern => pattern.Value).Order().SequenceEqual(expected))
                {
                    await Task.Yield();
                    token.ThrowIfCancellationRequested();
                }
            },
            "agreement of backplane and holders");
        Assert.Equal(expected.Count(), table.Count);
        Assert.Empty(backplane.Overlaps);
    }

    private static PatternKey Parse(string text)
    {
        Assert.True(PatternKey.TryParse("api", Encoding.UTF8.GetBytes(text), new GatewayLimits(), out var key));
        return key;
    }

    private static Task<Interest> Within(Task<Interest> task, string missing) => Deadline.WaitAsync(task, missing);

    private static async Task AssertCancelledAsync(Task<Interest> task)
    {
        await Deadline.WaitAsync(Task.WhenAny(task), "the end of the cancelled wait");
        Assert.True(task.IsCanceled, $"the wait ended as {task.Status}");
    }

    private Task<Interest> AcquireAsync(int shard = 0) => _table.AcquireAsync(s_pattern, shard, Token).AsTask();

    private Task ReleaseAsync(Interest interest, int shard = 0) => _table.ReleaseAsync(interest, shard).AsTask();

    private async Task<Interest> HoldAsync()
    {
        var acquired = AcquireAsync();
        (await _backplane.NextAsync(isAdd: true)).Complete();
        return await Within(acquired, "the interest");
    }

    private void AssertNothingLeft()
    {
        Assert.Equal(0, _table.Count);
        Assert.Empty(_backplane.Interests);
        _backplane.AssertNoCall();
    }
}
