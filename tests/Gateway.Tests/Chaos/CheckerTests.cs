using System.Diagnostics;
using Fanfare.Chaos.Checking;

namespace Fanfare.Gateway.Tests.Chaos;

/// <summary>What <c>tests/Chaos</c> finds in made-up histories: a report of no losses is worth as much as this.</summary>
public sealed class CheckerTests
{
    private const string Channel = "/default/a/b";
    private readonly History _history = new();

    [Fact]
    public void What_came_as_it_should_is_clean()
    {
        Publish(1, 1, sent: 10);
        Publish(2, 1, sent: 11);
        Subscribe(Channel, began: 0, (1, 1), (2, 1));
        Subscribe("/default/*", began: 0, (1, 1), (2, 1));

        var verdict = Checker.Check(_history);
        Assert.True(verdict.IsClean);
        Assert.Equal((2, 4L), (verdict.Accepted, verdict.Due));
    }

    [Fact]
    public void An_accepted_event_that_did_not_come_is_missing()
    {
        Publish(1, 1, sent: 10);
        Publish(1, 2, sent: 20);
        Subscribe(Channel, began: 0, (1, 2));

        Assert.Equal((2L, 1L), Check(verdict => (verdict.Due, verdict.Missing)));
    }

    [Fact]
    public void A_subscription_that_got_nothing_misses_everything()
    {
        Publish(1, 1, sent: 10);
        Subscribe("/default/a/*", began: 0);
        Subscribe("/default/*", began: 0);

        Assert.Equal(2, Check(verdict => verdict.Missing));
    }

    [Fact]
    public void Each_event_of_a_batch_is_due()
    {
        Publish(1, 1, sent: 10, count: 3);
        Subscribe(Channel, began: 0, (1, 1), (1, 3));

        Assert.Equal((3L, 1L), Check(verdict => (verdict.Due, verdict.Missing)));
    }

    [Theory]
    [InlineData(PublishOutcome.Refused)]
    [InlineData(PublishOutcome.Unanswered)]
    internal void What_was_not_accepted_may_come_or_not_but_not_twice(PublishOutcome outcome)
    {
        Publish(1, 1, sent: 10, outcome: outcome);
        Subscribe(Channel, began: 0);
        Subscribe(Channel, began: 0, (1, 1));
        Assert.True(Checker.Check(_history).IsClean);

        Subscribe(Channel, began: 0, (1, 1), (1, 1));
        Assert.Equal(1, Check(verdict => verdict.Duplicates));
    }

    [Fact]
    public void What_was_sent_before_the_subscription_was_confirmed_is_not_due()
    {
        Publish(1, 1, sent: 10, answered: 30);
        Subscribe(Channel, began: 11);
        Subscribe(Channel, began: 10);

        Assert.Equal((1L, 1L), Check(verdict => (verdict.Due, verdict.Missing)));
    }

    [Theory]
    [InlineData(SubscriptionEnd.Unsubscribed, 0, true)]
    [InlineData(SubscriptionEnd.Unsubscribed, -1, false)]
    [InlineData(SubscriptionEnd.Closed, 100, true)]
    [InlineData(SubscriptionEnd.Closed, 99, false)]
    [InlineData(SubscriptionEnd.Broken, 2_000, true)]
    [InlineData(SubscriptionEnd.Broken, 1_999, false)]
    internal void What_was_accepted_before_the_end_is_due(SubscriptionEnd end, int millisecondsBefore, bool isDue)
    {
        Publish(1, 1, sent: 10, answered: 5_000);
        var subscription = Subscribe(Channel, began: 0);
        (subscription.End, subscription.Ended) = (end, Ticks(5_000 + millisecondsBefore));

        Assert.Equal(isDue ? 1 : 0, Check(verdict => verdict.Missing));
    }

    [Fact]
    public void The_same_event_twice_at_one_subscription_is_a_duplicate_and_at_two_is_none()
    {
        Publish(1, 1, sent: 10);
        Publish(1, 2, sent: 20);
        Subscribe(Channel, began: 0, (1, 1), (1, 2));
        Subscribe(Channel, began: 0, (1, 1), (1, 2), (1, 1));

        Assert.Equal((1L, 0L, 0L), Check(verdict => (verdict.Duplicates, verdict.OutOfOrder, verdict.Missing)));
    }

    [Fact]
    public void A_publishers_events_in_the_wrong_order_are_found_at_a_single_subscriber()
    {
        Publish(1, 1, sent: 10);
        Publish(1, 2, sent: 20);
        Subscribe(Channel, began: 0, (1, 2), (1, 1));

        Assert.Equal(1, Check(verdict => verdict.OutOfOrder));
    }

    [Fact]
    public void Two_channels_of_a_publisher_have_an_order_each()
    {
        Publish(1, 1, sent: 10);
        Publish(1, 2, sent: 20, channel: "/default/a/c");
        Subscribe("/default/a/*", began: 0, (1, 2), (1, 1));

        Assert.True(Checker.Check(_history).IsClean);
    }

