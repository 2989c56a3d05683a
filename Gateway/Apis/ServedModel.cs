using System.Collections.Frozen;
using Fanfare.Gateway.Apis.Templates;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Apis;

/// <summary>What this gateway serves, read at the start: the APIs of the templates, or one API of its own.</summary>
internal sealed class ServedModel
{
    private readonly Func<TemplateResult>? _reload;
    private StartDetails? _startDetails;

    /// <exception cref="GatewayStartException">The data folder cannot be used.</exception>
    /// <exception cref="TemplateException">A template is wrong.</exception>
    public ServedModel(
        IOptions<GatewayOptions> options, IConfiguration configuration, GatewayMetrics metrics, TimeProvider timeProvider,
        ILogger<ServedModel> logger)
    {
        var settings = options.Value;
        var identity = new DataFolder(settings.Data).LoadOrCreateIdentity();
        var address = ListenAddress.GetConfigured(configuration, settings.PublicUrl);
        var templates = new ConfiguredTemplates(settings, identity.Secret, timeProvider);
        var loaded = templates.Load(address.Authority);
        Files = loaded.Files;

        // What it takes to read them again holds secrets, which are not kept without need.
        _reload = settings.Handlers.Watch ? () => templates.Load(address.Authority) : null;
        foreach (var note in loaded.Notes)
        {
            ServedModelLog.TemplateNote(logger, note);
        }

        foreach (var warning in loaded.Warnings)
        {
            ServedModelLog.TemplateWarning(logger, warning);
        }

        var (apis, keys) = (loaded.Apis, loaded.Keys);
        if (apis.Count == 0)
        {
            var key = new IssuedKey(identity.ApiId, settings.ApiKey ?? identity.ApiKey, Expires: null);
            (apis, keys) = ([CreateDefault(identity.ApiId, address.Authority, key)], [key]);
            if (settings.Templates.Count > 0)
            {
                ServedModelLog.NoApi(logger);
            }
        }

        Directory = new ApiDirectory([.. apis.Select(api => new ServedApi(api, settings, metrics, timeProvider))]);
        _startDetails = new StartDetails(address.Authority, keys, loaded.Outputs, authority => templates.Load(authority).Outputs);
    }

    /// <summary>The APIs.</summary>
    public ApiDirectory Directory { get; }

    /// <summary>The files that the APIs were read from.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>Reads the templates again. What is served does not change by that.</summary>
    /// <exception cref="TemplateException">A template is wrong.</exception>
    /// <exception cref="InvalidOperationException">Nothing was to be watched.</exception>
    public TemplateResult ReadAgain() =>
        (_reload ?? throw new InvalidOperationException("Templates are read again only where they are watched."))();

    /// <summary>Hands out what may be shown once, at the start, and forgets it: from then on the model holds no key in plain.</summary>
    /// <exception cref="InvalidOperationException">It was handed out before.</exception>
    public StartDetails TakeStartDetails() =>
        Interlocked.Exchange(ref _startDetails, null) ?? throw new InvalidOperationException("The start's details were taken before.");

    // What AppSync's console makes: API keys for everything, and a namespace called default.
    private static Api CreateDefault(string id, string authority, IssuedKey key) => new()
    {
        Id = id,
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
        Keys = [key.ToApiKey()],
    };
}

/// <summary>What only the start may show: keys in plain, and the templates' outputs, which may hold some.</summary>
internal sealed class StartDetails(
    string authority, IReadOnlyList<IssuedKey> keys, IReadOnlyList<TemplateOutput> outputs,
    Func<string, IReadOnlyList<TemplateOutput>> evaluateOutputs)
{
    /// <summary>The keys of all APIs, in their order.</summary>
    public IReadOnlyList<IssuedKey> Keys { get; } = keys;

    /// <summary>The templates' outputs for the address that clients use, which is known for certain only once the server listens.</summary>
    public IReadOnlyList<TemplateOutput> GetOutputs(Uri clientUrl) =>
        clientUrl.Authority == authority ? outputs : evaluateOutputs(clientUrl.Authority);
}

/// <summary>The templates that the configuration names, with what it says of them.</summary>
internal sealed class ConfiguredTemplates(GatewayOptions options, byte[] keySecret, TimeProvider timeProvider)
{
    /// <summary>Loads them.</summary>
    /// <param name="authority">Host and port that clients use.</param>
    public TemplateResult Load(string authority) => TemplateLoader.Load(
        [.. options.Templates],
        new TemplateOptions
        {
            Region = options.Region,
            AccountId = options.AccountId,
            Authority = authority,
            KeySecret = keySecret,
            ApiKeyOverride = options.ApiKey,
            Parameters = options.Parameters.ToFrozenDictionary(StringComparer.Ordinal),
            Exports = options.Exports.ToFrozenDictionary(StringComparer.Ordinal),
            ResourceValues = options.Resources.ToFrozenDictionary(
                pair => pair.Key, pair => (IReadOnlyDictionary<string, string>)pair.Value, StringComparer.Ordinal),
            TimeProvider = timeProvider,
        });
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
}
