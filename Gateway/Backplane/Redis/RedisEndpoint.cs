using StackExchange.Redis;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>Where Redis is, from a connection string. Holds a password: not for logs.</summary>
internal sealed class RedisEndpoint
{
    /// <summary>The setting that holds the connection string.</summary>
    public const string Key = "ConnectionStrings:redis";

    private RedisEndpoint(ConfigurationOptions options, string namePrefix) => (Options, NamePrefix) = (options, namePrefix);

    /// <summary>How to connect.</summary>
    public ConfigurationOptions Options { get; }

    /// <summary>What all names in Redis begin with.</summary>
    public string NamePrefix { get; }

    /// <summary>Reads a connection string in the client library's form, such as <c>redis.example.com:6379,password=…,ssl=true</c>.</summary>
    /// <exception cref="GatewayStartException">It is missing or malformed. The message does not repeat it.</exception>
    public static RedisEndpoint Parse(string? connectionString)
    {
        if (string.IsNullOrWhiteSpace(connectionString))
        {
            throw new GatewayStartException($"{Key} is missing: the backplane redis needs an address such as localhost:6379.");
        }

        ConfigurationOptions options;
        try
        {
            options = ConfigurationOptions.Parse(connectionString);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or OverflowException)
        {
            throw Malformed();
        }

        if (options.EndPoints.Count == 0 || connectionString.Contains("://", StringComparison.Ordinal))
        {
            throw Malformed();
        }

        // Sessions are opened and given up by the backplane; see RedisSession for why the library does not reconnect on its own.
        options.AbortOnConnectFail = true;
        options.ConnectRetry = 1;
        options.ClientName ??= "fanfare-gateway";
        // The library's own messages to its other clients, of which there are none.
        options.ConfigurationChannel = "";
        options.TieBreaker = "";
        // Added to names here, because the library leaves those in scripts alone.
        var namePrefix = RedisMessage.GetNamePrefix(options.ChannelPrefix);
        options.ChannelPrefix = default;
        return new RedisEndpoint(options, namePrefix);
    }

    private static GatewayStartException Malformed() => new(
        $"{Key} is not a Redis connection string such as localhost:6379 or redis.example.com:6380,ssl=true,password=…");
}
