using System.Collections.Frozen;
using Fanfare.Gateway.Observability;

namespace Fanfare.Gateway.Apis;

/// <summary>An <see cref="Api"/> as this gateway serves it: with defaults applied, rates and counters attached.</summary>
internal sealed class ServedApi
{
    private readonly FrozenDictionary<string, ServedNamespace>.AlternateLookup<ReadOnlySpan<char>> _namespaces;

    public ServedApi(Api model, GatewayOptions options, GatewayMetrics metrics, TimeProvider timeProvider)
    {
        var limits = options.Limits;
        Model = model;
        Metrics = metrics.ForApi(model.Id);
        ConnectRate = RateLimit.Create(limits.ConnectsPerSecond, timeProvider);
        InboundEventRate = RateLimit.Create(limits.InboundEventsPerSecond, timeProvider);
        foreach (var provider in model.AuthProviders)
        {
            ProviderModes |= provider.Mode.ToSet();
        }

        Issuers = TokenIssuers.Create(model.AuthProviders, options.Cognito.Endpoint);
        Namespaces = [.. model.Namespaces.Values.Select(ns => new ServedNamespace(this, ns, metrics))];
        _namespaces = Namespaces
            .ToFrozenDictionary(ns => ns.Name, StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();
        Channels = new ChannelCache(this, limits);
    }

    /// <summary>What the API is.</summary>
    public Api Model { get; }

    /// <summary>The modes that a provider serves.</summary>
    public AuthModes ProviderModes { get; }

    /// <summary>The issuers whose tokens the API takes.</summary>
    public TokenIssuers Issuers { get; }

    /// <summary>The API's counters.</summary>
    public ApiMetrics Metrics { get; }

    /// <summary>The limit on new connections, or <see langword="null"/> where it is off.</summary>
    public RateLimit? ConnectRate { get; }

    /// <summary>The limit on events published, or <see langword="null"/> where it is off.</summary>
    public RateLimit? InboundEventRate { get; }

    /// <summary>The API's namespaces.</summary>
    public IReadOnlyList<ServedNamespace> Namespaces { get; }

    /// <summary>The channels that are published to.</summary>
    public ChannelCache Channels { get; }

    /// <summary>Finds a namespace by its name; names are case-sensitive.</summary>
    public ServedNamespace? FindNamespace(ReadOnlySpan<char> name) => _namespaces.TryGetValue(name, out var found) ? found : null;
}

/// <summary>A <see cref="ChannelNamespace"/> as this gateway serves it.</summary>
internal sealed class ServedNamespace(ServedApi api, ChannelNamespace model, GatewayMetrics metrics)
{
    /// <summary>The API that the namespace belongs to.</summary>
    public ServedApi Api { get; } = api;

    /// <summary>The namespace's name.</summary>
    public string Name { get; } = model.Name;

    /// <summary>Modes that may publish here.</summary>
    public AuthModes PublishModes { get; } = model.PublishModes ?? api.Model.DefaultPublishModes;

    /// <summary>Modes that may subscribe here.</summary>
    public AuthModes SubscribeModes { get; } = model.SubscribeModes ?? api.Model.DefaultSubscribeModes;

    /// <summary>The namespace's counters.</summary>
    public NamespaceMetrics Metrics { get; } = metrics.ForNamespace(api.Model.Id, model.Name);
}
