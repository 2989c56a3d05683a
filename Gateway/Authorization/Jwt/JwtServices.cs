using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>Registers what the modes of tokens need.</summary>
internal static class JwtServices
{
    /// <summary>Adds both authenticators.</summary>
    public static void AddJwtAuthenticators(this IServiceCollection services)
    {
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<GatewayOptions>>().Value.Jwt);
        services.AddSingleton<TokenCache>();
        services.AddSingleton<KeyFetcher>();
        services.AddSingleton<KeySources>();
        services.AddSingleton<TokenVerification>();
        services.AddSingleton<IAuthenticator, CognitoAuthenticator>();
        services.AddSingleton<IAuthenticator, OidcAuthenticator>();
    }
}
