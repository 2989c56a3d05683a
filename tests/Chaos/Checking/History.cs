namespace Fanfare.Chaos.Checking;

/// <summary>What became of a publish.</summary>
internal enum PublishOutcome
{
    /// <summary>No answer came: its events may arrive or not.</summary>
    Unanswered,

    /// <summary>It succeeded: its events are due.</summary>
    Accepted,

    /// <summary>It was answered with an error: its events may arrive or not.</summary>
    Refused,
}

/// <summary>How a subscription ended.</summary>
internal enum SubscriptionEnd
{
    /// <summary>It lasted to the end of the run.</summary>
    None,

    /// <summary>The client unsubscribed.</summary>
    Unsubscribed,

    /// <summary>The gateway closed the connection by a close frame.</summary>
    Closed,

    /// <summary>The connection broke.</summary>
    Broken,
}

/// <summary>The name of an event: who published it, and that publisher's how manieth event it is.</summary>
/// <param name="Publisher">The publisher. One that lost publishes without an answer goes on under another number.</param>
/// <param name="Number">Counts the publisher's events, in the order in which they were sent.</param>
internal readonly record struct EventName(int Publisher, int Number);

/// <summary>One publish of one or more events.</summary>
internal sealed class PublishRecord
{
    /// <summary>The channel.</summary>
    public required string Channel { get; init; }

    /// <summary>The name of its first event; those of the others follow.</summary>
    public required EventName First { get; init; }

    /// <summary>How many events.</summary>
    public required int Count { get; init; }

    /// <summary>When it was sent, in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public required long Sent { get; init; }

    /// <summary>When the answer came.</summary>
    public long Answered { get; set; }

    /// <summary>The answer.</summary>
    public PublishOutcome Outcome { get; set; }
}

/// <summary>An event that came by a subscription.</summary>
internal readonly record struct DeliveryRecord(EventName Event, long Time);

/// <summary>One subscription of one connection, from its confirmation to its end.</summary>
internal sealed class SubscriptionRecord
{
    /// <summary>Who subscribed, for messages.</summary>
    public required string Name { get; init; }

    /// <summary>The channel, or a prefix ending in <c>/*</c>.</summary>
    public required string Pattern { get; init; }

    /// <summary>When <c>subscribe_success</c> came: what is published from then on is due.</summary>
    public long Began { get; set; } = long.MaxValue;

    /// <summary>How it ended.</summary>
    public SubscriptionEnd End { get; set; }

    /// <summary>When the client asked for the end, or learnt of it: what was accepted before is due.</summary>
    public long Ended { get; set; } = long.MaxValue;

    /// <summary>Whether <c>unsubscribe_success</c> has come.</summary>
    public bool IsOver { get; set; }

    /// <summary>How much came after <c>unsubscribe_success</c>.</summary>
    public int DeliveriesAfterEnd { get; set; }

    /// <summary>What came, in order.</summary>
    public List<DeliveryRecord> Deliveries { get; } = [];
}

/// <summary>All that publishers and subscribers saw in one run.</summary>
internal sealed class History
{
    /// <summary>The publishes, in any order.</summary>
    public List<PublishRecord> Publishes { get; } = [];

    /// <summary>The subscriptions.</summary>
    public List<SubscriptionRecord> Subscriptions { get; } = [];
}
