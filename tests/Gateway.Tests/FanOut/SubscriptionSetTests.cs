using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.FanOut;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>Who is subscribed to a pattern on one shard, and what waits for them.</summary>
public sealed class SubscriptionSetTests
{
    [Fact]
    public void Subscriptions_come_and_go_in_any_order()
    {
        var random = new Random(11);
        var set = new SubscriptionSet();
        var expected = new List<Subscription>();
        for (var i = 0; i < 20_000; i++)
        {
            // In waves, so that the set grows and shrinks.
            if (expected.Count == 0 || random.Next(1000) < (i / 2000 % 2 == 0 ? 700 : 300))
            {
                var added = NewSubscription(isLone: random.Next(2) == 0);
                set.Add(added);
                expected.Add(added);
                Assert.Same(set, added.Set);
            }
            else
            {
                var at = random.Next(expected.Count);
                var removed = expected[at];
                expected.RemoveAt(at);
                set.Remove(removed);
                Assert.Null(removed.Set);
            }

            if (i % 100 == 0)
            {
                Assert.Equal(expected.Where(one => one.IsLone).ToHashSet(), set.Lone.ToArray().ToHashSet());
                Assert.Equal(expected.Where(one => !one.IsLone).ToHashSet(), set.Others.ToArray().ToHashSet());
                Assert.Equal(expected.Count, set.Lone.Length + set.Others.Length);
            }
        }
    }

    [Fact]
    public void Who_comes_later_has_had_what_waits()
    {
        var set = new SubscriptionSet();
        var early = NewSubscription(isLone: true);
        set.Add(early);
        var events = EventBatch.Rent(16);
        events.Add("\"1\""u8);
        set.Wait(events);
        set.Wait(events);
        var late = NewSubscription(isLone: true);
        set.Add(late);

        Assert.Equal(0, early.CaughtUp);
        Assert.Equal(2, late.CaughtUp);
        Assert.Equal(2, set.WaitingCount);
        Assert.Equal(2 * events.AcceptedBytes, set.WaitingBytes);
        events.Release();
    }

    [Fact]
    public void What_waited_is_forgotten_when_it_is_written()
    {
        var set = new SubscriptionSet();
        var events = EventBatch.Rent(16);
        events.Add("\"1\""u8);
        foreach (var count in new[] { 1, 500, 2, 0, 3 })
        {
            for (var i = 0; i < count; i++)
            {
                set.Wait(events);
            }

            Assert.Equal(count, set.WaitingCount);
            Assert.All(set.Waiting[..count], waiting => Assert.Same(events, waiting));
            set.ClearWaiting();
            Assert.Equal(0, set.WaitingCount);
            Assert.Equal(0, set.WaitingBytes);
            Assert.All(set.Waiting, Assert.Null);
        }

        events.Release();
    }

    private static Subscription NewSubscription(bool isLone) => new(null!, null!, null!, "s"u8) { IsLone = isLone };
}
