namespace Fanfare.Gateway.Apis;

/// <summary>How a request proves who sent it. Names in templates and the management API are in <see cref="AuthModeNames"/>.</summary>
public enum AuthMode
{
    /// <summary><c>API_KEY</c>: a shared key in <c>x-api-key</c>.</summary>
    ApiKey,

    /// <summary><c>AWS_IAM</c>: a Signature Version 4 signature.</summary>
    AwsIam,

    /// <summary><c>AMAZON_COGNITO_USER_POOLS</c>: a JWT of a Cognito user pool.</summary>
    CognitoUserPools,

    /// <summary><c>OPENID_CONNECT</c>: a JWT of an OpenID Connect provider.</summary>
    OpenIdConnect,

    /// <summary><c>AWS_LAMBDA</c>: an opaque token that an authorizer function judges.</summary>
    AwsLambda,
}

/// <summary>A set of <see cref="AuthMode"/> values. A request needs one of them, never several.</summary>
[Flags]
public enum AuthModes
{
    /// <summary>No mode: every request is refused.</summary>
    None = 0,

    /// <summary><see cref="AuthMode.ApiKey"/>.</summary>
    ApiKey = 1 << AuthMode.ApiKey,

    /// <summary><see cref="AuthMode.AwsIam"/>.</summary>
    AwsIam = 1 << AuthMode.AwsIam,

    /// <summary><see cref="AuthMode.CognitoUserPools"/>.</summary>
    CognitoUserPools = 1 << AuthMode.CognitoUserPools,

    /// <summary><see cref="AuthMode.OpenIdConnect"/>.</summary>
    OpenIdConnect = 1 << AuthMode.OpenIdConnect,

    /// <summary><see cref="AuthMode.AwsLambda"/>.</summary>
    AwsLambda = 1 << AuthMode.AwsLambda,
}

/// <summary>Conversions between a mode, a set of modes and the names of the AppSync API model (<c>AuthorizationType</c>).</summary>
public static class AuthModeNames
{
    private static readonly string[] s_names =
        ["API_KEY", "AWS_IAM", "AMAZON_COGNITO_USER_POOLS", "OPENID_CONNECT", "AWS_LAMBDA"];

    /// <summary>All names, in the order of <see cref="AuthMode"/>.</summary>
    public static IReadOnlyList<string> All => s_names;

    /// <summary>Returns the AppSync name of a mode, such as <c>API_KEY</c>.</summary>
    public static string GetName(AuthMode mode) => s_names[(int)mode];

    /// <summary>Finds the mode with an AppSync name; case matters, as it does there.</summary>
    public static bool TryParse(string? name, out AuthMode mode)
    {
        var index = Array.IndexOf(s_names, name);
        mode = (AuthMode)Math.Max(index, 0);
        return index >= 0;
    }

    /// <summary>Returns the set that holds just this mode.</summary>
    public static AuthModes ToSet(this AuthMode mode) => (AuthModes)(1 << (int)mode);

    /// <summary>Whether the set holds the mode.</summary>
    public static bool Includes(this AuthModes modes, AuthMode mode) => (modes & mode.ToSet()) != 0;
}
