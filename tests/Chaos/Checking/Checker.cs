using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Fanfare.Chaos.Checking;

/// <summary>Holds a history against the promises.</summary>
/// <remarks>
/// <list type="bullet">
/// <item>Due at a subscription is every event of its channels whose publish was sent after <c>subscribe_success</c> had come and was
/// accepted before the subscription's end. What came with a connection that the gateway closed is due up to
/// <see cref="CloseMargin"/> before the close frame, since an acceptance and a close frame that cross each other on different sockets
/// can't be told apart; with a connection that broke, up to <see cref="BreakMargin"/> before the client noticed.</item>
/// <item>An event is a duplicate where the same subscription had it before, whatever became of its publish.</item>
/// <item>Order: the events of one publisher in one channel come as they were sent, and there is one order of all events of a channel
/// that no subscription contradicts. The latter is checked exactly: what each subscription saw, as a graph of "came right before",
/// must have no cycle over all subscriptions.</item>
/// </list>
/// </remarks>
internal static class Checker
{
    /// <summary>How long before a close frame an acceptance must be for the event to be due.</summary>
    public static readonly TimeSpan CloseMargin = TimeSpan.FromMilliseconds(100);

    /// <summary>How long before a broken connection was noticed an acceptance must be for the event to be due.</summary>
    public static readonly TimeSpan BreakMargin = TimeSpan.FromSeconds(2);

    /// <summary>Checks a history.</summary>
    /// <param name="history">What happened.</param>
    /// <param name="publishingEnded">When publishers stopped; stalls are measured up to there.</param>
    public static Verdict Check(History history, long publishingEnded = 0)
    {
        var verdict = new Verdict();
        var channelOf = new Dictionary<EventName, string>();
        var accepted = new Dictionary<string, List<PublishRecord>>(StringComparer.Ordinal);
        foreach (var publish in history.Publishes)
        {
            Count(publish, verdict);
            for (var i = 0; i < publish.Count; i++)
            {
                channelOf.Add(publish.First with { Number = publish.First.Number + i }, publish.Channel);
            }

            if (publish.Outcome == PublishOutcome.Accepted)
            {
                GetOrAdd(accepted, publish.Channel).Add(publish);
            }
        }

        foreach (var publishes in accepted.Values)
        {
            publishes.Sort((a, b) => a.Sent.CompareTo(b.Sent));
        }

        var sequences = new Dictionary<string, List<List<EventName>>>(StringComparer.Ordinal);
        foreach (var subscription in history.Subscriptions)
        {
            var received = CheckDeliveries(subscription, channelOf, sequences, publishingEnded, verdict);
            CheckDue(subscription, accepted, received, verdict);
        }

        foreach (var (channel, seen) in sequences)
        {
            CheckOneOrder(channel, seen, verdict);
        }

        return verdict;
    }

