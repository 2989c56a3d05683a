using Fanfare.Gateway.Backplane.Redis;

namespace Fanfare.Gateway;

/// <summary>What the gateway alone has to say besides <see cref="GatewayOptions"/>: which backplane joins it to others. Bound to <c>Fanfare</c>.</summary>
internal sealed class StandaloneOptions
{
    /// <summary>Gets or sets the backplane: <c>embedded</c> or <c>redis</c>; <c>--backplane</c>.</summary>
    /// <value><c>embedded</c> by default: this gateway stands alone.</value>
    public string Backplane { get; set; } = "embedded";

    /// <summary>Adds the backplane that the configuration names.</summary>
    /// <exception cref="GatewayStartException">There is no such backplane, or it lacks its settings.</exception>
    public static void Configure(WebApplicationBuilder builder)
    {
        var options = new StandaloneOptions();
        builder.Configuration.GetSection(GatewayOptions.SectionName).Bind(options);
        switch (options.Backplane.ToUpperInvariant())
        {
            case "EMBEDDED":
                break;
            case "REDIS":
                builder.AddRedisBackplane();
                break;
            default:
                throw new GatewayStartException("Fanfare:Backplane (--backplane) must be embedded or redis.");
        }
    }
}
