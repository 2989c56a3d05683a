using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <summary>What a shard is asked to do.</summary>
internal enum ShardCommandKind : byte
{
    Open,
    Send,
    Acknowledge,
    Subscribe,
    Unsubscribe,
    Deliver,
    WriteCompleted,
    Close,
    Abandon,
    End,
    Tick,
    Drain,
    AbandonAll,
}

/// <summary>One entry of a shard's queue. A struct, so that queueing allocates nothing.</summary>
internal readonly struct ShardCommand
{
    private ShardCommand(ShardCommandKind kind, object? target, PooledFrame frame = default)
    {
        Kind = kind;
        Target = target;
        Frame = frame;
    }

    /// <summary>What to do.</summary>
    public ShardCommandKind Kind { get; }

    /// <summary>The connection's output, subscription or delivery that it is about.</summary>
    public object? Target { get; }

    /// <summary>Frames to send with it; the shard returns them. An empty default where there are none.</summary>
    public PooledFrame Frame { get; }

    /// <summary>Why, for the commands that end a connection.</summary>
    public CloseReason Reason { get; private init; }

    /// <summary>What to say, for <see cref="ShardCommandKind.Close"/>.</summary>
    public CloseCode Code { get; private init; }

    /// <summary>Whether the sent close frame is the end, for <see cref="ShardCommandKind.Close"/>.</summary>
    public bool IsPeerDone { get; private init; }

    /// <summary>Which part of all connections should be closed by now, from 0 to 1, for <see cref="ShardCommandKind.Drain"/>.</summary>
    public double Share { get; private init; }

    /// <summary>The connection's subscriptions, for <see cref="ShardCommandKind.End"/>.</summary>
    public IReadOnlyList<Subscription>? Subscriptions { get; private init; }

    public static ShardCommand Tick { get; } = new(ShardCommandKind.Tick, null);

    public static ShardCommand AbandonAll { get; } = new(ShardCommandKind.AbandonAll, null);

    public static ShardCommand Open(ConnectionOutput output) => new(ShardCommandKind.Open, output);

    public static ShardCommand Send(ConnectionOutput output, PooledFrame frame) => new(ShardCommandKind.Send, output, frame);

    public static ShardCommand Acknowledge(ConnectionOutput output, PooledFrame frame) => new(ShardCommandKind.Acknowledge, output, frame);

    public static ShardCommand Subscribe(Subscription subscription, PooledFrame confirmation) =>
        new(ShardCommandKind.Subscribe, subscription, confirmation);

    public static ShardCommand Unsubscribe(Subscription subscription, PooledFrame confirmation) =>
        new(ShardCommandKind.Unsubscribe, subscription, confirmation);

    public static ShardCommand Deliver(Delivery delivery) => new(ShardCommandKind.Deliver, delivery);

    public static ShardCommand WriteCompleted(ConnectionOutput output) => new(ShardCommandKind.WriteCompleted, output);

    public static ShardCommand Close(
        ConnectionOutput output, CloseReason reason, CloseCode code, bool isPeerDone, PooledFrame? lastMessage) =>
        new(ShardCommandKind.Close, output, lastMessage ?? default) { Reason = reason, Code = code, IsPeerDone = isPeerDone };

    public static ShardCommand Abandon(ConnectionOutput output, CloseReason reason) =>
        new(ShardCommandKind.Abandon, output) { Reason = reason };

    public static ShardCommand End(ConnectionOutput output, IReadOnlyList<Subscription> subscriptions) =>
        new(ShardCommandKind.End, output) { Subscriptions = subscriptions };

    public static ShardCommand Drain(double share) => new(ShardCommandKind.Drain, null) { Share = share };
}
