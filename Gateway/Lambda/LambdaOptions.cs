namespace Fanfare.Gateway.Lambda;

/// <summary>Where functions are and how they are called. Bound to <c>Fanfare:Lambda</c>.</summary>
public sealed class LambdaOptions
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare:Lambda";

    /// <summary>Gets or sets the base address of a server that speaks the Lambda Invoke API, for functions without an address of their own.</summary>
    /// <value>Unset by default: such functions cannot be called.</value>
    public Uri? Endpoint { get; set; }

    /// <summary>Gets or sets the addresses of functions by name or ARN.</summary>
    /// <remarks>
    /// The section itself rather than a dictionary, because an ARN holds the separator of configuration keys and so arrives
    /// as a path; <see cref="LambdaTargets"/> puts it together again.
    /// </remarks>
    public IConfigurationSection? Functions { get; set; }

    /// <summary>Gets or sets the access key that requests are signed with; unset for no signature.</summary>
    public string? AccessKeyId { get; set; }

    /// <summary>Gets or sets the secret that goes with <see cref="AccessKeyId"/>.</summary>
    public string? SecretAccessKey { get; set; }

    /// <summary>Gets or sets the session token of temporary credentials.</summary>
    public string? SessionToken { get; set; }

    /// <summary>Gets or sets how long an authorizer function may take, all attempts together.</summary>
    /// <value>10 seconds by default, as on AppSync.</value>
    public TimeSpan AuthorizerTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Adds what is wrong with the options; each message names the key.</summary>
    internal void Validate(ICollection<string> failures)
    {
        if (Endpoint is { } endpoint && !LambdaTarget.IsHttp(endpoint))
        {
            failures.Add($"{SectionName}:{nameof(Endpoint)} must be an http or https address.");
        }

        if (string.IsNullOrEmpty(AccessKeyId) != string.IsNullOrEmpty(SecretAccessKey))
        {
            failures.Add($"{SectionName}:{nameof(AccessKeyId)} and {SectionName}:{nameof(SecretAccessKey)} go together.");
        }

        // Timers take no more than 49 days; a request that waits an hour for its authorizer is a mistake long before.
        if (AuthorizerTimeout <= TimeSpan.Zero || AuthorizerTimeout > TimeSpan.FromHours(1))
        {
            failures.Add($"{SectionName}:{nameof(AuthorizerTimeout)} must be a time between 0 and one hour.");
        }

        LambdaTargets.Read(Functions, failures);
    }
}
