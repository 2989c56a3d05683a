using Microsoft.AspNetCore.SignalR;

namespace Fanfare.SignalR;

/// <summary>What Fanfare does, as the smallest hub does it: groups are channels, and the completion of an invocation is its acknowledgement.</summary>
internal sealed class EventHub : Hub
{
    /// <summary>Adds the caller to a channel's subscribers.</summary>
    /// <param name="channel">The channel.</param>
    public Task Subscribe(string channel) => Groups.AddToGroupAsync(Context.ConnectionId, channel);

    /// <summary>Publishes to a channel's subscribers; completes once the event is written to each of them.</summary>
    /// <param name="channel">The channel.</param>
    /// <param name="text">The event.</param>
    public Task Publish(string channel, string text) => Clients.Group(channel).SendAsync("event", text);
}
