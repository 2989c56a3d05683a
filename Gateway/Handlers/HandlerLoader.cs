using Fanfare.Gateway.Apis;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers;

/// <summary>Loads the handlers of all namespaces before the gateway listens, and again those that change.</summary>
/// <remarks>
/// Code that cannot run stops the start, as a save of it fails on AppSync; and so does code that AppSync would refuse, where
/// <see cref="HandlerOptions.Strict"/> asks for it. A missing Node.js does not: what the code would decide is refused then, and
/// everything else works.
/// </remarks>
internal sealed class HandlerLoader(
    ApiDirectory apis, HandlerDirectory directory, HandlerFactory factory, IHandlerRuntime runtime, IOptions<GatewayOptions> options,
    ILogger<HandlerLoader> logger) : IHostedLifecycleService
{
    private const int ErrorsShownMax = 5;

    private readonly bool _isStrict = options.Value.Handlers.Strict;

    /// <summary>Loads all.</summary>
    /// <exception cref="GatewayStartException">Some code cannot run.</exception>
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        foreach (var api in apis.All)
        {
            foreach (var ns in api.Namespaces)
            {
                errors.AddRange(await LoadAsync(api.Model, api.Model.Namespaces[ns.Name], directory.Get(ns), cancellationToken));
            }
        }

        if (errors.Count > 0)
        {
            var more = errors.Count > ErrorsShownMax ? $"; and {errors.Count - ErrorsShownMax} more" : "";
            throw new GatewayStartException($"{string.Join("; ", errors.Take(ErrorsShownMax))}{more}");
        }
    }

    /// <summary>Loads the handlers of a namespace. Where its code cannot run, those that are there stay.</summary>
    /// <param name="api">The API as it is to be.</param>
    /// <param name="ns">The namespace as it is to be.</param>
    /// <param name="handlers">Where the handlers go.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Why the code cannot run, one line each; none where the handlers were exchanged.</returns>
    public async Task<IReadOnlyList<string>> LoadAsync(
        Api api, ChannelNamespace ns, NamespaceHandlers handlers, CancellationToken cancellationToken)
    {
        HandlerModule? module = null;
        string? missing = null;
        if (HandlerFactory.NeedsCode(ns))
        {
            try
            {
                module = await runtime.LoadAsync(new HandlerOwner(api.Id, ns.Name), ns.Code!, cancellationToken);
            }
            catch (HandlerRuntimeException e)
            {
                missing = e.Message;
                HandlerLoaderLog.CodeNotRun(logger, ns.Name, api.Name, e.Message);
            }
        }

        if (module is not null && Report(api, ns, module.Problems) is { Count: > 0 } errors)
        {
            return errors;
        }

        var old = handlers.Module;
        handlers.Set(module, Create(HandlerKind.OnPublish), Create(HandlerKind.OnSubscribe));
        if (old is not null)
        {
            runtime.Unload(old);
        }

        return [];

        IEventHandler? Create(HandlerKind kind) =>
            factory.Create(api, ns, module, kind) ?? (missing is null ? null : factory.CreateUnavailable(ns, kind, missing));
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private List<string> Report(Api api, ChannelNamespace ns, IReadOnlyList<CodeProblem> problems)
    {
        var errors = new List<string>();
        foreach (var problem in problems)
        {
            if (problem.IsError || _isStrict)
            {
                errors.Add($"The code of the namespace '{ns.Name}': code.js:{problem.Line}:{problem.Column}: {problem.Message}");
            }
            else
            {
                HandlerLoaderLog.Unsupported(logger, ns.Name, api.Name, problem.Line, problem.Column, problem.Message);
            }
        }

        return errors;
    }
}

/// <summary>What loading handlers logs.</summary>
internal static partial class HandlerLoaderLog
{
    [LoggerMessage(44, LogLevel.Warning,
        "The namespace '{Namespace}' of API '{Api}' has code that cannot run, so what it would decide is refused. {Reason}")]
    public static partial void CodeNotRun(ILogger logger, string @namespace, string api, string reason);

    [LoggerMessage(45, LogLevel.Warning,
        "The namespace '{Namespace}' of API '{Api}' has code that AppSync refuses: code.js:{Line}:{Column}: {Message}")]
    public static partial void Unsupported(ILogger logger, string @namespace, string api, int line, int column, string message);
}
