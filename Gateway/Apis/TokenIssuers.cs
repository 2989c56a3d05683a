
namespace Fanfare.Gateway.Apis;

/// <summary>The issuers whose tokens an API takes, made of its Cognito and OpenID Connect providers. Immutable, safe for concurrent use.</summary>
internal sealed class TokenIssuers
{
    private readonly TokenIssuer[] _issuers;

    private TokenIssuers(TokenIssuer[] issuers) => _issuers = issuers;

    /// <summary>Whether there are none, so that no credentials can be a token.</summary>
    public bool IsEmpty => _issuers.Length == 0;

    /// <summary>Collects the issuers of an API.</summary>
    /// <param name="providers">The API's providers.</param>
    /// <param name="cognitoEndpoint">What replaces the address of AWS's user pools, or <see langword="null"/>.</param>
    public static TokenIssuers Create(IReadOnlyList<AuthProvider> providers, Uri? cognitoEndpoint)
    {
        // User pools first: where one is also configured as an OpenID provider, its tokens are a user pool's.
        var pools = providers.Where(provider => provider.Cognito is not null)
            .GroupBy(provider => GetIssuer(provider.Cognito!, cognitoEndpoint), StringComparer.Ordinal)
            .Select(group => new TokenIssuer(
                AuthMode.CognitoUserPools, group.Key, cognitoEndpoint is not null,
                [.. group.Select(provider => new TokenProvider(provider.Cognito!.AppIdClientRegex, 0, 0))]));
        var openId = providers.Where(provider => provider.OpenIdConnect is not null)
            .GroupBy(provider => provider.OpenIdConnect!.Issuer, StringComparer.Ordinal)
            .Select(group => new TokenIssuer(
                AuthMode.OpenIdConnect, group.Key, false,
                [.. group.Select(provider => provider.OpenIdConnect!)
                    .Select(settings => new TokenProvider(
                        settings.ClientId, settings.IatTtlMilliseconds, settings.AuthTtlMilliseconds))]));
        return new TokenIssuers([.. pools, .. openId]);
    }

    /// <summary>Finds the issuer that a token names; compared to the letter.</summary>
    public TokenIssuer? Find(string issuer)
    {
        // A handful at most, 50 by AppSync's rules.
        foreach (var candidate in _issuers)
        {
            if (candidate.Issuer == issuer)
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>The <c>iss</c> of a pool's tokens.</summary>
    private static string GetIssuer(CognitoSettings pool, Uri? endpoint)
    {
        if (endpoint is not null)
        {
            return $"{endpoint.AbsoluteUri.TrimEnd('/')}/{pool.UserPoolId}";
        }

        // China is a partition of its own, with a domain of its own.
        var domain = pool.AwsRegion.StartsWith("cn-", StringComparison.Ordinal) ? "amazonaws.com.cn" : "amazonaws.com";
        return $"https://cognito-idp.{pool.AwsRegion}.{domain}/{pool.UserPoolId}";
    }
}

/// <summary>One issuer of tokens, with the providers that name it.</summary>
/// <param name="Mode">The mode that its tokens sign in by.</param>
/// <param name="Issuer">The <c>iss</c> of its tokens.</param>
/// <param name="IsConfiguredEndpoint">Whether the operator set its address, which then may be plain HTTP.</param>
/// <param name="Providers">At least one; a token must satisfy any of them.</param>
internal sealed record TokenIssuer(AuthMode Mode, string Issuer, bool IsConfiguredEndpoint, IReadOnlyList<TokenProvider> Providers);

/// <summary>What one provider asks of an issuer's tokens.</summary>
internal sealed class TokenProvider
{
    private readonly OperatorPattern? _client;

    /// <param name="clientPattern">A regular expression on client ids, or <see langword="null"/> to admit all.</param>
    /// <param name="iatTtlMilliseconds">The greatest age since <c>iat</c>; 0 means no check.</param>
    /// <param name="authTtlMilliseconds">The greatest age since <c>auth_time</c>; 0 means no check.</param>
    public TokenProvider(string? clientPattern, long iatTtlMilliseconds, long authTtlMilliseconds)
    {
        _client = string.IsNullOrEmpty(clientPattern) ? null : new OperatorPattern(clientPattern);
        IatTtlMilliseconds = iatTtlMilliseconds;
        AuthTtlMilliseconds = authTtlMilliseconds;
    }

    /// <summary>The greatest age since <c>iat</c> in milliseconds; 0 means no check.</summary>
    public long IatTtlMilliseconds { get; }

    /// <summary>The greatest age since <c>auth_time</c> in milliseconds; 0 means no check.</summary>
    public long AuthTtlMilliseconds { get; }

    /// <summary>Whether every client is admitted, so that a token need not name one.</summary>
    public bool AdmitsEveryClient => _client is null;

    /// <summary>Whether a client id or audience is admitted.</summary>
    /// <remarks>
    /// The pattern is searched for, not matched as a whole: AppSync's documentation does not say which, and its examples
    /// (<c>web|mobile</c>) work both ways. Write <c>^(web|mobile)$</c> where other clients' ids could contain one of these.
    /// </remarks>
    public bool Admits(string client) => _client is null || _client.IsFoundIn(client);
}
