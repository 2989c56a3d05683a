using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <summary>One <c>subscribe</c> on one connection.</summary>
/// <param name="output">The connection's sending half.</param>
/// <param name="interest">The pattern, as all local subscriptions to it share it.</param>
/// <param name="ns">The pattern's namespace.</param>
/// <param name="id">The client's id.</param>
internal sealed class Subscription(ConnectionOutput output, Interest interest, ServedNamespace ns, ReadOnlySpan<byte> id)
{
    /// <summary>What every <c>data</c> message of this subscription begins with.</summary>
    public readonly byte[] Head = ServerMessages.EncodeDataHead(id);

    /// <summary>The connection's sending half.</summary>
    public readonly ConnectionOutput Output = output;

    /// <summary>The pattern.</summary>
    public readonly Interest Interest = interest;

    /// <summary>The pattern's namespace.</summary>
    public readonly ServedNamespace Namespace = ns;

    // What follows is owned by the shard.

    /// <summary>The set that the subscription is in, or <see langword="null"/>.</summary>
    public SubscriptionSet? Set;

    /// <summary>Where it stands in its part of the set.</summary>
    public int Position;

    /// <summary>Whether it is the connection's only one, so that what it gets can wait for the end of the round.</summary>
    public bool IsLone;

    /// <summary>How many of the set's waiting batches it has had already, or came too late for.</summary>
    public int CaughtUp;

    /// <summary>The client's id.</summary>
    public ReadOnlySpan<byte> Id => ServerMessages.GetDataHeadId(Head);
}
