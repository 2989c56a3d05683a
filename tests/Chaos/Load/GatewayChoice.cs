namespace Fanfare.Chaos.Load;

/// <summary>The gateways that clients may connect to, one after the other, as a load balancer or a list in the client would have it.</summary>
internal sealed class GatewayChoice(IReadOnlyList<Uri> gateways)
{
    /// <summary>How many gateways there are.</summary>
    public int Count => gateways.Count;

    /// <summary>Returns a gateway by its index, counted on beyond the last.</summary>
    public Uri this[int index] => gateways[index % gateways.Count];
}
