namespace Fanfare.Backplanes;

/// <summary>One way to load a deployment.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="ChannelsPerConnection">How many channels of its own each connection publishes to; 0 for one channel of them all.</param>
/// <param name="HasSubscriber">Whether there is a subscriber, on the gateway that publishers are not on.</param>
/// <param name="Stream">How many publishes a single connection has under way; <see langword="null"/> where all connections publish.</param>
internal sealed record Load(string Name, int ChannelsPerConnection, bool HasSubscriber, int? Stream = null)
{
    /// <summary>What is measured.</summary>
    public static readonly Load[] All =
    [
        new("many channels, 0 subscribers", 4, false),
        new("many channels, 1 subscriber", 4, true),
        new("one channel, 0 subscribers", 0, false),
        new("one channel, 1 subscriber", 0, true),
        new("one connection, 1 subscriber", 0, true, Stream: 64),
    ];

    /// <summary>Returns what this means with so many connections that have so many publishes under way.</summary>
    public PublishLoad With(int connectionCount, int window) =>
        new(Stream is null ? connectionCount : 1, Stream ?? window, ChannelsPerConnection, HasSubscriber, PublishShape.Small);
}
