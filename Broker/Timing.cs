namespace Fanfare.Broker;

/// <summary>How long the cluster's calls may take. Constants, because each only makes sense in view of the others.</summary>
internal static class Timing
{
    /// <summary>One attempt to publish. Short, since a repeated attempt joins the one that is still under way.</summary>
    public const string PublishCall = "00:00:02";

    /// <summary>One attempt to change an interest: a write to storage and, for a wildcard, a call of each silo.</summary>
    public const string InterestCall = "00:00:10";

    /// <summary>One delivery to a gateway. A gateway only takes it into memory, so this is a matter of the network.</summary>
    public const string DeliveryCall = "00:00:01";

    /// <summary>One call within the cluster that reads or notes something.</summary>
    public const string ShortCall = "00:00:03";

    /// <summary>A gateway waits for room on a channel's behalf.</summary>
    public const string RoomCall = "00:00:15";

    /// <summary>How long a gateway that gave no receipt holds up a channel before it is left to its lease.</summary>
    public static readonly TimeSpan ReceiptTimeout = TimeSpan.FromSeconds(2);

    /// <summary>How long a delivery waits for the one before it. A channel sends that one again, or ends, long before.</summary>
    public static readonly TimeSpan GapTimeout = TimeSpan.FromSeconds(30);

    /// <summary>How long publishes that share a message wait for each other's outcome, before each of those without one is asked for by itself.</summary>
    public static readonly TimeSpan JoinedPublishTimeout = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a gateway remembers a channel without deliveries; longer than any batch is tried again.</summary>
    public static readonly TimeSpan PositionLifetime = TimeSpan.FromSeconds(60);

    /// <summary>How long a silo takes publishes to a channel without a call of its grain, and at most twice that; less than an idle grain is kept.</summary>
    public static readonly TimeSpan DirectPublishPeriod = TimeSpan.FromSeconds(20);

    /// <summary>The first pause before a failed call is tried again; each further one is twice as long.</summary>
    public static readonly TimeSpan RetryDelayMin = TimeSpan.FromMilliseconds(20);

    /// <summary>The longest pause before a failed call is tried again.</summary>
    public static readonly TimeSpan RetryDelayMax = TimeSpan.FromMilliseconds(500);
}