    [Fact]
    public void Two_subscribers_that_saw_publishers_in_different_order_contradict_each_other()
    {
        Publish(1, 1, sent: 10);
        Publish(2, 1, sent: 10);
        Subscribe(Channel, began: 0, (1, 1), (2, 1));
        Subscribe("/default/*", began: 0, (2, 1), (1, 1));

        Assert.Equal(1, Check(verdict => verdict.OutOfOrder));
    }

    [Fact]
    public void Orders_that_contradict_each_other_only_all_together_are_found()
    {
        Publish(1, 1, sent: 10, outcome: PublishOutcome.Unanswered);
        Publish(2, 1, sent: 10, outcome: PublishOutcome.Unanswered);
        Publish(3, 1, sent: 10, outcome: PublishOutcome.Unanswered);
        Subscribe(Channel, began: 0, (1, 1), (2, 1));
        Subscribe(Channel, began: 0, (2, 1), (3, 1));
        Assert.True(Checker.Check(_history).IsClean);

        Subscribe(Channel, began: 0, (3, 1), (1, 1));
        Assert.Equal(1, Check(verdict => verdict.OutOfOrder));
    }

    [Fact]
    public void A_missing_event_is_not_out_of_order()
    {
        for (var i = 1; i <= 3; i++)
        {
            Publish(i, 1, sent: 10);
        }

        Subscribe(Channel, began: 0, (1, 1), (2, 1), (3, 1));
        Subscribe(Channel, began: 0, (1, 1), (3, 1));

        Assert.Equal((1L, 0L), Check(verdict => (verdict.Missing, verdict.OutOfOrder)));
    }

    [Fact]
    public void What_nobody_asked_for_is_unexpected()
    {
        Publish(1, 1, sent: 10, channel: "/default/x");
        Subscribe(Channel, began: 0, (1, 1), (7, 7));
        Subscribe("/default/*", began: 0, (1, 1)).DeliveriesAfterEnd = 2;

        Assert.Equal(4, Check(verdict => verdict.Unexpected));
    }

    [Fact]
    public void A_stall_lasts_from_one_delivery_to_the_next_or_to_the_end_of_publishing()
    {
        Publish(1, 1, sent: 0);
        Publish(1, 2, sent: 1_000, answered: 4_000);
        var subscription = Subscribe(Channel, began: 0);
        subscription.Deliveries.Add(new DeliveryRecord(new EventName(1, 1), Ticks(100)));
        subscription.Deliveries.Add(new DeliveryRecord(new EventName(1, 2), Ticks(2_100)));

        var verdict = Checker.Check(_history);
        Assert.Equal((2_000, 3_000), ((int)verdict.LongestStall.TotalMilliseconds, (int)verdict.SlowestPublish.TotalMilliseconds));
        Assert.Equal(5_000, (int)Checker.Check(_history, publishingEnded: Ticks(7_100)).LongestStall.TotalMilliseconds);
    }

    [Theory]
    [InlineData("/default/a", "/default/a", true)]
    [InlineData("/default/a", "/default/ab", false)]
    [InlineData("/default/a", "/default/a/b", false)]
    [InlineData("/default/*", "/default/a", true)]
    [InlineData("/default/*", "/default/a/b/c/d", true)]
    [InlineData("/default/*", "/default", false)]
    [InlineData("/default/*", "/defaults/a", false)]
    [InlineData("/default/a/*", "/default/a", false)]
    [InlineData("/default/a/*", "/default/ab/c", false)]
    public void Patterns_match_as_the_protocol_says(string pattern, string channel, bool matches) =>
        Assert.Equal(matches, Checker.Matches(pattern, channel));

    // Times are milliseconds since the beginning of the clock.
    private void Publish(
        int publisher, int number, int sent, int? answered = null, int count = 1, PublishOutcome outcome = PublishOutcome.Accepted,
        string channel = Channel) => _history.Publishes.Add(new PublishRecord
        {
            Channel = channel,
            First = new EventName(publisher, number),
            Count = count,
            Sent = Ticks(sent),
            Answered = Ticks(answered ?? (sent + 1)),
            Outcome = outcome,
        });

    private SubscriptionRecord Subscribe(string pattern, int began, params (int Publisher, int Number)[] events)
    {
        var subscription = new SubscriptionRecord { Name = $"s{_history.Subscriptions.Count}", Pattern = pattern, Began = Ticks(began) };
        subscription.Deliveries.AddRange(events.Select(name => new DeliveryRecord(new EventName(name.Publisher, name.Number), 0)));
        _history.Subscriptions.Add(subscription);
        return subscription;
    }

    private T Check<T>(Func<Verdict, T> select) => select(Checker.Check(_history));

    private static long Ticks(int milliseconds) => milliseconds * Stopwatch.Frequency / 1000;
}
