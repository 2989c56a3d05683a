namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads <c>AuthProviders</c>: each entry a mode and, for three of the modes, a block of settings.</summary>
internal sealed class AuthProviderReader(TemplateSet set)
{
    private const int CountMax = 50;
    private const int ResultTtlSecondsMax = 3600;
    private const string CognitoBlock = "CognitoConfig";
    private const string OpenIdConnectBlock = "OpenIDConnectConfig";
    private const string LambdaBlock = "LambdaAuthorizerConfig";

    /// <summary>Reads the list, and notes what is wrong with it.</summary>
    public IReadOnlyList<AuthProvider> ReadAll(PropertyReader config)
    {
        if (config.List("AuthProviders", isRequired: true) is not { } items) return [];
        if (items.Count == 0) config.Warn("AuthProviders", "is empty, so nothing can connect to this API");
        if (items.Count > CountMax) config.Error("AuthProviders", $"may hold {CountMax} providers, found {items.Count}");
        var providers = new List<AuthProvider>();
        foreach (var item in items)
        {
            var entry = config.Object(item, "AuthType", CognitoBlock, OpenIdConnectBlock, LambdaBlock);
            if (entry is null || AuthModeReader.ReadType(entry) is not { } mode) continue;
            var isRepeated = providers.Any(provider => provider.Mode == mode);
            if (isRepeated && mode == AuthMode.AwsLambda)
                entry.Error("AuthType", "an API has one Lambda authorizer at most, and this is the second");
            else if (isRepeated && mode is AuthMode.ApiKey or AuthMode.AwsIam)
                entry.Warn("AuthType", $"{AuthModeNames.GetName(mode)} is listed already; the second entry means nothing");
            else providers.Add(Read(entry, mode));
        }

        return providers;
    }

    private AuthProvider Read(PropertyReader entry, AuthMode mode)
    {
        var block = mode switch
        {
            AuthMode.CognitoUserPools => CognitoBlock,
            AuthMode.OpenIdConnect => OpenIdConnectBlock,
            AuthMode.AwsLambda => LambdaBlock,
            _ => null,
        };
        foreach (var other in (ReadOnlySpan<string>)[CognitoBlock, OpenIdConnectBlock, LambdaBlock])
        {
            if (other != block && entry.Value(other) is not null)
                entry.Warn(other, $"does not belong to {AuthModeNames.GetName(mode)}, ignored");
        }

        return new AuthProvider
        {
            Mode = mode,
            Cognito = mode == AuthMode.CognitoUserPools ? ReadCognito(entry) : null,
            OpenIdConnect = mode == AuthMode.OpenIdConnect ? ReadOpenIdConnect(entry) : null,
            LambdaAuthorizer = mode == AuthMode.AwsLambda ? ReadLambda(entry) : null,
        };

        CognitoSettings? ReadCognito(PropertyReader reader)
        {
            if (reader.Object(CognitoBlock, true, "UserPoolId", "AwsRegion", "AppIdClientRegex") is not { } cognito) return null;
            var id = cognito.Text("UserPoolId", 1, 128, isRequired: true);
            var region = cognito.Text("AwsRegion", 1, 64, isRequired: true);
            var clients = cognito.Pattern("AppIdClientRegex");
            if (id is null || region is null) return null;
            if (set.MadeUpUserPoolIds.Contains(id))
                cognito.Warn(
                    "UserPoolId",
                    $"'{id}' is made up, so no token can match it; configure which real pool the resource stands for");
            return new CognitoSettings { UserPoolId = id, AwsRegion = region, AppIdClientRegex = clients };
        }
    }

    private static OpenIdConnectSettings? ReadOpenIdConnect(PropertyReader entry)
    {
        if (entry.Object(OpenIdConnectBlock, true, "Issuer", "ClientId", "IatTTL", "AuthTTL") is not { } openId) return null;
        var issuer = openId.Text("Issuer", isRequired: true);
        var client = openId.Pattern("ClientId");
        var iatTtl = openId.Integer("IatTTL", 0, long.MaxValue) ?? 0;
        var authTtl = openId.Integer("AuthTTL", 0, long.MaxValue) ?? 0;
        if (issuer is null) return null;
        if (Uri.TryCreate(issuer.Text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https")
        {
            return new OpenIdConnectSettings
            {
                Issuer = issuer.Text,
                ClientId = client,
                IatTtlMilliseconds = iatTtl,
                AuthTtlMilliseconds = authTtl,
            };
        }

        openId.Error("Issuer", $"must be a URL, found {issuer.Describe()}");
        return null;
    }

    private static LambdaAuthorizerSettings? ReadLambda(PropertyReader entry)
    {
        if (entry.Object(
            LambdaBlock, true, "AuthorizerUri", "AuthorizerResultTtlInSeconds", "IdentityValidationExpression") is not { } lambda)
            return null;
        var function = lambda.Text("AuthorizerUri", isRequired: true);
        var ttl = lambda.Integer("AuthorizerResultTtlInSeconds", 0, ResultTtlSecondsMax) ?? 0;
        var expression = lambda.Pattern("IdentityValidationExpression");
        if (function is null) return null;

        // Not a mistake: a made-up value of an unknown resource type is good enough where the function's endpoint is configured.
        if (!function.Text.Contains(":lambda:", StringComparison.Ordinal)
            || !function.Text.Contains(":function:", StringComparison.Ordinal))
            lambda.Warn("AuthorizerUri", $"{function.Describe()} does not look like the ARN of a Lambda function");
        return new LambdaAuthorizerSettings
        {
            AuthorizerUri = function.Text,
            ResultTtlSeconds = (int)ttl,
            IdentityValidationExpression = expression,
        };
    }
}
