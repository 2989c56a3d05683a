namespace Fanfare.Broker.Channels;

/// <summary>What a gateway publishes to a channel with one call: one publish, or several that waited for the call before.</summary>
/// <remarks>Immutable. It crosses silos and gateways unchanged.</remarks>
[GenerateSerializer, Immutable, Alias("fanfare.publish-batch")]
public sealed class PublishBatch
{
    /// <summary>The publishing gateway.</summary>
    [Id(0)]
    public required Guid Gateway { get; init; }

    /// <summary>The batch's number: each of a gateway is higher than those before it. With <see cref="Gateway"/> it tells a retry from a new batch.</summary>
    [Id(1)]
    public required long Number { get; init; }

    /// <summary>The events as <see cref="Fanfare.Gateway.Backplane.EventBatch.Encode"/> wrote them, joined.</summary>
    [Id(2)]
    public required byte[] Events { get; init; }
}

/// <summary>What became of a batch.</summary>
public enum PublishOutcome
{
    /// <summary>It has its place in the channel's order, and every interested gateway that answers has it.</summary>
    Accepted,

    /// <summary>This activation of the channel has been superseded; the same batch is to be sent again.</summary>
    Retry,

    /// <summary>The silo that was asked has no answer, or none yet; the channel's grain has. See <see cref="Silos.ISiloChannelsGrain"/>.</summary>
    Unknown,
}

/// <summary>A channel's answer to a publish.</summary>
/// <param name="Outcome">What became of the batch.</param>
/// <param name="Silo">Where the channel is active, so that further publishes can go there together with others.</param>
[GenerateSerializer, Immutable, Alias("fanfare.publish-answer")]
public readonly record struct PublishAnswer([property: Id(0)] PublishOutcome Outcome, [property: Id(1)] SiloAddress Silo);

/// <summary>A publish to one of several channels.</summary>
/// <param name="Channel">The channel, as <see cref="Fanfare.Gateway.Channels.ChannelKey.Value"/>.</param>
/// <param name="Batch">The batch.</param>
[GenerateSerializer, Immutable, Alias("fanfare.channel-publish")]
public readonly record struct ChannelPublish([property: Id(0)] string Channel, [property: Id(1)] PublishBatch Batch);

/// <summary>A batch on its way from a channel to one gateway.</summary>
[GenerateSerializer, Immutable, Alias("fanfare.channel-delivery")]
public sealed class ChannelDelivery
{
    /// <summary>The activation that sends it; see <see cref="Gateways.IGatewayObserver.BeginAsync"/>.</summary>
    [Id(0)]
    public required Guid Activation { get; init; }

    /// <summary>The channel, as <see cref="Fanfare.Gateway.Channels.ChannelKey.Value"/>.</summary>
    [Id(1)]
    public required string Channel { get; init; }

    /// <summary>The delivery's place in the channel's order.</summary>
    [Id(2)]
    public required long Sequence { get; init; }

    /// <summary>The sequence of the delivery that this gateway was sent before; 0 for the first one of an activation.</summary>
    [Id(3)]
    public required long Previous { get; init; }

    /// <summary>Every gateway has received what is up to this sequence.</summary>
    [Id(4)]
    public required long Stable { get; init; }

    /// <summary>Whether other gateways get it too, so that this one keeps it until they all have it.</summary>
    [Id(5)]
    public required bool IsShared { get; init; }

    /// <summary>How many deliveries before this one were given up, because too much waited for this gateway.</summary>
    [Id(6)]
    public int LostCount { get; init; }

    /// <summary>The events.</summary>
    [Id(7)]
    public required PublishBatch Batch { get; init; }
}

/// <summary>A gateway's answer to a delivery.</summary>
public enum DeliveryReceipt
{
    /// <summary>It is in the gateway's memory, or was before.</summary>
    Received,

    /// <summary>As <see cref="Received"/>, but the gateway has more than it can send on and asks publishers to wait.</summary>
    ReceivedWithoutRoom,

    /// <summary>The gateway does not know the activation; it begins anew and sends the delivery again.</summary>
    Unknown,

    /// <summary>Another activation has taken the channel over; this one must end.</summary>
    Superseded,
}

/// <summary>How far a gateway has come in a channel, told to an activation that takes the channel over.</summary>
[GenerateSerializer, Immutable, Alias("fanfare.channel-position")]
public sealed class ChannelPosition
{
    /// <summary>The position of a gateway that knows nothing of the channel.</summary>
    public static readonly ChannelPosition None = new() { Sequence = 0, Batches = [], Unstable = [] };

    /// <summary>The highest sequence received.</summary>
    [Id(0)]
    public required long Sequence { get; init; }

    /// <summary>Of each publishing gateway, the number of its last batch that was received.</summary>
    [Id(1)]
    public required BatchNumber[] Batches { get; init; }

    /// <summary>What was received and perhaps not by all, in order.</summary>
    [Id(2)]
    public required ChannelDelivery[] Unstable { get; init; }

    /// <summary>Whether the gateway has received the batch.</summary>
    public bool Includes(PublishBatch batch)
    {
        foreach (var known in Batches)
        {
            if (known.Gateway == batch.Gateway)
            {
                return known.Number >= batch.Number;
            }
        }

        return false;
    }
}

/// <summary>A batch's name without its events.</summary>
/// <param name="Gateway">The publishing gateway.</param>
/// <param name="Number">The batch's number.</param>
[GenerateSerializer, Immutable, Alias("fanfare.batch-number")]
public readonly record struct BatchNumber([property: Id(0)] Guid Gateway, [property: Id(1)] long Number);

/// <summary>A gateway's first subscription to a pattern, or the end of its last.</summary>
/// <param name="Gateway">The gateway.</param>
/// <param name="Number">The change's number: each of a gateway is higher than those before it, so that a late one is told.</param>
/// <param name="IsInterested">Whether there are subscriptions now.</param>
[GenerateSerializer, Immutable, Alias("fanfare.interest-change")]
public readonly record struct InterestChange([property: Id(0)] Guid Gateway, [property: Id(1)] long Number, [property: Id(2)] bool IsInterested);
