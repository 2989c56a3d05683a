using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests;

/// <summary>A bucket that holds one second's worth.</summary>
public sealed class RateLimitTests
{
    private readonly ManualTimeProvider _clock = new();

    [Fact]
    public void Zero_means_no_limit() => Assert.Null(RateLimit.Create(0, _clock));

    [Fact]
    public void A_full_bucket_admits_one_seconds_worth_at_once_and_no_more()
    {
        var limit = RateLimit.Create(10, _clock)!;

        Assert.Equal(10, TakeAll(limit));
    }

    [Fact]
    public void It_refills_evenly()
    {
        var limit = RateLimit.Create(10, _clock)!;
        TakeAll(limit);

        _clock.Advance(TimeSpan.FromMilliseconds(99));
        Assert.False(limit.TryTake());
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(limit.TryTake());
        Assert.False(limit.TryTake());
        _clock.Advance(TimeSpan.FromMilliseconds(500));
        Assert.Equal(5, TakeAll(limit));
    }

    [Fact]
    public void A_long_pause_saves_up_no_more_than_a_second()
    {
        var limit = RateLimit.Create(10, _clock)!;
        _clock.Advance(TimeSpan.FromHours(1));

        Assert.Equal(10, TakeAll(limit));
    }

    [Fact]
    public void Several_units_are_taken_together_or_not_at_all()
    {
        var limit = RateLimit.Create(10, _clock)!;

        Assert.True(limit.TryTake(7));
        Assert.False(limit.TryTake(4));
        Assert.True(limit.TryTake(3));
    }

    [Fact]
    public void A_batch_over_the_bucket_is_admitted_from_a_full_one_and_paid_for_afterwards()
    {
        var limit = RateLimit.Create(2, _clock)!;

        Assert.True(limit.TryTake(5));
        _clock.Advance(TimeSpan.FromMilliseconds(1999));
        Assert.False(limit.TryTake());
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(limit.TryTake());
    }

    [Fact]
    public void Many_at_once_get_no_more_than_there_is()
    {
        var limit = RateLimit.Create(1000, _clock)!;
        var taken = 0;

        Parallel.For(0, 5000, _ => Interlocked.Add(ref taken, limit.TryTake() ? 1 : 0));

        Assert.Equal(1000, taken);
    }

    private static int TakeAll(RateLimit limit)
    {
        var taken = 0;
        while (limit.TryTake())
        {
            taken++;
        }

        return taken;
    }
}
