using System.Globalization;
using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Broker.Silos;
using Fanfare.Broker.Wildcards;
using Fanfare.Gateway;
using Fanfare.Gateway.Backplane;
using GatewayListOptions = Orleans.Configuration.GatewayOptions;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Persistence;
using Orleans.Serialization;
using Orleans.Storage;
using StackExchange.Redis;

namespace Fanfare.Broker;

/// <summary>Puts a node of the cluster together: a silo, a gateway that is its client, or both in one process.</summary>
/// <remarks>
/// Clustering and storage are configured by the section <c>Orleans</c>, in the form that Aspire sets and Orleans itself reads:
/// <c>Orleans:Clustering:ProviderType</c> and <c>ServiceKey</c>, the latter naming a connection string. Without such a section the
/// node is a cluster by itself, on this machine and in memory.
/// </remarks>
internal static class ClusterHosting
{
    // A silo is found dead after about three of these; a busy machine must not be taken for a dead one.
    private static readonly TimeSpan s_probeTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_tableInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_gatewayListInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_connectRetryDelay = TimeSpan.FromSeconds(1);

    // Longer than gateways take to renew what they have stored.
    private static readonly TimeSpan s_storedLifetime = TimeSpan.FromHours(24);

    // Where grains were seen last; some 300 bytes each, which stay until others need their place. Orleans keeps a million.
    private const int DirectoryCacheCount = 100_000;

    // Orleans tells at length how it starts, and of each message that found no silo and each call without an answer, which we repeat.
    // Whoever wants that asks for it.
    private static readonly KeyValuePair<string, string?>[] s_logLevels =
    [
        new("Logging:LogLevel:Orleans", "Warning"),
        new("Logging:LogLevel:Orleans.Messaging", "Critical"),
        new("Logging:LogLevel:Orleans.Runtime.CallbackData", "Error"),
        new($"Logging:LogLevel:{typeof(SiloService).FullName}", "Warning"),
    ];

    /// <summary>What the node serves clients with.</summary>
    public static NodeRoles GetRoles(IConfiguration configuration)
    {
        var text = configuration["Fanfare:Roles"];
        if (string.IsNullOrWhiteSpace(text))
        {
            return new BrokerOptions().Roles;
        }

        return Enum.TryParse<NodeRoles>(text, ignoreCase: true, out var roles) && !int.TryParse(text, CultureInfo.InvariantCulture, out _)
            && roles is >= NodeRoles.Silo and <= (NodeRoles.Silo | NodeRoles.Gateway)
            ? roles
            : throw new GatewayStartException("Fanfare:Roles (--roles) must be Silo, Gateway or Silo,Gateway.");
    }

