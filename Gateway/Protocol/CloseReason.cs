namespace Fanfare.Gateway.Protocol;

/// <summary>Why a connection ended; the first reason counts. The names are values of a metric's tag.</summary>
internal enum CloseReason
{
    /// <summary>It has not.</summary>
    None,

    /// <summary>The client sent a close frame.</summary>
    ClientClosed,

    /// <summary>The transport ended without a close frame.</summary>
    ClientGone,

    /// <summary>The client broke RFC 6455, or sent what the protocol does not carry.</summary>
    ProtocolViolation,

    /// <summary>The connect was refused with <c>connection_error</c>.</summary>
    Rejected,

    /// <summary>The connection reached its lifetime.</summary>
    LifetimeReached,

    /// <summary>The gateway drains.</summary>
    Draining,

    /// <summary>More bytes waited than the connection may have waiting, or a write made no progress.</summary>
    SlowSubscriber,

    /// <summary>Our fault.</summary>
    InternalError,
}

/// <summary>The close code that goes with a reason.</summary>
internal static class CloseReasons
{
    private static readonly string[] s_tags =
        ["none", "client_closed", "client_gone", "protocol_violation", "rejected", "lifetime_reached", "draining", "slow_subscriber", "internal_error"];

    /// <summary>The value of the metric's tag.</summary>
    public static string GetTag(this CloseReason reason) => s_tags[(int)reason];

    /// <summary>The code that the gateway sends for a reason of its own.</summary>
    public static CloseCode GetCode(this CloseReason reason) => reason switch
    {
        CloseReason.LifetimeReached or CloseReason.Draining => CloseCode.GoingAway,
        CloseReason.SlowSubscriber => CloseCode.TryAgainLater,
        CloseReason.InternalError => CloseCode.InternalError,
        _ => CloseCode.Normal,
    };
}
