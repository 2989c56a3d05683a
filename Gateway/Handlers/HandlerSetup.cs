using Fanfare.Gateway.Handlers.Node;

namespace Fanfare.Gateway.Handlers;

/// <summary>Registers event handlers.</summary>
internal static class HandlerSetup
{
    /// <summary>Adds the handlers, the runtime of their code, and their loading at the start.</summary>
    public static void AddHandlers(this IServiceCollection services)
    {
        services.AddSingleton<IHandlerRuntime, NodeRuntime>();
        services.AddSingleton<HandlerLog>();
        services.AddSingleton<FunctionNotifications>();
        services.AddSingleton<HandlerServices>();
        services.AddSingleton<HandlerFactory>();
        services.AddSingleton<HandlerDirectory>();
        services.AddSingleton<HandlerLoader>();
        services.AddHostedService(provider => provider.GetRequiredService<HandlerLoader>());
        services.AddHostedService<HandlerWatcher>();
    }
}