    /// <summary>Whether a subscription to the pattern gets the channel's events.</summary>
    public static bool Matches(string pattern, string channel) => pattern.EndsWith("/*", StringComparison.Ordinal)
        ? channel.Length >= pattern.Length && channel.AsSpan().StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.Ordinal)
        : string.Equals(pattern, channel, StringComparison.Ordinal);

    private static void Count(PublishRecord publish, Verdict verdict)
    {
        switch (publish.Outcome)
        {
            case PublishOutcome.Accepted:
                verdict.Accepted++;
                verdict.NotePublish(publish.Sent, publish.Answered);
                break;
            case PublishOutcome.Refused:
                verdict.Refused++;
                break;
            default:
                verdict.Unanswered++;
                break;
        }
    }

    // Returns what came, and adds the order in which it came to the channels' sequences.
    private static HashSet<EventName> CheckDeliveries(
        SubscriptionRecord subscription, Dictionary<EventName, string> channelOf,
        Dictionary<string, List<List<EventName>>> sequences, long publishingEnded, Verdict verdict)
    {
        var received = new HashSet<EventName>(subscription.Deliveries.Count);
        var own = new Dictionary<string, List<EventName>>(StringComparer.Ordinal);
        var lastNumbers = new Dictionary<(string Channel, int Publisher), int>();
        var lastTimes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var delivery in subscription.Deliveries)
        {
            if (!channelOf.TryGetValue(delivery.Event, out var channel) || !Matches(subscription.Pattern, channel))
            {
                verdict.Unexpected++;
                verdict.Describe($"{subscription.Name} on {subscription.Pattern} got {delivery.Event} of {channel ?? "nobody"}.");
                continue;
            }

            if (!received.Add(delivery.Event))
            {
                verdict.Duplicates++;
                verdict.Describe($"{subscription.Name} on {subscription.Pattern} got {delivery.Event} of {channel} again.");
                continue;
            }

            GetOrAdd(own, channel).Add(delivery.Event);
            ref var lastNumber = ref CollectionsMarshal.GetValueRefOrAddDefault(
                lastNumbers, (channel, delivery.Event.Publisher), out var isKnown);
            if (isKnown && delivery.Event.Number < lastNumber)
            {
                verdict.OutOfOrder++;
                verdict.Describe($"{subscription.Name} on {subscription.Pattern} got {delivery.Event} of {channel} after {lastNumber}.");
            }

            lastNumber = isKnown ? Math.Max(lastNumber, delivery.Event.Number) : delivery.Event.Number;
            if (lastTimes.TryGetValue(channel, out var lastTime))
            {
                verdict.NoteStall(lastTime, delivery.Time);
            }

            lastTimes[channel] = delivery.Time;
        }

        if (subscription.DeliveriesAfterEnd > 0)
        {
            verdict.Unexpected += subscription.DeliveriesAfterEnd;
            verdict.Describe(
                $"{subscription.Name} on {subscription.Pattern} got {subscription.DeliveriesAfterEnd} events after unsubscribe_success.");
        }

        foreach (var (channel, sequence) in own)
        {
            GetOrAdd(sequences, channel).Add(sequence);
            if (subscription.End == SubscriptionEnd.None && publishingEnded > lastTimes[channel])
            {
                verdict.NoteStall(lastTimes[channel], publishingEnded);
            }
        }

        return received;
    }

    private static void CheckDue(
        SubscriptionRecord subscription, Dictionary<string, List<PublishRecord>> accepted, HashSet<EventName> received, Verdict verdict)
    {
        var until = subscription.End switch
        {
            SubscriptionEnd.None => long.MaxValue,
            SubscriptionEnd.Closed => subscription.Ended - ToTicks(CloseMargin),
            SubscriptionEnd.Broken => subscription.Ended - ToTicks(BreakMargin),
            _ => subscription.Ended,
        };
        foreach (var (channel, publishes) in accepted)
        {
            if (!Matches(subscription.Pattern, channel))
            {
                continue;
            }

            foreach (var publish in publishes)
            {
                if (publish.Sent < subscription.Began || publish.Answered > until)
                {
                    continue;
                }

                for (var i = 0; i < publish.Count; i++)
                {
                    var name = publish.First with { Number = publish.First.Number + i };
                    verdict.Due++;
                    if (!received.Contains(name))
                    {
                        verdict.Missing++;
                        verdict.Describe($"""
                            {subscription.Name} on {subscription.Pattern} (end: {subscription.End}) missed {name} of {channel}, sent {Seconds(
                            subscription.Began, publish.Sent):0.000} s after its beginning and accepted {Seconds(publish.Sent, publish.Answered):0.000} s later.
                            """);
                    }
                }
            }
        }
    }

    // Kahn's algorithm: what is left over is part of a cycle or behind one; of those, the ones on a cycle are out of order.
    private static void CheckOneOrder(string channel, List<List<EventName>> sequences, Verdict verdict)
    {
        var followers = new Dictionary<EventName, HashSet<EventName>>();
        var leaderCounts = new Dictionary<EventName, int>();
        foreach (var sequence in sequences)
        {
            for (var i = 0; i < sequence.Count; i++)
            {
                leaderCounts.TryAdd(sequence[i], 0);
                if (i > 0)
                {
                    if (!followers.TryGetValue(sequence[i - 1], out var next))
                    {
                        followers.Add(sequence[i - 1], next = new HashSet<EventName>(1));
                    }

                    if (next.Add(sequence[i]))
                    {
                        leaderCounts[sequence[i]]++;
                    }
                }
            }
        }

        var ready = new Queue<EventName>(leaderCounts.Where(entry => entry.Value == 0).Select(entry => entry.Key));
        var place = new Dictionary<EventName, int>(leaderCounts.Count);
        while (ready.TryDequeue(out var name))
        {
            place.Add(name, place.Count);
            foreach (var follower in followers.GetValueOrDefault(name) ?? [])
            {
                if (--leaderCounts[follower] == 0)
                {
                    ready.Enqueue(follower);
                }
            }
        }

        if (place.Count < leaderCounts.Count)
        {
            CountContradictions(channel, sequences, verdict);
        }
    }

    // How many steps back the others take in what the longest sequence saw; at least one, since there is a cycle.
    private static void CountContradictions(string channel, List<List<EventName>> sequences, Verdict verdict)
    {
        var longest = sequences.MaxBy(sequence => sequence.Count)!;
        var places = longest.Select((name, index) => (name, index)).ToDictionary(entry => entry.name, entry => entry.index);
        var contradictions = 0;
        foreach (var sequence in sequences)
        {
            var last = (Place: -1, Name: default(EventName));
            foreach (var name in sequence)
            {
                if (!places.TryGetValue(name, out var at))
                {
                    continue;
                }

                if (at < last.Place)
                {
                    contradictions++;
                    verdict.Describe($"{channel}: one subscription got {last.Name} before {name}, another the other way round.");
                }

                last = at > last.Place ? (at, name) : last;
            }
        }

        if (contradictions == 0)
        {
            verdict.Describe($"{channel}: the orders that subscriptions saw contradict each other.");
        }

        verdict.OutOfOrder += Math.Max(1, contradictions);
    }

    private static long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    private static double Seconds(long from, long to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds;

    private static List<T> GetOrAdd<T>(Dictionary<string, List<T>> lists, string key)
    {
        if (!lists.TryGetValue(key, out var list))
        {
            lists.Add(key, list = []);
        }

        return list;
    }
}
