using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Backplane;

/// <summary>The backplane of a gateway that stands alone: a publish is a call into the local fan-out.</summary>
internal sealed class EmbeddedBackplane(IDeliverySink sink) : IBackplane
{
    /// <inheritdoc/>
    public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken)
    {
        var room = sink.WaitForRoomAsync(cancellationToken);
        if (room.IsCompletedSuccessfully)
        {
            isPlaced = true;
            return new(Deliver(room.Result, channel, events));
        }

        isPlaced = false;
        return AwaitRoomAsync(room, channel, events);
    }

    /// <summary>Does nothing: the local fan-out knows its own subscriptions.</summary>
    public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => default;

    /// <summary>Does nothing: the local fan-out knows its own subscriptions.</summary>
    public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => default;

    private async ValueTask<PublishStatus> AwaitRoomAsync(ValueTask<bool> room, ChannelKey channel, EventBatch events) =>
        Deliver(await room, channel, events);

    private PublishStatus Deliver(bool hasRoom, ChannelKey channel, EventBatch events)
    {
        if (!hasRoom)
        {
            return PublishStatus.Overloaded;
        }

        sink.Deliver(channel, events);
        return PublishStatus.Accepted;
    }
}
