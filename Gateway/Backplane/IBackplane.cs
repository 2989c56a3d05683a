using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Backplane;

/// <summary>What became of a publish.</summary>
public enum PublishStatus
{
    /// <summary>The order is fixed, and every gateway with interest gets the events.</summary>
    Accepted,

    /// <summary>Too much is under way; nothing was published. The publisher may try again.</summary>
    Overloaded,

    /// <summary>What joins the gateways cannot be reached. The publisher may try again.</summary>
    /// <remarks>Where the connection was lost while the publish was under way, it may have been published all the same.</remarks>
    Unavailable,
}

/// <summary>Raised where an interest cannot be announced because what joins the gateways cannot be reached.</summary>
internal sealed class BackplaneUnavailableException(string message) : Exception(message);

/// <summary>Carries publishes between gateways. Every implementation keeps the same promises.</summary>
/// <remarks>
/// <list type="number">
/// <item>Once <see cref="AddInterestAsync"/> has returned, every later accepted publish to a matching channel reaches this gateway.</item>
/// <item>Events of one channel are delivered in one order at every subscriber: the order in which publishes were accepted.</item>
/// <item>A subscription gets an event at most once; while its gateway and its connection live and no node dies, exactly once.</item>
/// <item>An accepted publish survives the death of any one silo, or of any one gateway other than its subscribers' own.</item>
/// <item>A gateway that dies leaves no interest behind for longer than its lease.</item>
/// <item>Interest is counted per pattern and gateway, not per subscription.</item>
/// <item>Overload is pushed back to publishers, never turned into unbounded memory or silent loss.</item>
/// </list>
/// All members are safe for concurrent use. Calls for one pattern are made one after the other.
/// </remarks>
public interface IBackplane
{
    /// <summary>Publishes events; returns once their place in the channel's order is fixed.</summary>
    /// <param name="channel">The channel.</param>
    /// <param name="events">The events. The caller keeps its reference; the backplane takes its own where it needs them longer.</param>
    /// <param name="isPlaced">
    /// Whether the events are before those of any later call for the channel from now on, so that whoever has more need not wait until
    /// the order of these is fixed. <see langword="false"/> where they wait for room.
    /// </param>
    /// <param name="cancellationToken">Ends the wait; the events may have been published all the same.</param>
    ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken);

    /// <summary>Announces this gateway's first subscription to a pattern; returns once no matching publish can pass it by.</summary>
    ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken);

    /// <summary>Withdraws the interest in a pattern: its last subscription here is gone.</summary>
    ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken);
}

/// <summary>Where a backplane puts what it has for this gateway: the local fan-out.</summary>
public interface IDeliverySink
{
    /// <summary>Delivers events to all local subscriptions that match the channel; does not wait for their sockets.</summary>
    /// <param name="channel">The channel that the events were published to.</param>
    /// <param name="events">The events. The caller keeps its reference.</param>
    /// <remarks>Events of one channel are delivered in the order of these calls.</remarks>
    void Deliver(ChannelKey channel, EventBatch events);

    /// <summary>Whether the fan-out has room for another publish.</summary>
    bool HasRoom { get; }

    /// <summary>Delivers events to the local subscriptions of one pattern; does not wait for their sockets.</summary>
    /// <param name="pattern">The pattern, which the channel matches.</param>
    /// <param name="channel">The channel that the events were published to.</param>
    /// <param name="events">The events. The caller keeps its reference.</param>
    /// <remarks>For a backplane that brings a publish once for each pattern. Ordered as the calls without a pattern are.</remarks>
    void Deliver(PatternKey pattern, ChannelKey channel, EventBatch events);

    /// <summary>Waits until the fan-out has room for another publish.</summary>
    /// <returns><see langword="false"/> when it did not have any for so long that the publish should be refused.</returns>
    ValueTask<bool> WaitForRoomAsync(CancellationToken cancellationToken);
}
