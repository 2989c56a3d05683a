using System.Diagnostics;

namespace Fanfare.Chaos.Checking;

/// <summary>What a history shows of the promises.</summary>
internal sealed class Verdict
{
    /// <summary>How many broken promises are described; the rest is only counted.</summary>
    private const int ExamplesMax = 20;

    private readonly List<string> _examples = [];

    /// <summary>Publishes that succeeded.</summary>
    public int Accepted { get; set; }

    /// <summary>Publishes that were answered with an error.</summary>
    public int Refused { get; set; }

    /// <summary>Publishes without an answer.</summary>
    public int Unanswered { get; set; }

    /// <summary>Deliveries that had to come.</summary>
    public long Due { get; set; }

    /// <summary>Deliveries that had to come and did not.</summary>
    public long Missing { get; set; }

    /// <summary>Deliveries of an event that the subscription had already.</summary>
    public long Duplicates { get; set; }

    /// <summary>Deliveries before another one that should have been first.</summary>
    public long OutOfOrder { get; set; }

    /// <summary>Deliveries that nobody asked for: of another channel, after the end, or of an event that was never published.</summary>
    public long Unexpected { get; set; }

    /// <summary>The longest time that a subscription waited for the next event of a channel while it was published to.</summary>
    public TimeSpan LongestStall { get; private set; }

    /// <summary>When that began.</summary>
    public long LongestStallBegan { get; private set; }

    /// <summary>The longest time between a publish and its success.</summary>
    public TimeSpan SlowestPublish { get; private set; }

    /// <summary>When that was sent.</summary>
    public long SlowestPublishSent { get; private set; }

    /// <summary>The first broken promises in words.</summary>
    public IReadOnlyList<string> Examples => _examples;

    /// <summary>Whether every promise was kept.</summary>
    public bool IsClean => Missing == 0 && Duplicates == 0 && OutOfOrder == 0 && Unexpected == 0;

    /// <summary>Notes how long a subscription waited for a channel's next event.</summary>
    public void NoteStall(long from, long to)
    {
        if (Stopwatch.GetElapsedTime(from, to) is var time && time > LongestStall)
        {
            (LongestStall, LongestStallBegan) = (time, from);
        }
    }

    /// <summary>Notes how long an accepted publish took.</summary>
    public void NotePublish(long sent, long answered)
    {
        if (Stopwatch.GetElapsedTime(sent, answered) is var time && time > SlowestPublish)
        {
            (SlowestPublish, SlowestPublishSent) = (time, sent);
        }
    }

    /// <summary>Describes a broken promise, unless there are many already.</summary>
    public void Describe(FormattableString text)
    {
        if (_examples.Count < ExamplesMax)
        {
            _examples.Add(FormattableString.Invariant(text));
        }
    }
}
