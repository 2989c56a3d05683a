using Fanfare.Gateway.Authorization.Iam;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Handlers.DataSources;
using Fanfare.Gateway.Lambda;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway;

/// <summary>How this process runs, and what AWS would hold elsewhere. Bound to <c>Fanfare</c>; a key that no property has stops the start.</summary>
public sealed class GatewayOptions
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare";

    /// <summary>Gets or sets the folder that holds what must survive a restart; <c>--data</c>.</summary>
    /// <value><c>./.fanfare</c> by default.</value>
    public string Data { get; set; } = "./.fanfare";

    /// <summary>Gets the CloudFormation templates or CDK output folders to load; <c>--template</c>.</summary>
    /// <value>None by default: one API with a namespace <c>default</c> and an API key.</value>
    public IList<string> Templates { get; } = [];

    /// <summary>Gets or sets the API key of the default API; <c>--api-key</c>.</summary>
    /// <value>Unset by default: a key is made once and kept in the data folder.</value>
    public string? ApiKey { get; set; }

    /// <summary>Gets or sets the address by which clients reach this gateway, such as <c>https://events.example.com</c>.</summary>
    /// <value>Unset by default: the address listened on. It is what <c>Dns.Http</c> and the printed addresses are made of.</value>
    public Uri? PublicUrl { get; set; }

    /// <summary>Gets or sets the region in ARNs and <c>AWS::Region</c>.</summary>
    /// <value><c>us-east-1</c> by default.</value>
    public string Region { get; set; } = "us-east-1";

    /// <summary>Gets or sets the account in ARNs and <c>AWS::AccountId</c>: 12 digits.</summary>
    /// <value><c>000000000000</c> by default.</value>
    public string AccountId { get; set; } = "000000000000";

    /// <summary>Gets values of template parameters by name.</summary>
    public IDictionary<string, string> Parameters { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Gets values that <c>Fn::ImportValue</c> finds by name, besides the exports of the loaded templates.</summary>
    public IDictionary<string, string> Exports { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Gets what stands for a resource that this process does not create: values by attribute (<c>Ref</c>, <c>Arn</c>, …) by logical id.</summary>
    public IDictionary<string, Dictionary<string, string>> Resources { get; } =
        new Dictionary<string, Dictionary<string, string>>(StringComparer.Ordinal);

    /// <summary>Gets who may sign requests in the mode <c>AWS_IAM</c>.</summary>
    public IamOptions Iam { get; } = new();

    /// <summary>Gets or sets how long a stop may take; connections are closed and requests finished in that time.</summary>
    /// <value>30 seconds by default.</value>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets over how much of a stop the closing of connections is spread, so that not all clients reconnect at once.</summary>
    /// <value>Zero by default: all are closed at once. Less than <see cref="ShutdownTimeout"/>.</value>
    public TimeSpan DrainTime { get; set; }

    /// <summary>Gets the limits of messages, connections and channels.</summary>
    public GatewayLimits Limits { get; } = new();

    /// <summary>Gets how tokens of user pools and OpenID providers are verified.</summary>
    public JwtOptions Jwt { get; } = new();

    /// <summary>Gets where user pools are.</summary>
    public CognitoOptions Cognito { get; } = new();

    /// <summary>Gets where functions are and how they are called.</summary>
    public LambdaOptions Lambda { get; } = new();

    /// <summary>Gets where the data sources of handlers are and how they are called.</summary>
    public DataSourceOptions DataSources { get; } = new();

    /// <summary>Gets how event handlers run.</summary>
    public HandlerOptions Handlers { get; } = new();
}

/// <summary>Checks the options at the start; each message names the key.</summary>
internal sealed class GatewayOptionsValidator : IValidateOptions<GatewayOptions>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, GatewayOptions options)
    {
        var limits = options.Limits;
        var failures = new List<string>();
        RequirePositive(limits.EventsPerPublishMax, nameof(limits.EventsPerPublishMax));
        RequirePositive(limits.EventBytesMax, nameof(limits.EventBytesMax));
        RequirePositive(limits.PublishBytesMax, nameof(limits.PublishBytesMax));
        RequirePositive(limits.MessageBytesMax, nameof(limits.MessageBytesMax));
        RequirePositive(limits.ChannelSegmentsMax, nameof(limits.ChannelSegmentsMax));
        RequirePositive(limits.SegmentLengthMax, nameof(limits.SegmentLengthMax));
        RequirePositive(limits.SubscriptionsPerConnectionMax, nameof(limits.SubscriptionsPerConnectionMax));
        RequirePositive(limits.PendingBytesMax, nameof(limits.PendingBytesMax));
        RequirePositive(limits.PendingBytesTotalMax, nameof(limits.PendingBytesTotalMax));
        RequireNotNegative(limits.ConnectionsMax, nameof(limits.ConnectionsMax));
        RequireNotNegative(limits.PublishesPerSecondPerConnection, nameof(limits.PublishesPerSecondPerConnection));
        RequireNotNegative(limits.ConnectsPerSecond, nameof(limits.ConnectsPerSecond));
        RequireNotNegative(limits.InboundEventsPerSecond, nameof(limits.InboundEventsPerSecond));
        RequireNotNegative(limits.FailedAttemptsPerSecond, nameof(limits.FailedAttemptsPerSecond));
        RequirePositiveTime(limits.ConnectionLifetime, nameof(limits.ConnectionLifetime));
        RequirePositiveTime(limits.KeepAliveInterval, nameof(limits.KeepAliveInterval));
        RequirePositiveTime(limits.ConnectionTimeout, nameof(limits.ConnectionTimeout));
        RequirePositiveTime(limits.RejectionDelay, nameof(limits.RejectionDelay));
        RequirePositiveTime(limits.WriteTimeout, nameof(limits.WriteTimeout));
        RequirePositiveTime(limits.PublishTimeout, nameof(limits.PublishTimeout));
        if (options.ShutdownTimeout <= TimeSpan.Zero)
        {
            failures.Add("Fanfare:ShutdownTimeout must be positive.");
        }
        else if (options.DrainTime < TimeSpan.Zero || options.DrainTime >= options.ShutdownTimeout)
        {
            failures.Add("Fanfare:DrainTime must not be negative, and must be less than Fanfare:ShutdownTimeout.");
        }

        if (options.AccountId.Length != 12 || options.AccountId.AsSpan().ContainsAnyExceptInRange('0', '9'))
        {
            failures.Add("Fanfare:AccountId must be 12 digits.");
        }

        if (options.PublicUrl is { } url && (!url.IsAbsoluteUri || url.Scheme is not ("http" or "https") || url.PathAndQuery != "/"))
        {
            failures.Add("Fanfare:PublicUrl must be an http or https address without a path.");
        }

        // The key travels in headers and in printed commands, so it is kept to characters that need no quoting there.
        if (options.ApiKey is { } key && !IsHeaderSafe(key))
        {
            failures.Add("Fanfare:ApiKey (--api-key) must be 8 to 200 letters, digits, dots, hyphens or underscores.");
        }

        JwtOptionsValidator.Validate(options, failures);
        options.Lambda.Validate(failures);
        options.DataSources.Validate(failures);
        options.Handlers.Validate(failures);
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void RequirePositive(long value, string key)
        {
            if (value <= 0)
            {
                failures.Add($"{GatewayLimits.SectionName}:{key} must be positive.");
            }
        }

        void RequireNotNegative(long value, string key)
        {
            if (value < 0)
            {
                failures.Add($"{GatewayLimits.SectionName}:{key} must not be negative.");
            }
        }

        void RequirePositiveTime(TimeSpan value, string key)
        {
            // Timers take no more than 49 days.
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(49))
            {
                failures.Add($"{GatewayLimits.SectionName}:{key} must be a time between 0 and 49 days.");
            }
        }
    }

    private static bool IsHeaderSafe(string key) =>
        key.Length is >= 8 and <= 200 && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
}
