namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>How tokens of user pools and OpenID providers are verified. Bound to <c>Fanfare:Jwt</c>.</summary>
public sealed class JwtOptions
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare:Jwt";

    /// <summary>Gets or sets how far an issuer's clock and this machine's may be apart, for <c>exp</c>, <c>nbf</c> and <c>iat</c>.</summary>
    /// <value>One minute by default. AppSync's allowance is not documented; 0 to 10 minutes are possible.</value>
    public TimeSpan ClockSkew { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Gets or sets how often the keys of an issuer are fetched again, once a token of it was seen.</summary>
    /// <value>10 minutes by default. A key that the issuer withdraws works for this long at most; a new one works at once.</value>
    public TimeSpan KeysRefreshInterval { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Gets or sets how long the last keys are used while the issuer cannot be reached.</summary>
    /// <value>One day by default, the lifetime of a connection; longer than an issuer's tokens usually live.</value>
    public TimeSpan KeysAgeMax { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Gets or sets how many verified tokens are remembered, so that their next use costs a lookup.</summary>
    /// <value>100,000 by default: the tokens of as many users on one gateway. 0 remembers none.</value>
    public int CachedTokensMax { get; set; } = 100_000;

    /// <summary>Gets or sets how much memory the remembered tokens may take, in bytes.</summary>
    /// <value>256 MiB by default: 100,000 tokens of the kilobyte that Cognito's usually are.</value>
    public long CachedTokenBytesMax { get; set; } = 256 * 1024 * 1024;
}

/// <summary>Where user pools are. Bound to <c>Fanfare:Cognito</c>.</summary>
public sealed class CognitoOptions
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare:Cognito";

    /// <summary>Gets or sets the address of a self-hosted Cognito, such as <c>http://127.0.0.1:9229</c>.</summary>
    /// <value>Unset by default: AWS. Where it is set, the issuer of a pool's tokens is this address, a slash and the pool's id.</value>
    public Uri? Endpoint { get; set; }
}

/// <summary>Checks both kinds of options at the start; each message names the key.</summary>
internal static class JwtOptionsValidator
{
    private static readonly TimeSpan s_clockSkewMax = TimeSpan.FromMinutes(10);

    /// <summary>Adds what is wrong to the failures.</summary>
    public static void Validate(GatewayOptions options, ICollection<string> failures)
    {
        var jwt = options.Jwt;
        if (jwt.ClockSkew < TimeSpan.Zero || jwt.ClockSkew > s_clockSkewMax)
        {
            failures.Add($"{JwtOptions.SectionName}:{nameof(jwt.ClockSkew)} must be a time between 0 and 10 minutes.");
        }

        // Less would press the issuer; timers take no more than 49 days.
        if (jwt.KeysRefreshInterval < TimeSpan.FromSeconds(10) || jwt.KeysRefreshInterval > TimeSpan.FromDays(49))
        {
            failures.Add($"{JwtOptions.SectionName}:{nameof(jwt.KeysRefreshInterval)} must be a time between 10 seconds and 49 days.");
        }

        if (jwt.KeysAgeMax <= jwt.KeysRefreshInterval)
        {
            failures.Add(
                $"{JwtOptions.SectionName}:{nameof(jwt.KeysAgeMax)} must be longer than {nameof(jwt.KeysRefreshInterval)}.");
        }

        if (jwt.CachedTokensMax < 0)
        {
            failures.Add($"{JwtOptions.SectionName}:{nameof(jwt.CachedTokensMax)} must not be negative.");
        }

        if (jwt.CachedTokenBytesMax < 0)
        {
            failures.Add($"{JwtOptions.SectionName}:{nameof(jwt.CachedTokenBytesMax)} must not be negative.");
        }

        if (options.Cognito.Endpoint is { } endpoint
            && (!endpoint.IsAbsoluteUri || endpoint.Scheme is not ("http" or "https")
                || endpoint.Query.Length > 0 || endpoint.Fragment.Length > 0 || endpoint.UserInfo.Length > 0))
        {
            failures.Add($"{CognitoOptions.SectionName}:{nameof(CognitoOptions.Endpoint)} must be an http or https address.");
        }
    }
}
