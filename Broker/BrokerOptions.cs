using Microsoft.Extensions.Options;

namespace Fanfare.Broker;

/// <summary>What a node of the cluster does.</summary>
[Flags]
public enum NodeRoles
{
    /// <summary>Nothing; not a valid setting.</summary>
    None = 0,

    /// <summary>Holds channels.</summary>
    Silo = 1,

    /// <summary>Holds clients' connections.</summary>
    Gateway = 2,
}

/// <summary>The cluster's settings, bound to <c>Fanfare</c> beside those of the gateway.</summary>
public sealed class BrokerOptions
{
    /// <summary>Gets or sets what this node does: <c>Silo</c>, <c>Gateway</c> or <c>Silo,Gateway</c>; <c>--roles</c>.</summary>
    /// <value>Both by default.</value>
    public NodeRoles Roles { get; set; } = NodeRoles.Silo | NodeRoles.Gateway;

    /// <summary>Gets how gateways deal with the cluster.</summary>
    public BrokerClusterOptions Cluster { get; } = new();
}

/// <summary>How a gateway deals with the cluster.</summary>
public sealed class BrokerClusterOptions
{
    /// <summary>Gets or sets how long a gateway that is not heard of counts as alive. It renews its lease three times as often.</summary>
    /// <value>30 seconds by default.</value>
    public TimeSpan LeaseTime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long a publish is tried again while silos die and others take over, before it is refused.</summary>
    /// <value>25 seconds by default: longer than it takes to find a silo dead and to move its channels.</value>
    public TimeSpan PublishTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>Gets or sets how many bytes of publishes may wait in a gateway for the cluster, before further ones are refused.</summary>
    /// <value>64 MiB by default.</value>
    public long PendingBytesMax { get; set; } = 64 * 1024 * 1024;
}

/// <summary>Checks the options at the start; each message names the key. The roles are checked before, since all else depends on them.</summary>
internal sealed class BrokerOptionsValidator : IValidateOptions<BrokerOptions>
{
    private static readonly TimeSpan s_leaseTimeMin = TimeSpan.FromSeconds(3);

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, BrokerOptions options)
    {
        var failures = new List<string>();
        if (options.Cluster.LeaseTime < s_leaseTimeMin)
        {
            failures.Add("Fanfare:Cluster:LeaseTime must be at least 3 seconds.");
        }

        if (options.Cluster.PublishTimeout <= TimeSpan.Zero)
        {
            failures.Add("Fanfare:Cluster:PublishTimeout must be positive.");
        }

        if (options.Cluster.PendingBytesMax <= 0)
        {
            failures.Add("Fanfare:Cluster:PendingBytesMax must be positive.");
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
