namespace Fanfare.Bench;

/// <summary>Where publishes go, and what of them comes out at the other end.</summary>
/// <param name="PublishingPort">The port of the gateway that publishers are connected to.</param>
/// <param name="SubscribingPort">The port of the gateway that subscribers are connected to.</param>
/// <param name="Namespace">The namespace of all channels.</param>
/// <param name="KeptEvery">Which events are delivered: each one, or each second one of a stream, the first not being one.</param>
/// <param name="IsStamped">Whether events are delivered with a time stamp at their end; otherwise as they were published.</param>
internal sealed record Target(int PublishingPort, int SubscribingPort, string Namespace = "default", int KeptEvery = 1, bool IsStamped = false);
