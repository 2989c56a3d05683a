namespace Fanfare.Gateway;

/// <summary>What one client, message or channel may ask for. Bound to <c>Fanfare:Limits</c>.</summary>
/// <remarks>
/// Limits of size and shape default to the quotas of AppSync Events (the service's quota page). Limits of rate are off (0)
/// by default, but for that of failed authentications: a broker of one's own is usually sized by its machine, not by a tariff.
/// </remarks>
public sealed class GatewayLimits
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare:Limits";

    /// <summary>Gets or sets how many events one publish may carry.</summary>
    /// <value>5 by default, as on AppSync.</value>
    public int EventsPerPublishMax { get; set; } = 5;

    /// <summary>Gets or sets the size of one event: the UTF-8 bytes of its JSON text, unescaped.</summary>
    /// <value>245,760 by default: AppSync's 240 KB.</value>
    public int EventBytesMax { get; set; } = 240 * 1024;

    /// <summary>Gets or sets the size of all events of one publish together, counted like <see cref="EventBytesMax"/>.</summary>
    /// <value>1,228,800 by default: AppSync's 1.2 MB, which is five events of the greatest size.</value>
    public int PublishBytesMax { get; set; } = 5 * 240 * 1024;

    /// <summary>Gets or sets the size of one WebSocket message and of one HTTP body, in bytes as sent.</summary>
    /// <value>3 MiB by default: a publish of the greatest size nearly doubles when its quotes are escaped, and its envelope comes on top.</value>
    public int MessageBytesMax { get; set; } = 3 * 1024 * 1024;

    /// <summary>Gets or sets how many segments a channel may have.</summary>
    /// <value>5 by default, as on AppSync.</value>
    public int ChannelSegmentsMax { get; set; } = 5;

    /// <summary>Gets or sets how many characters a segment may have.</summary>
    /// <value>50 by default, as on AppSync.</value>
    public int SegmentLengthMax { get; set; } = 50;

    /// <summary>Gets or sets how many subscriptions one connection may hold.</summary>
    /// <value>200 by default, as on AppSync.</value>
    public int SubscriptionsPerConnectionMax { get; set; } = 200;

    /// <summary>Gets or sets how many WebSockets this gateway holds at a time; 0 means no limit but the machine's.</summary>
    /// <value>0 by default.</value>
    public int ConnectionsMax { get; set; }

    /// <summary>Gets or sets how long a connection may live before it is closed with 1001.</summary>
    /// <value>24 hours by default, as on AppSync.</value>
    public TimeSpan ConnectionLifetime { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Gets or sets the pause between two <c>ka</c> messages.</summary>
    /// <value>60 seconds by default, as on AppSync. Amplify calls a connection unhealthy after 65.</value>
    public TimeSpan KeepAliveInterval { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Gets or sets the silence after which clients are told to give a connection up (<c>connectionTimeoutMs</c>).</summary>
    /// <value>5 minutes by default, as on AppSync.</value>
    public TimeSpan ConnectionTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Gets or sets how long a refused connection waits for the client's first frame before <c>connection_error</c> is sent.</summary>
    /// <value>
    /// 1 second by default. An error that travels with the upgrade's answer is lost by clients that install their
    /// message handler a moment after the socket opens.
    /// </value>
    public TimeSpan RejectionDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets how many bytes may wait for one connection before it is closed as a slow subscriber.</summary>
    /// <value>4 MiB by default: a publish of the greatest size, escaped, fits with room for what follows it.</value>
    public int PendingBytesMax { get; set; } = 4 * 1024 * 1024;

    /// <summary>Gets or sets how many bytes may wait for all connections together before publishers are held back.</summary>
    /// <value>512 MiB by default.</value>
    public long PendingBytesTotalMax { get; set; } = 512L * 1024 * 1024;

    /// <summary>Gets or sets how long a write to a connection may make no progress before the connection is given up.</summary>
    /// <value>30 seconds by default: half a keep-alive interval, so that a dead peer is noticed by its first unsent <c>ka</c>.</value>
    public TimeSpan WriteTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long a publish may be held back by overload before it is refused.</summary>
    /// <value>5 seconds by default.</value>
    public TimeSpan PublishTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets how many publishes one WebSocket may send in a second; 0 means no limit.</summary>
    /// <value>0 by default. AppSync allows 25.</value>
    public int PublishesPerSecondPerConnection { get; set; }

    /// <summary>Gets or sets how many WebSockets an API accepts in a second; 0 means no limit.</summary>
    /// <value>0 by default. AppSync allows 2,000.</value>
    public int ConnectsPerSecond { get; set; }

    /// <summary>Gets or sets how many events an API takes in a second, over HTTP and WebSocket together; 0 means no limit.</summary>
    /// <value>0 by default. AppSync allows 10,000.</value>
    public int InboundEventsPerSecond { get; set; }

    /// <summary>Gets or sets how many failed authentications a second a client address may go on causing; 0 means no limit.</summary>
    /// <value>
    /// 10 by default, after a burst of ten times as many. An address is one of IPv4, or 64 bits of IPv6. Beyond the limit, credentials from
    /// there are refused unverified, except those that were good in the last ten minutes.
    /// </value>
    public int FailedAttemptsPerSecond { get; set; } = 10;
}
