using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Connections;

/// <summary>What all connections share, in one reference.</summary>
internal sealed class ConnectionServices(
    LocalFanOut fanOut, Authorizer authorizer, EventPublisher publisher, HandlerDirectory handlers, BackplaneFailures backplaneFailures, GatewayMetrics metrics, ApiLog log,
    IOptions<GatewayLimits> limits, TimeProvider timeProvider)
{
    public LocalFanOut FanOut { get; } = fanOut;

    public Authorizer Authorizer { get; } = authorizer;

    public EventPublisher Publisher { get; } = publisher;

    public HandlerDirectory Handlers { get; } = handlers;

    public BackplaneFailures BackplaneFailures { get; } = backplaneFailures;

    public GatewayMetrics Metrics { get; } = metrics;

    public ApiLog Log { get; } = log;

    public GatewayLimits Limits { get; } = limits.Value;

    public TimeProvider TimeProvider { get; } = timeProvider;

    /// <summary>The texts of WebSocket publishes.</summary>
    public PublishErrors PublishErrors { get; } = PublishErrors.ForWebSocket(limits.Value);

    /// <summary><c>connection_ack</c> and the first <c>ka</c>, as frames.</summary>
    public byte[] ConnectionAck { get; } = ServerMessages.EncodeConnectionAck(limits.Value.ConnectionTimeout);

    /// <summary>The connection has as many subscriptions as it may.</summary>
    public ProtocolError TooManySubscriptions { get; } =
        new("MaxSubscriptionsReachedError", $"A connection can have {limits.Value.SubscriptionsPerConnectionMax} subscriptions", 400);
}
