using System.Net.Sockets;
using System.Security.Cryptography;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Iam;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Authorization.Lambda;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Connections;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Handlers.DataSources;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Publishing;
using Fanfare.Gateway.Transport;
using Fanfare.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway;

/// <summary>Puts the gateway together: configuration, services, endpoints.</summary>
internal static class GatewayApplication
{
    /// <summary>The address listened on where nothing else is configured.</summary>
    public const string DefaultUrl = "http://localhost:8080";

    private const int HeadersBytesMax = 64 * 1024;
    private const int RequestLineBytesMax = 16 * 1024;
    private static readonly TimeSpan s_handshakeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Builds the application; nothing listens yet.</summary>
    /// <param name="args">The command line; see <see cref="GatewayCommandLine"/>.</param>
    /// <param name="configureServices">Replaces services, for tests.</param>
    /// <param name="program">The program that runs; the gateway alone where it is <see langword="null"/>.</param>
    /// <exception cref="GatewayStartException">The command line, a template or the data folder is unusable.</exception>
    /// <exception cref="OptionsValidationException">A setting has a wrong value.</exception>
    public static WebApplication Create(
        string[] args, Action<IServiceCollection>? configureServices = null, GatewayProgram? program = null)
    {
        program ??= GatewayProgram.Standalone;
        var settings = new GatewayCommandLine(program).ToSettings(args);
        var builder = WebApplication.CreateBuilder(settings);
        RefuseUnknownSettings(builder.Configuration, program);
        builder.AddServiceDefaults(program.ServiceName);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestHeadersTotalSize = HeadersBytesMax;
            kestrel.Limits.MaxRequestLineSize = RequestLineBytesMax;
            // A socket that never completes its upgrade is closed after this.
            kestrel.Limits.RequestHeadersTimeout = s_handshakeTimeout;
        });
        if (!HasAddress(builder.Configuration))
        {
            builder.WebHost.UseUrls(DefaultUrl);
        }

        var servesClients = program.ServesClients(builder.Configuration);
        if (servesClients)
        {
            AddGateway(builder.Services, builder.Configuration);
        }

        program.Configure(builder);
        configureServices?.Invoke(builder.Services);
        var app = builder.Build();
        app.MapDefaultEndpoints();
        if (!servesClients)
        {
            return app;
        }

        app.MapEventApi();
        // Made here rather than at the first request, so that a mistake stops the start.
        app.Services.GetRequiredService<ApiDirectory>();
        var fanOut = app.Services.GetRequiredService<LocalFanOut>();
        fanOut.Interests = new InterestTable(app.Services.GetRequiredService<IBackplane>(), fanOut.ShardCount);
        return app;
    }

    /// <summary>Starts listening.</summary>
    /// <exception cref="GatewayStartException">An address cannot be listened on, or its certificate cannot be used.</exception>
    public static async Task StartAsync(WebApplication app)
    {
        try
        {
            await app.StartAsync();
        }
        catch (Exception e) when (e is SocketException or ArgumentException or CryptographicException)
        {
            // None of these says what it is about: an address of another machine, a port over 65535, a damaged certificate.
            var endpoints = app.Configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]);
            var addresses = endpoints.Append(app.Configuration[WebHostDefaults.ServerUrlsKey]).Where(url => !string.IsNullOrEmpty(url));
            throw new GatewayStartException($"Cannot listen on {string.Join(", ", addresses)}: {e.Message}");
        }
    }

    private static void RefuseUnknownSettings(ConfigurationManager configuration, GatewayProgram program)
    {
        var section = configuration.GetSection(GatewayOptions.SectionName);
        if (UnknownSettings.Find(section, [typeof(GatewayOptions), .. program.OptionTypes]).FirstOrDefault() is { } unknown)
        {
            throw new GatewayStartException($"There is no setting '{unknown}'. docs/configuration.md lists them.");
        }
    }

    private static void AddGateway(IServiceCollection services, IConfiguration configuration)
    {
        var section = configuration.GetSection(GatewayOptions.SectionName);
        services.AddOptions<GatewayOptions>().Bind(section);
        services.AddSingleton<IValidateOptions<GatewayOptions>, GatewayOptionsValidator>();
        services.AddSingleton(provider => Options.Create(provider.GetRequiredService<IOptions<GatewayOptions>>().Value.Limits));

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<GatewayMetrics>();
        services.AddSingleton<ApiLog>();
        services.AddSingleton<ServedModel>();
        services.AddSingleton(provider => provider.GetRequiredService<ServedModel>().Directory);

        services.AddSingleton<LambdaTargets>();
        services.AddSingleton<LambdaClient>();
        services.AddSingleton<IAuthenticator, ApiKeyAuthenticator>();
        services.AddIam(section);
        services.AddJwtAuthenticators();
        services.AddSingleton<AuthModeDetector>();
        services.AddSingleton<IAuthenticator, LambdaAuthenticator>();
        services.AddSingleton<FailedAttempts>();
        services.AddSingleton<Authorizer>();

        services.AddSingleton<LocalFanOut>();
        services.AddSingleton<IDeliverySink>(provider => provider.GetRequiredService<LocalFanOut>());
        services.AddSingleton<IBackplane, EmbeddedBackplane>();

        services.AddDataSources();
        services.AddHandlers();

        services.AddSingleton<BackplaneFailures>();
        services.AddSingleton<EventPublisher>();
        services.AddSingleton<PublishEndpoint>();
        services.AddSingleton<ConnectionServices>();
        services.AddSingleton<Admission>();
        services.AddSingleton<RealtimeEndpoint>();
        if (EventLoop.IsSupported)
        {
            services.AddSingleton<IConnectionListenerFactory, RealtimeListenerFactory>();
        }

        services.AddHostedService<DrainService>();
    }

    /// <summary>Maps <c>/event</c> and <c>/event/realtime</c>; every other path is answered in the protocol's shape.</summary>
    private static void MapEventApi(this WebApplication app)
    {
        var publish = app.Services.GetRequiredService<PublishEndpoint>();
        var realtime = app.Services.GetRequiredService<RealtimeEndpoint>();
        app.Map("/event", publish.HandleAsync);
        app.Map("/event/realtime", realtime.HandleAsync);
        app.MapFallback("{**path}", PublishEndpoint.HandleUnknownPathAsync);
    }

    private static bool HasAddress(IConfiguration configuration) =>
        !string.IsNullOrEmpty(configuration[WebHostDefaults.ServerUrlsKey])
        || !string.IsNullOrEmpty(configuration[WebHostDefaults.HttpPortsKey])
        || !string.IsNullOrEmpty(configuration[WebHostDefaults.HttpsPortsKey])
        || configuration.GetSection("Kestrel:Endpoints").GetChildren().Any();
}