    /// <summary>Adds the cluster to a node.</summary>
    public static void Add(WebApplicationBuilder builder)
    {
        var roles = GetRoles(builder.Configuration);
        var services = builder.Services;
        ((IConfigurationBuilder)builder.Configuration).Sources.Insert(0, new MemoryConfigurationSource { InitialData = s_logLevels });
        var section = builder.Configuration.GetSection("Fanfare");
        services.AddOptions<BrokerOptions>().Bind(section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<BrokerOptions>, BrokerOptionsValidator>();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<BrokerMetrics>();
        services.TryAddSingleton<LocalChannels>();
        services.TryAddSingleton<LocalGateway>();
        services.AddHostedService<MemoryRelease>();
        AddRedisConnections(builder);

        if (roles.HasFlag(NodeRoles.Silo))
        {
            AddSilo(builder);
        }
        else
        {
            AddClient(builder);
        }

        if (roles.HasFlag(NodeRoles.Gateway))
        {
            AddGateway(services);
        }
    }

    private static void AddSilo(WebApplicationBuilder builder)
    {
        builder.UseOrleans(silo =>
        {
            if (!builder.Configuration.GetSection("Orleans:Clustering").Exists())
            {
                silo.UseLocalhostClustering();
            }

            if (!builder.Configuration.GetSection("Orleans:GrainStorage").Exists())
            {
                silo.AddMemoryGrainStorageAsDefault();
            }

            ConfigureSilo(silo);
        });
        builder.Services.AddHealthChecks().AddCheck<SiloHealthCheck>("silo");
    }

    /// <summary>Adds what grains of ours need of a silo, whatever it clusters and stores with.</summary>
    internal static void ConfigureSilo(ISiloBuilder silo)
    {
        var services = silo.Services;
        silo.AddGrainService<SiloService>();
        silo.AddPlacementDirector<SiloPlacement, SiloPlacementDirector>();
        services.Configure<ClusterMembershipOptions>(options =>
        {
            options.ProbeTimeout = s_probeTimeout;
            options.TableRefreshTimeout = s_tableInterval;
            options.IAmAliveTablePublishTimeout = s_tableInterval;
            // A silo that asks another one to probe for it gives it as much time as it has itself, so that a silo that does not even
            // refuse connections is never confirmed dead. Instead two silos must find it dead; where there are two in all, the other one.
            options.EnableIndirectProbes = false;
            options.NumVotesForDeathDeclaration = 2;
        });
        services.Configure<GrainDirectoryOptions>(options => options.CacheSize = DirectoryCacheCount);
        services.Configure<GrainCollectionOptions>(options => options.CollectionQuantum = TimeSpan.FromSeconds(30));
        services.AddOptions<RedisStorageOptions>("Default").Configure<Serializer>((options, serializer) =>
        {
            options.GrainStorageSerializer = new OrleansGrainStorageSerializer(serializer);
            options.DeleteStateOnClear = true;
            options.EntryExpiry = s_storedLifetime;
        });
        services.AddSingleton<SiloEnd>();
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(provider => provider.GetRequiredService<SiloEnd>());
        services.AddSingleton<SiloBroadcast>();
        services.AddSingleton<GatewayRegistry>();
        services.AddSingleton<InterestCache>();
        services.TryAddSingleton<LocalChannels>();
        services.TryAddSingleton<LocalGateway>();
        services.TryAddSingleton<BrokerMetrics>();
    }

    private static void AddClient(WebApplicationBuilder builder)
    {
        builder.Services.AddOrleansClient(GetClientConfiguration(builder.Configuration), client =>
        {
            if (!builder.Configuration.GetSection("Orleans:Clustering").Exists())
            {
                client.UseLocalhostClustering();
            }

            client.UseConnectionRetryFilter(async (_, cancellationToken) =>
            {
                // The cluster may start after its gateways; they wait for it.
                await Task.Delay(s_connectRetryDelay, cancellationToken);
                return true;
            });
        });
        builder.Services.Configure<GatewayListOptions>(options => options.GatewayListRefreshPeriod = s_gatewayListInterval);
    }

    // Silos and gateways may be given the same settings, but Orleans refuses a client that is told of storage.
    private static IConfigurationRoot GetClientConfiguration(ConfigurationManager configuration) => new ConfigurationBuilder()
        .AddInMemoryCollection(configuration.GetSection("Orleans").AsEnumerable().Where(setting =>
            !setting.Key.StartsWith("Orleans:GrainStorage", StringComparison.OrdinalIgnoreCase)))
        .Build();

    private static void AddGateway(IServiceCollection services)
    {
        services.AddSingleton<GatewayLease>();
        services.AddSingleton<ChannelLocations>();
        services.AddHostedService(provider => provider.GetRequiredService<GatewayLease>());
        services.Replace(ServiceDescriptor.Singleton<IBackplane, OrleansBackplane>());
        services.AddHealthChecks().AddCheck<LeaseHealthCheck>("lease");
    }

    // Orleans asks for the connection under the name that its section gives, as Aspire's own integration would register it.
    private static void AddRedisConnections(WebApplicationBuilder builder)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var provider in GetProviders(builder.Configuration))
        {
            if (provider["ServiceKey"] is { Length: > 0 } name && string.Equals(provider["ProviderType"], "Redis", StringComparison.OrdinalIgnoreCase))
            {
                names.Add(name);
            }
        }

        foreach (var name in names)
        {
            var connectionString = builder.Configuration.GetConnectionString(name);
            if (string.IsNullOrWhiteSpace(connectionString))
            {
                throw new GatewayStartException($"ConnectionStrings:{name} is missing; the section Orleans refers to it.");
            }

            builder.Services.AddKeyedSingleton<IConnectionMultiplexer>(name, (_, _) => Connect(name, connectionString));
        }
    }

    private static IEnumerable<IConfigurationSection> GetProviders(IConfiguration configuration) =>
        configuration.GetSection("Orleans:GrainStorage").GetChildren().Append(configuration.GetSection("Orleans:Clustering"));

    private static ConnectionMultiplexer Connect(string name, string connectionString)
    {
        ConfigurationOptions options;
        try
        {
            options = ConfigurationOptions.Parse(connectionString);
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // Its message may quote the string, and with it a password.
            throw new GatewayStartException($"ConnectionStrings:{name} is not a Redis connection string, such as 'redis:6379,password=…'.");
        }

        // A Redis that comes later, or comes back, is connected to when it does.
        options.AbortOnConnectFail = false;
        return ConnectionMultiplexer.Connect(options);
    }
}
