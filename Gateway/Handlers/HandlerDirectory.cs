using System.Collections.Frozen;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Handlers.DataSources;

namespace Fanfare.Gateway.Handlers;

/// <summary>The handlers of one namespace. They are exchanged while requests are under way; each keeps those it began with.</summary>
internal sealed class NamespaceHandlers
{
    private volatile IEventHandler? _onPublish;
    private volatile IEventHandler? _onSubscribe;

    /// <summary>Decides about publishes; <see langword="null"/> where nothing does.</summary>
    public IEventHandler? OnPublish => _onPublish;

    /// <summary>Decides about subscribes; <see langword="null"/> where nothing does.</summary>
    public IEventHandler? OnSubscribe => _onSubscribe;

    /// <summary>The module behind them, or <see langword="null"/>.</summary>
    public HandlerModule? Module { get; private set; }

    /// <summary>Exchanges them. Called by one thread at a time.</summary>
    public void Set(HandlerModule? module, IEventHandler? onPublish, IEventHandler? onSubscribe)
    {
        Module = module;
        _onPublish = onPublish;
        _onSubscribe = onSubscribe;
    }
}

/// <summary>Finds the handlers of namespaces. Safe for concurrent use.</summary>
internal sealed class HandlerDirectory(ApiDirectory apis)
{
    private readonly FrozenDictionary<ServedNamespace, NamespaceHandlers> _handlers =
        apis.All.SelectMany(api => api.Namespaces).ToFrozenDictionary(ns => ns, _ => new NamespaceHandlers());

    /// <summary>The handlers of a namespace that this gateway serves.</summary>
    public NamespaceHandlers Get(ServedNamespace ns) => _handlers[ns];
}

/// <summary>Makes the handlers of a namespace from what its template says (handlers, 1.1).</summary>
internal sealed class HandlerFactory(HandlerServices services, DataSourceDirectory sources)
{
    /// <summary>Makes the handlers that run no code; and those that do, where there is a module.</summary>
    /// <param name="api">The API.</param>
    /// <param name="ns">The namespace.</param>
    /// <param name="module">The namespace's code, which can be called; <see langword="null"/> for none.</param>
    /// <param name="kind">Which handler.</param>
    /// <returns>The handler, or <see langword="null"/> where nothing decides about the operation.</returns>
    public IEventHandler? Create(Api api, ChannelNamespace ns, HandlerModule? module, HandlerKind kind)
    {
        var config = GetConfig(ns, kind);
        if (config is { IsDirect: true, DataSourceName: { } name })
        {
            return DataSourceDirectory.FindFunction(api, name) is { } function
                ? new FunctionHandler(services, function, isWaitedFor: !config.IsEventInvoke)
                : new UnavailableHandler(services.Log, $"The data source '{name}' is no function.", HandlerRefusal.FunctionFailed);
        }

        return module?.GetForm(kind) is HandlerForm.Function or HandlerForm.Object
            ? new CodeHandler(services, module, kind, config?.DataSourceName is { } source ? sources.Get(api, source) : null)
            : null;
    }

    /// <summary>Makes a handler that refuses what code would have decided, where it could be there and cannot run.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="kind">Which handler.</param>
    /// <param name="reason">Why, for logs.</param>
    public IEventHandler? CreateUnavailable(ChannelNamespace ns, HandlerKind kind, string reason)
    {
        var name = kind == HandlerKind.OnPublish ? HandlerCode.OnPublish : HandlerCode.OnSubscribe;
        return HandlerCode.MayExport(ns.Code, name) ? new UnavailableHandler(services.Log, reason, HandlerRefusal.CodeFailed) : null;
    }

    /// <summary>Whether some operation of a namespace is decided by its code.</summary>
    public static bool NeedsCode(ChannelNamespace ns) =>
        ns.Code is not null && !(ns.OnPublish is { IsDirect: true } && ns.OnSubscribe is { IsDirect: true });

    private static HandlerConfig? GetConfig(ChannelNamespace ns, HandlerKind kind) =>
        kind == HandlerKind.OnPublish ? ns.OnPublish : ns.OnSubscribe;

    /// <summary>Refuses everything: what a handler would decide is never let through without it.</summary>
    private sealed class UnavailableHandler(HandlerLog log, string reason, HandlerRefusal refusal) : IEventHandler
    {
        public ValueTask<HandlerOutcome> HandleAsync(HandlerRequest request, CancellationToken cancellationToken)
        {
            log.Failed(request, reason);
            return ValueTask.FromResult<HandlerOutcome>(refusal);
        }
    }
}
