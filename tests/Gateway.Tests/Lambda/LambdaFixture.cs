using System.Text;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.Lambda;

/// <summary>A client of functions with settings of a test's own.</summary>
internal sealed class LambdaFixture : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private LambdaFixture(ServiceProvider services)
    {
        _services = services;
        Client = services.GetRequiredService<LambdaClient>();
    }

    public LambdaClient Client { get; }

    public RecordingLogger Log { get; } = new();

    /// <summary>Makes a client; settings are below <c>Fanfare:Lambda</c>.</summary>
    public static LambdaFixture Create(
        IEnumerable<(string Key, string Value)> settings, TimeProvider? clock = null)
    {
        var services = new ServiceCollection();
        services.AddMetrics().AddSingleton<GatewayMetrics>();
        services.AddSingleton(clock ?? TimeProvider.System);
        services.AddSingleton(Options.Create(Read(settings)));
        services.AddSingleton<LambdaTargets>();
        services.AddSingleton<LambdaClient>();
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace));
        var provider = services.BuildServiceProvider();
        var fixture = new LambdaFixture(provider);
        provider.GetRequiredService<ILoggerFactory>().AddProvider(fixture.Log);
        return fixture;
    }

    /// <summary>Reads settings below <c>Fanfare:Lambda</c>.</summary>
    public static GatewayOptions Read(IEnumerable<(string Key, string Value)> settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create($"Fanfare:Lambda:{setting.Key}", (string?)setting.Value)))
            .Build();
        var options = new GatewayOptions();
        configuration.GetSection("Fanfare").Bind(options);
        return options;
    }

    /// <summary>Calls a function and waits for it, ten seconds at most by its clock.</summary>
    public Task<LambdaResult> InvokeAsync(
        string function = "auth", string payload = "{}", bool isRepeatable = false, LambdaInvocationType type = default) =>
        Client.InvokeAsync(
            new LambdaInvocation(function, Encoding.UTF8.GetBytes(payload), TimeSpan.FromSeconds(10)) { IsRepeatable = isRepeatable, Type = type },
            TestContext.Current.CancellationToken).AsTask();

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
