using Fanfare.Broker.Gateways;

namespace Fanfare.Broker.Channels;

/// <summary>What a channel's activation knows of one interested gateway. Used by that activation only.</summary>
internal sealed class GatewayLink(GatewayHandle gateway, IGatewayObserver observer)
{
    /// <summary>How many deliveries may wait for a gateway that gives no receipts; what comes then is lost to it.</summary>
    public const int UnreceivedCountMax = 256;

    /// <summary>The gateway.</summary>
    public GatewayHandle Gateway { get; } = gateway;

    /// <summary>The observer of this channel's deliveries.</summary>
    public IGatewayObserver Observer { get; } = observer;

    /// <summary>The sequence of the last delivery that was sent, or 0.</summary>
    public long LastSent { get; set; }

    /// <summary>The deliveries that have no receipt yet, in order.</summary>
    public List<ChannelDelivery> Unreceived { get; } = [];

    /// <summary>The gateway's answer to this activation, once it was asked; <see langword="null"/> before.</summary>
    public Task<ChannelPosition>? Beginning { get; set; }

    /// <summary>The sequence that the gateway is to continue from: that before the first delivery without a receipt.</summary>
    public long Position => Unreceived.Count > 0 ? Unreceived[0].Previous : LastSent;
}
