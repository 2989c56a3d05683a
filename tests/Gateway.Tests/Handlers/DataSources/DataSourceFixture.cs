using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Handlers.DataSources;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>Data sources with settings of a test's own, and no handlers around them.</summary>
internal sealed class DataSourceFixture : IAsyncDisposable
{
    /// <summary>Credentials, so that requests are signed.</summary>
    public static readonly (string Key, string Value)[] Credentials =
    [
        ("DataSources:AccessKeyId", "AKIDEXAMPLE"), ("DataSources:SecretAccessKey", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ];

    private readonly ServiceProvider _services;
    private readonly Api _api;

    private DataSourceFixture(ServiceProvider services, Api api)
    {
        _services = services;
        _api = api;
        Directory = services.GetRequiredService<DataSourceDirectory>();
    }

    public DataSourceDirectory Directory { get; }

    public RecordingLogger Log { get; } = new();

    /// <summary>The services behind, for what only some tests want.</summary>
    public IServiceProvider Services => _services;

    /// <summary>Makes the data sources of one API; settings are below <c>Fanfare</c>.</summary>
    public static DataSourceFixture Create(
        IEnumerable<DataSource> sources, IEnumerable<(string Key, string Value)> settings, TimeProvider? clock = null)
    {
        var services = new ServiceCollection();
        services.AddMetrics().AddSingleton<GatewayMetrics>();
        services.AddSingleton(clock ?? TimeProvider.System);
        services.AddSingleton(Options.Create(Read(settings)));
        services.AddSingleton<LambdaTargets>();
        services.AddSingleton<LambdaClient>();
        services.AddDataSources();
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace));
        var provider = services.BuildServiceProvider();
        var fixture = new DataSourceFixture(provider, CreateApi(sources));
        provider.GetRequiredService<ILoggerFactory>().AddProvider(fixture.Log);
        return fixture;
    }

    /// <summary>Makes a data source <c>s</c> that is at a server of the test's.</summary>
    public static DataSourceFixture CreateAt(
        FakeLambda server, DataSource source, TimeProvider? clock = null, params IEnumerable<(string Key, string Value)> settings) =>
        Create([source], settings.Append(("DataSources:Sources:s:Endpoint", server.Address.AbsoluteUri)), clock);

    /// <summary>Reads settings below <c>Fanfare</c>.</summary>
    public static GatewayOptions Read(IEnumerable<(string Key, string Value)> settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create($"Fanfare:{setting.Key}", (string?)setting.Value)))
            .Build();
        var options = new GatewayOptions();
        configuration.GetSection("Fanfare").Bind(options);
        return options;
    }

    /// <summary>An API that has data sources and nothing else.</summary>
    public static Api CreateApi(IEnumerable<DataSource> sources) => new()
    {
        Id = "k7h2aaaaaaaaaaaaaaaaaaaaaa",
        Name = "sources",
        HttpHost = "localhost",
        RealtimeHost = "localhost",
        AuthProviders = [],
        ConnectionModes = AuthModes.None,
        DefaultPublishModes = AuthModes.None,
        DefaultSubscribeModes = AuthModes.None,
        Namespaces = FrozenDictionary<string, ChannelNamespace>.Empty,
        DataSources = sources.ToFrozenDictionary(source => source.Name, StringComparer.Ordinal),
    };

    /// <summary>A data source <c>s</c>.</summary>
    public static DataSource Source(DataSourceKind kind) => new() { Name = "s", Kind = kind };

    /// <summary>Calls a data source with a request as JSON text.</summary>
    public async Task<DataSourceAnswer> CallAsync(
        string request, string name = "s", TimeSpan? timeout = null, CancellationToken? cancellationToken = null)
    {
        using var document = JsonDocument.Parse(request, new JsonDocumentOptions { MaxDepth = 1000 });
        return await Directory.Get(_api, name).CallAsync(
            new DataSourceCall(document.RootElement, timeout ?? TimeSpan.FromSeconds(20)),
            cancellationToken ?? TestContext.Current.CancellationToken);
    }

    /// <summary>Calls a data source that must answer with a result.</summary>
    public async Task<string> GetResultAsync(string request, string name = "s")
    {
        var answer = await CallAsync(request, name);
        Assert.True(answer is { InvalidReason: null, Error: null }, answer.InvalidReason ?? answer.Error?.ToString());
        return TextOf(answer);
    }

    /// <summary>Calls a data source that must answer with an error.</summary>
    public async Task<DataSourceError> GetErrorAsync(string request, string name = "s")
    {
        var answer = await CallAsync(request, name);
        Assert.Null(answer.InvalidReason);
        return answer.Error ?? throw new InvalidOperationException($"No error, but {TextOf(answer)}.");
    }

    /// <summary>Calls a data source that must not understand the request.</summary>
    public async Task<string> GetInvalidAsync(string request, string name = "s") =>
        (await CallAsync(request, name)).InvalidReason ?? throw new InvalidOperationException("The request was taken.");

    /// <summary>The result as text.</summary>
    public static string TextOf(DataSourceAnswer answer) => Encoding.UTF8.GetString(answer.Json.Span);

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
