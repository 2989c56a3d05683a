using System.Net;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Observability;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A gateway in the test's process: real sockets, a fresh port, a fresh data folder.</summary>
public sealed class GatewayServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly DirectoryInfo _folder;

    private GatewayServer(WebApplication application, DirectoryInfo folder, RecordingLogger log)
    {
        (_application, _folder, Log) = (application, folder, log);
        Address = new Uri(Assert.Single(application.Urls));
        EndPoint = new IPEndPoint(IPAddress.Loopback, Address.Port);
    }

    /// <summary>Where the gateway listens.</summary>
    public Uri Address { get; }

    /// <inheritdoc cref="Address"/>
    public IPEndPoint EndPoint { get; }

    /// <summary>Everything the gateway logged.</summary>
    public RecordingLogger Log { get; }

    /// <summary>The gateway's services.</summary>
    public IServiceProvider Services => _application.Services;

    /// <summary>Starts a gateway with the test key and the given arguments, such as <c>--Fanfare:Limits:EventsPerPublishMax=3</c>.</summary>
    public static Task<GatewayServer> StartAsync(params string[] arguments) => StartCoreAsync(null, null, null, arguments);

    /// <summary>Starts a gateway on a clock of the test's own.</summary>
    public static Task<GatewayServer> StartAsync(TimeProvider clock, params string[] arguments) =>
        StartCoreAsync(clock, null, null, arguments);

    /// <summary>Starts a gateway that serves the given APIs, the first one by default.</summary>
    public static Task<GatewayServer> StartAsync(IReadOnlyList<Api> apis, params string[] arguments) => StartWithAsync(
        services => services.Replace(ServiceDescriptor.Singleton(provider => new ApiDirectory(
        [
            .. apis.Select(api => new ServedApi(
                api,
                provider.GetRequiredService<IOptions<GatewayOptions>>().Value,
                provider.GetRequiredService<GatewayMetrics>(),
                provider.GetRequiredService<TimeProvider>())),
        ]))),
        arguments);

    /// <summary>Starts a gateway with the APIs of a CloudFormation template.</summary>
    public static Task<GatewayServer> StartWithTemplateAsync(string template, params string[] arguments) =>
        StartCoreAsync(null, template, null, arguments);

    /// <summary>Starts a gateway with the APIs of a CloudFormation template, on a clock of the test's own where one is given.</summary>
    public static Task<GatewayServer> StartWithTemplateAsync(TimeProvider? clock, string template, params string[] arguments) =>
        StartCoreAsync(clock, template, null, arguments);

    /// <summary>Starts a gateway with services of the test's own.</summary>
    public static Task<GatewayServer> StartWithAsync(Action<IServiceCollection> configureServices, params string[] arguments) =>
        StartCoreAsync(null, null, configureServices, arguments);

    /// <summary>Starts another program that contains a gateway.</summary>
    internal static Task<GatewayServer> StartProgramAsync(
        GatewayProgram program, Action<IServiceCollection> configureServices, params string[] arguments) =>
        StartCoreAsync(null, null, configureServices, arguments, program);

    private static async Task<GatewayServer> StartCoreAsync(
        TimeProvider? clock, string? template, Action<IServiceCollection>? configureServices, string[] arguments,
        GatewayProgram? program = null)
    {
        var folder = Directory.CreateTempSubdirectory("fanfare-test-");
        var log = new RecordingLogger();
        List<string> all =
            ["--urls", "http://127.0.0.1:0", "--api-key", Credentials.ApiKey, "--data", Path.Combine(folder.FullName, "data")];
        if (template is not null)
        {
            var file = Path.Combine(folder.FullName, "template.yaml");
            await File.WriteAllTextAsync(file, template, TestContext.Current.CancellationToken);
            all.AddRange(["--template", file]);
        }

        var application = GatewayApplication.Create([.. all, .. arguments], services =>
        {
            services.AddSingleton<ILoggerProvider>(log);
            services.Configure<LoggerFilterOptions>(options => options.MinLevel = LogLevel.Debug);
            if (clock is not null)
            {
                services.Replace(ServiceDescriptor.Singleton(clock));
            }

            configureServices?.Invoke(services);
        }, program);
        try
        {
            await Deadline.WaitAsync(
                async token => await application.StartAsync(token), "the start of the gateway", TimeSpan.FromSeconds(60));
            return new GatewayServer(application, folder, log);
        }
        catch
        {
            await application.DisposeAsync();
            folder.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Opens a WebSocket with the test key.</summary>
    public Task<RawWebSocket> ConnectAsync() => RawWebSocket.ConnectAsync(EndPoint);

    /// <summary>Opens a WebSocket in a way of the test's own.</summary>
    public Task<RawWebSocket> ConnectAsync(Handshake handshake) => RawWebSocket.ConnectAsync(EndPoint, handshake);

    /// <summary>Stops the gateway as a signal would, letting it drain.</summary>
    public Task StopAsync() => Deadline.WaitAsync(async token => await _application.StopAsync(token), "the end of the drain");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // Most tests drop their sockets first; a drain would only wait for those that did not.
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _application.StopAsync(now.Token);
        await _application.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}

/// <summary>A gateway shared by the tests of one class; each test brings its own connections and channels.</summary>
public sealed class SharedGateway : IAsyncLifetime
{
    private GatewayServer? _server;

    /// <summary>The gateway.</summary>
    public GatewayServer Server => _server ?? throw new InvalidOperationException("The gateway has not started.");

    /// <inheritdoc/>
    public async ValueTask InitializeAsync() => _server = await GatewayServer.StartAsync();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}
