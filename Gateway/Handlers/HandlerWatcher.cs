using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Apis.Templates;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers;

/// <summary>Loads handlers again when the files change that they come from (<see cref="HandlerOptions.Watch"/>).</summary>
/// <remarks>
/// It looks at the files' times and sizes, rather than being told: that works on every file system, containers' mounts included. Files
/// that are being written are left alone until they have not changed between two looks.
/// </remarks>
internal sealed class HandlerWatcher : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    private readonly ServedModel _model;
    private readonly ApiDirectory _apis;
    private readonly HandlerDirectory _directory;
    private readonly HandlerLoader _loader;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly bool _isOn;
    private readonly Dictionary<ServedNamespace, HandlerSource> _loaded = [];
    private readonly List<(string File, DateTime Time, long Length)> _first;
    private IReadOnlyList<string> _files;

    public HandlerWatcher(
        ServedModel model, ApiDirectory apis, HandlerDirectory directory, HandlerLoader loader, IOptions<GatewayOptions> options,
        TimeProvider timeProvider, ILogger<HandlerWatcher> logger)
    {
        _model = model;
        _apis = apis;
        _directory = directory;
        _loader = loader;
        _timeProvider = timeProvider;
        _logger = logger;
        _files = model.Files;
        _isOn = options.Value.Handlers.Watch && _files.Count > 0;
        _first = _isOn ? Look() : [];
        foreach (var api in apis.All)
        {
            foreach (var ns in api.Namespaces)
            {
                _loaded.Add(ns, HandlerSource.Of(api.Model, api.Model.Namespaces[ns.Name]));
            }
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!_isOn)
        {
            return;
        }

        HandlerWatcherLog.Watching(_logger, _files.Count);
        var (loaded, seen) = (_first, _first);
        using var timer = new PeriodicTimer(s_interval, _timeProvider);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                var now = Look();
                if (now.SequenceEqual(seen) && !now.SequenceEqual(loaded))
                {
                    await ReloadAsync(stoppingToken);

                    // What has changed again since must be seen as a change; files that are new here were read just now.
                    var before = now.ToDictionary(state => state.File, StringComparer.Ordinal);
                    now = Look();
                    loaded = [.. now.Select(state => before.GetValueOrDefault(state.File, state))];
                }

                seen = now;
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The gateway ends.
        }
    }

    private List<(string File, DateTime Time, long Length)> Look()
    {
        var states = new List<(string, DateTime, long)>(_files.Count);
        foreach (var path in _files)
        {
            var file = new FileInfo(path);
            states.Add((path, file.LastWriteTimeUtc, file.Exists ? file.Length : -1));
        }

        return states;
    }

    private async Task ReloadAsync(CancellationToken cancellationToken)
    {
        TemplateResult result;
        try
        {
            result = _model.ReadAgain();
        }
        catch (TemplateException e)
        {
            foreach (var error in e.Errors)
            {
                HandlerWatcherLog.Refused(_logger, $"{error}");
            }

            _files = [.. _files.Union(e.Files)];
            return;
        }

        _files = result.Files;
        var needsRestart = result.Apis.Count != _apis.All.Count;
        foreach (var served in _apis.All)
        {
            if (result.Apis.FirstOrDefault(api => api.Id == served.Model.Id) is not { } api)
            {
                needsRestart = true;
                continue;
            }

            needsRestart |= HasOtherChanges(served.Model, api);
            foreach (var ns in served.Namespaces)
            {
                if (api.Namespaces.TryGetValue(ns.Name, out var model))
                {
                    await LoadAsync(ns, api, model, cancellationToken);
                }
            }
        }

        if (needsRestart)
        {
            HandlerWatcherLog.NeedsRestart(_logger);
        }
    }

    private async Task LoadAsync(ServedNamespace ns, Api api, ChannelNamespace model, CancellationToken cancellationToken)
    {
        var source = HandlerSource.Of(api, model);
        if (source == _loaded[ns])
        {
            return;
        }

        _loaded[ns] = source;
        var errors = await _loader.LoadAsync(api, model, _directory.Get(ns), cancellationToken);
        foreach (var error in errors)
        {
            HandlerWatcherLog.Refused(_logger, error);
        }

        if (errors.Count == 0)
        {
            HandlerWatcherLog.Loaded(_logger, ns.Name);
        }
    }

    private static bool HasOtherChanges(Api old, Api now) =>
        old.ConnectionModes != now.ConnectionModes
        || old.DefaultPublishModes != now.DefaultPublishModes
        || old.DefaultSubscribeModes != now.DefaultSubscribeModes
        || old.LogLevel != now.LogLevel
        || !old.AuthProviders.SequenceEqual(now.AuthProviders)
        || old.Keys.Count != now.Keys.Count

        // Without their expiry, which moves with the clock where the template gives none.
        || old.Keys.Zip(now.Keys).Any(keys => !keys.First.Hash.Span.SequenceEqual(keys.Second.Hash.Span))
        || !old.DomainNames.SequenceEqual(now.DomainNames)
        || old.Namespaces.Count != now.Namespaces.Count
        || old.Namespaces.Values.Any(ns => !now.Namespaces.TryGetValue(ns.Name, out var other)
            || ns.PublishModes != other.PublishModes || ns.SubscribeModes != other.SubscribeModes);

    /// <summary>What a namespace's handlers are made of.</summary>
    private sealed record HandlerSource(
        string? Code, HandlerConfig? OnPublish, HandlerConfig? OnSubscribe, DataSource? PublishSource, DataSource? SubscribeSource)
    {
        public static HandlerSource Of(Api api, ChannelNamespace ns) =>
            new(ns.Code, ns.OnPublish, ns.OnSubscribe, Find(api, ns.OnPublish), Find(api, ns.OnSubscribe));

        private static DataSource? Find(Api api, HandlerConfig? config) =>
            config?.DataSourceName is { } name ? api.DataSources.GetValueOrDefault(name) : null;
    }
}

/// <summary>What watching handlers logs.</summary>
internal static partial class HandlerWatcherLog
{
    [LoggerMessage(46, LogLevel.Information, "Watching {Files} files for changes of handlers.")]
    public static partial void Watching(ILogger logger, int files);

    [LoggerMessage(47, LogLevel.Information, "Loaded the handlers of '{Namespace}' anew.")]
    public static partial void Loaded(ILogger logger, string @namespace);

    [LoggerMessage(48, LogLevel.Error, "The handlers stay as they were: {Reason}")]
    public static partial void Refused(ILogger logger, string reason);

    [LoggerMessage(49, LogLevel.Warning, "The templates changed in more than handlers; the rest takes effect at the next start.")]
    public static partial void NeedsRestart(ILogger logger);
}
