namespace Fanfare.Gateway.Protocol;

/// <summary>WebSocket close codes that the gateway sends (RFC 6455, section 7.4.1, and the IANA registry).</summary>
internal enum CloseCode : ushort
{
    /// <summary>Nothing was sent; only ever seen locally (RFC 6455, section 7.4.1: never on the wire).</summary>
    None = 0,

    /// <summary>1000: the exchange is over. Also follows <c>connection_error</c>, as on AppSync.</summary>
    Normal = 1000,

    /// <summary>1001: the gateway drains, or the connection's lifetime is over. Clients reconnect.</summary>
    GoingAway = 1001,

    /// <summary>1002: a frame broke RFC 6455.</summary>
    ProtocolError = 1002,

    /// <summary>1003: a binary message; the protocol is text.</summary>
    UnsupportedData = 1003,

    /// <summary>1007: a text message that is not UTF-8.</summary>
    InvalidPayload = 1007,

    /// <summary>1009: a message over the limit.</summary>
    MessageTooBig = 1009,

    /// <summary>1011: our fault.</summary>
    InternalError = 1011,

    /// <summary>1013: a slow subscriber; try again later.</summary>
    TryAgainLater = 1013,
}
