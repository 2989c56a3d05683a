using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Registers the mode <c>AWS_IAM</c>.</summary>
internal static class IamServices
{
    /// <summary>Adds the authenticator and what it needs.</summary>
    /// <param name="services">The gateway's services.</param>
    /// <param name="section">The section that <see cref="GatewayOptions"/> is bound to.</param>
    public static IServiceCollection AddIam(this IServiceCollection services, IConfigurationSection section)
    {
        services.AddOptions<GatewayOptions>().Configure(
            options => IamOptionsReader.ReadUsers(section.GetSection(nameof(GatewayOptions.Iam)), options.Iam));
        services.AddSingleton<IValidateOptions<GatewayOptions>, IamOptionsValidator>();
        services.AddSingleton<IamDirectory>();
        services.AddSingleton<SignatureVerifier>();
        services.AddSingleton<IAuthenticator, IamAuthenticator>();
        return services;
    }
}
