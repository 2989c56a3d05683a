namespace Fanfare.Gateway.Apis;

/// <summary>One entry of an API's <c>AuthProviders</c>: a mode, with the settings that mode needs.</summary>
/// <remarks>Shapes follow <c>AWS::AppSync::Api</c> <c>AuthProvider</c>. At most one settings object is present.</remarks>
public sealed record AuthProvider
{
    /// <summary>The mode that this provider serves.</summary>
    public required AuthMode Mode { get; init; }

    /// <summary>The user pool; present exactly for <see cref="AuthMode.CognitoUserPools"/>.</summary>
    public CognitoSettings? Cognito { get; init; }

    /// <summary>The OpenID provider; present exactly for <see cref="AuthMode.OpenIdConnect"/>.</summary>
    public OpenIdConnectSettings? OpenIdConnect { get; init; }

    /// <summary>The authorizer function; present exactly for <see cref="AuthMode.AwsLambda"/>.</summary>
    public LambdaAuthorizerSettings? LambdaAuthorizer { get; init; }
}

/// <summary><c>CognitoConfig</c>: which pool's tokens count.</summary>
public sealed record CognitoSettings
{
    /// <summary>The pool's id, such as <c>eu-west-1_Ab12Cd34E</c>.</summary>
    public required string UserPoolId { get; init; }

    /// <summary>The pool's region; with the id it gives the issuer.</summary>
    public required string AwsRegion { get; init; }

    /// <summary>A regular expression on the token's client id; <see langword="null"/> admits every client of the pool.</summary>
    public string? AppIdClientRegex { get; init; }
}

/// <summary><c>OpenIDConnectConfig</c>: which issuer's tokens count.</summary>
public sealed record OpenIdConnectSettings
{
    /// <summary>The issuer, equal to the token's <c>iss</c> to the letter.</summary>
    public required string Issuer { get; init; }

    /// <summary>A regular expression on client id or audience; <see langword="null"/> admits all.</summary>
    public string? ClientId { get; init; }

    /// <summary>The greatest age since <c>iat</c> in milliseconds; 0 means no check.</summary>
    public long IatTtlMilliseconds { get; init; }

    /// <summary>The greatest age since <c>auth_time</c> in milliseconds; 0 means no check.</summary>
    public long AuthTtlMilliseconds { get; init; }
}

/// <summary><c>LambdaAuthorizerConfig</c>: which function decides.</summary>
public sealed record LambdaAuthorizerSettings
{
    /// <summary>The ARN of the function, a version or an alias.</summary>
    public required string AuthorizerUri { get; init; }

    /// <summary>How long an answer may be reused, in seconds, 0 to 3,600; 0 means never.</summary>
    public int ResultTtlSeconds { get; init; }

    /// <summary>A regular expression that the token must match before the function is called, or <see langword="null"/>.</summary>
    public string? IdentityValidationExpression { get; init; }
}
