using StackExchange.Redis;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>Puts the Redis backplane in the place of the embedded one.</summary>
internal static class RedisSetup
{
    /// <summary>Adds the backplane, its health check and its metrics.</summary>
    /// <exception cref="GatewayStartException">The connection string is missing or malformed.</exception>
    public static void AddRedisBackplane(this WebApplicationBuilder builder)
    {
        if (typeof(ConnectionMultiplexer).Assembly.GetName().Version is not { Major: 1 })
        {
            // Its handlers run at once and in any order: subscribers would see events out of order.
            throw new GatewayStartException("The backplane redis needs StackExchange.Redis 1.x; this program brings another one.");
        }

        builder.Services.AddSingleton(RedisEndpoint.Parse(builder.Configuration.GetConnectionString("redis")));
        builder.Services.AddSingleton<RedisMetrics>();
        builder.Services.AddSingleton<RedisBackplane>();
        builder.Services.AddSingleton<IBackplane>(provider => provider.GetRequiredService<RedisBackplane>());
        builder.Services.AddHostedService(provider => provider.GetRequiredService<RedisBackplane>());
        builder.Services.AddHealthChecks().AddCheck<RedisBackplane>("backplane");
    }
}
