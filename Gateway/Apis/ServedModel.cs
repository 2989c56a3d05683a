using System.Collections.Frozen;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Apis;

/// <summary>What this gateway serves, read at the start: the APIs of the templates, or one API of its own.</summary>
internal sealed class ServedModel
{
    public ServedModel(
        IOptions<GatewayOptions> options, IConfiguration configuration, GatewayMetrics metrics, TimeProvider timeProvider)
    {
        var identity = new DataFolder(options.Value.Data).LoadOrCreateIdentity();
        var address = ListenAddress.GetConfigured(configuration, options.Value.PublicUrl);
        IReadOnlyList<Api> apis = [CreateDefault(identity, options.Value.ApiKey, address.Authority)];
        Directory = new ApiDirectory([.. apis.Select(api => new ServedApi(api, options.Value.Limits, metrics, timeProvider))]);
    }

    /// <summary>The APIs.</summary>
    public ApiDirectory Directory { get; }

    // What AppSync's console makes: API keys for everything, and a namespace called default.
    private static Api CreateDefault(StoredIdentity identity, string? apiKey, string authority) => new()
    {
        Id = identity.ApiId,
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
        Keys = [new ApiKey { Value = apiKey ?? identity.ApiKey }],
    };
}
