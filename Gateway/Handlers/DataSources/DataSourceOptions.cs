using Fanfare.Gateway.Lambda;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>Where the data sources of handlers are and how they are called. Bound to <c>Fanfare:DataSources</c>.</summary>
public sealed class DataSourceOptions
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare:DataSources";

    /// <summary>Gets or sets the access key that requests to AWS services are signed with.</summary>
    /// <value>
    /// Unset by default: nothing is signed, and only services with an address here can be called. Those of
    /// <see cref="LambdaOptions"/> do not count: a session token goes to no more services than it is meant for.
    /// </value>
    public string? AccessKeyId { get; set; }

    /// <summary>Gets or sets the secret that goes with <see cref="AccessKeyId"/>.</summary>
    public string? SecretAccessKey { get; set; }

    /// <summary>Gets or sets the session token of temporary credentials.</summary>
    public string? SessionToken { get; set; }

    /// <summary>Gets or sets the address of DynamoDB, or of what stands for it.</summary>
    /// <value>AWS's own in the table's region by default, where there are credentials.</value>
    public Uri? DynamoDBEndpoint { get; set; }

    /// <summary>Gets or sets the address of EventBridge, or of what stands for it.</summary>
    /// <value>AWS's own in the bus's region by default, where there are credentials.</value>
    public Uri? EventBridgeEndpoint { get; set; }

    /// <summary>Gets or sets the address of the RDS Data API, or of what stands for it.</summary>
    /// <value>AWS's own in the cluster's region by default, where there are credentials.</value>
    public Uri? RdsDataEndpoint { get; set; }

    /// <summary>Gets or sets the address of Bedrock's runtime, or of what stands for it.</summary>
    /// <value>AWS's own in <see cref="GatewayOptions.Region"/> by default, where there are credentials.</value>
    public Uri? BedrockEndpoint { get; set; }

    /// <summary>Gets or sets how long a call may take, all waiting and all attempts together.</summary>
    /// <value>30 seconds by default; Bedrock has 10 at most.</value>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how many calls of one data source may be under way at a time.</summary>
    /// <value>64 by default.</value>
    public int ConcurrencyMax { get; set; } = 64;

    /// <summary>Gets or sets how many further calls of one data source may wait for their turn; the next one fails at once.</summary>
    /// <value>1,024 by default.</value>
    public int WaitingMax { get; set; } = 1024;

    /// <summary>Gets or sets how many bytes an answer may have.</summary>
    /// <value>6 MiB by default, as much as a function may return.</value>
    public int ResponseBytesMax { get; set; } = 6 * 1024 * 1024;

    /// <summary>Gets what is different for single data sources, by name.</summary>
    public IDictionary<string, DataSourceOverride> Sources { get; } =
        new Dictionary<string, DataSourceOverride>(StringComparer.OrdinalIgnoreCase);

    /// <summary>Adds what is wrong with the options; each message names the key.</summary>
    internal void Validate(ICollection<string> failures)
    {
        if (string.IsNullOrEmpty(AccessKeyId) != string.IsNullOrEmpty(SecretAccessKey))
        {
            failures.Add($"{SectionName}:{nameof(AccessKeyId)} and {SectionName}:{nameof(SecretAccessKey)} go together.");
        }

        RequireAddress(DynamoDBEndpoint, nameof(DynamoDBEndpoint));
        RequireAddress(EventBridgeEndpoint, nameof(EventBridgeEndpoint));
        RequireAddress(RdsDataEndpoint, nameof(RdsDataEndpoint));
        RequireAddress(BedrockEndpoint, nameof(BedrockEndpoint));
        RequireTime(Timeout, nameof(Timeout));
        RequireAtLeast(1, ConcurrencyMax, nameof(ConcurrencyMax));
        RequireAtLeast(0, WaitingMax, nameof(WaitingMax));
        RequireAtLeast(1, ResponseBytesMax, nameof(ResponseBytesMax));
        foreach (var (name, source) in Sources)
        {
            RequireAddress(source.Endpoint, $"{nameof(Sources)}:{name}:{nameof(source.Endpoint)}");
            RequireTime(source.Timeout ?? Timeout, $"{nameof(Sources)}:{name}:{nameof(source.Timeout)}");
            RequireAtLeast(1, source.ConcurrencyMax ?? 1, $"{nameof(Sources)}:{name}:{nameof(source.ConcurrencyMax)}");
        }

        void RequireAddress(Uri? value, string key)
        {
            if (value is not null && !LambdaTarget.IsHttp(value))
            {
                failures.Add($"{SectionName}:{key} must be an http or https address.");
            }
        }

        void RequireTime(TimeSpan value, string key)
        {
            // A publish that waits an hour for its handler is a mistake long before.
            if (value <= TimeSpan.Zero || value > TimeSpan.FromHours(1))
            {
                failures.Add($"{SectionName}:{key} must be a time between 0 and one hour.");
            }
        }

        void RequireAtLeast(int least, int value, string key)
        {
            if (value < least)
            {
                failures.Add($"{SectionName}:{key} must be {least} or more.");
            }
        }
    }
}

/// <summary>What is different for one data source. What is unset is as for the others.</summary>
public sealed class DataSourceOverride
{
    /// <summary>Gets or sets the address, instead of the template's or the service's. Functions have theirs in <see cref="LambdaOptions"/>.</summary>
    public Uri? Endpoint { get; set; }

    /// <summary>Gets or sets the region to sign for, instead of the template's.</summary>
    public string? Region { get; set; }

    /// <summary>Gets or sets how long a call may take.</summary>
    public TimeSpan? Timeout { get; set; }

    /// <summary>Gets or sets how many calls may be under way at a time.</summary>
    public int? ConcurrencyMax { get; set; }
}
