using System.Collections.Frozen;
using Fanfare.Gateway.Apis.Templates;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Apis;

/// <summary>What this gateway serves, read at the start: the APIs of the templates, or one API of its own.</summary>
internal sealed class ServedModel
{
    private readonly GatewayOptions _options;
    private readonly StoredIdentity _identity;
    private readonly TimeProvider _timeProvider;
    private readonly Uri _address;

    /// <exception cref="GatewayStartException">The data folder cannot be used.</exception>
    /// <exception cref="TemplateException">A template is wrong.</exception>
    public ServedModel(
        IOptions<GatewayOptions> options, IConfiguration configuration, GatewayMetrics metrics, TimeProvider timeProvider,
        ILogger<ServedModel> logger)
    {
        _options = options.Value;
        _timeProvider = timeProvider;
        _identity = new DataFolder(_options.Data).LoadOrCreateIdentity();
        _address = ListenAddress.GetConfigured(configuration, _options.PublicUrl);
        var loaded = LoadTemplates(_address.Authority);
        foreach (var note in loaded.Notes)
        {
            ServedModelLog.TemplateNote(logger, note);
        }

        foreach (var warning in loaded.Warnings)
        {
            ServedModelLog.TemplateWarning(logger, warning);
        }

        var apis = loaded.Apis.Count > 0 ? loaded.Apis : [CreateDefault(_address.Authority)];
        if (_options.Templates.Count > 0 && loaded.Apis.Count == 0)
        {
            ServedModelLog.NoApi(logger);
        }

        foreach (var api in apis)
        {
            foreach (var ns in api.Namespaces.Values.Where(ns => ns.Code is not null || ns.OnPublish is not null || ns.OnSubscribe is not null))
            {
                ServedModelLog.HandlersNotRun(logger, ns.Name, api.Name);
            }
        }

        Directory = new ApiDirectory([.. apis.Select(api => new ServedApi(api, _options, metrics, timeProvider))]);
        Outputs = loaded.Outputs;
    }

    /// <summary>The APIs.</summary>
    public ApiDirectory Directory { get; }

    /// <summary>The templates' outputs, with the address that was configured.</summary>
    public IReadOnlyList<TemplateOutput> Outputs { get; }

    /// <summary>The templates' outputs for the address that clients use, which is known for certain only once the server listens.</summary>
    public IReadOnlyList<TemplateOutput> GetOutputs(Uri clientUrl) =>
        clientUrl.Authority == _address.Authority ? Outputs : LoadTemplates(clientUrl.Authority).Outputs;

    private TemplateResult LoadTemplates(string authority) => TemplateLoader.Load(
        [.. _options.Templates],
        new TemplateOptions
        {
            Region = _options.Region,
            AccountId = _options.AccountId,
            Authority = authority,
            KeySecret = _identity.Secret,
            ApiKeyOverride = _options.ApiKey,
            Parameters = _options.Parameters.ToFrozenDictionary(StringComparer.Ordinal),
            Exports = _options.Exports.ToFrozenDictionary(StringComparer.Ordinal),
            ResourceValues = _options.Resources.ToFrozenDictionary(
                pair => pair.Key, pair => (IReadOnlyDictionary<string, string>)pair.Value, StringComparer.Ordinal),
            TimeProvider = _timeProvider,
        });

    // What AppSync's console makes: API keys for everything, and a namespace called default.
    private Api CreateDefault(string authority) => new()
    {
        Id = _identity.ApiId,
        Name = "default",
        HttpHost = authority,
        RealtimeHost = authority,
        AuthProviders = [new AuthProvider { Mode = AuthMode.ApiKey }],
        ConnectionModes = AuthModes.ApiKey,
        DefaultPublishModes = AuthModes.ApiKey,
        DefaultSubscribeModes = AuthModes.ApiKey,
        Namespaces = new Dictionary<string, ChannelNamespace>
        {
            ["default"] = new() { Name = "default" },
        }.ToFrozenDictionary(StringComparer.Ordinal),
        Keys = [new ApiKey { Value = _options.ApiKey ?? _identity.ApiKey }],
    };
}

/// <summary>What reading the model logs.</summary>
internal static partial class ServedModelLog
{
    [LoggerMessage(40, LogLevel.Information, "{Note}")]
    public static partial void TemplateNote(ILogger logger, string note);

    [LoggerMessage(41, LogLevel.Warning, "{Warning}")]
    public static partial void TemplateWarning(ILogger logger, string warning);

    [LoggerMessage(42, LogLevel.Warning, "No template declares an Event API; one API with a namespace 'default' is served instead.")]
    public static partial void NoApi(ILogger logger);

    [LoggerMessage(43, LogLevel.Warning,
        "The namespace '{Namespace}' of API '{Api}' has handlers, which this version does not run: what they would decide is refused.")]
    public static partial void HandlersNotRun(ILogger logger, string @namespace, string api);
}
