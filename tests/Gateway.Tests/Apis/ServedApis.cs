using System.Collections.Frozen;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using System.Diagnostics.Metrics;

namespace Fanfare.Gateway.Tests.Apis;

/// <summary>Makes APIs for tests that need no gateway around them.</summary>
internal sealed class ServedApis : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly GatewayMetrics _metrics;

    /// <summary>Makes an authorizer of the given modes that remembers and limits as one with default settings does.</summary>
    public Authorizer CreateAuthorizer(params IAuthenticator[] authenticators) => new(
        new AuthModeDetector(new TokenCache(new JwtOptions())),
        authenticators,
        new FailedAttempts(Options.Create(new GatewayLimits()), _metrics, TimeProvider.System));

    public ServedApis() => _metrics = new GatewayMetrics(_services.GetRequiredService<IMeterFactory>());

    /// <summary>An API where keys may do everything, in a namespace <c>chat</c>, but for what the test changes.</summary>
    public ServedApi Create(
        string id = "k7h2aaaaaaaaaaaaaaaaaaaaaa", AuthModes providers = AuthModes.ApiKey, AuthModes connect = AuthModes.ApiKey,
        AuthModes publish = AuthModes.ApiKey, AuthModes subscribe = AuthModes.ApiKey, IReadOnlyList<ApiKey>? keys = null,
        IReadOnlyList<string>? domainNames = null, params ChannelNamespace[] namespaces)
    {
        var model = new Api
        {
            Id = id,
            Name = id,
            HttpHost = "localhost",
            RealtimeHost = "localhost",
            DomainNames = domainNames ?? [],
            AuthProviders =
                [.. Enum.GetValues<AuthMode>().Where(mode => providers.Includes(mode)).Select(mode => new AuthProvider { Mode = mode })],
            ConnectionModes = connect,
            DefaultPublishModes = publish,
            DefaultSubscribeModes = subscribe,
            Keys = keys ?? [],
            Namespaces = (namespaces.Length > 0 ? namespaces : [new ChannelNamespace { Name = "chat" }])
                .ToFrozenDictionary(ns => ns.Name, StringComparer.Ordinal),
        };
        return new ServedApi(model, new GatewayOptions(), _metrics, TimeProvider.System);
    }

    public void Dispose()
    {
        _metrics.Dispose();
        _services.Dispose();
    }
}
