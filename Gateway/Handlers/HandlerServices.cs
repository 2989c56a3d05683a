using Fanfare.Gateway.Lambda;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers;

/// <summary>What all handlers share.</summary>
internal sealed class HandlerServices(
    IHandlerRuntime runtime, LambdaClient lambda, FunctionNotifications notifications, HandlerLog log, IOptions<GatewayOptions> options,
    TimeProvider timeProvider)
{
    public IHandlerRuntime Runtime { get; } = runtime;

    public LambdaClient Lambda { get; } = lambda;

    public FunctionNotifications Notifications { get; } = notifications;

    public HandlerLog Log { get; } = log;

    public HandlerOptions Options { get; } = options.Value.Handlers;

    /// <summary>How many bytes an event may have after a handler.</summary>
    public int EventBytesMax { get; } = options.Value.Limits.EventBytesMax;

    public TimeProvider TimeProvider { get; } = timeProvider;
}
