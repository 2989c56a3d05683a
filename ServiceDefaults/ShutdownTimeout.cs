using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Fanfare.ServiceDefaults;

/// <summary>How long the host may take to stop, from <c>Fanfare:ShutdownTimeout</c>.</summary>
internal sealed class ShutdownTimeout
{
    public const string Key = "Fanfare:ShutdownTimeout";

    /// <summary>30 seconds: what Kubernetes grants a pod between its request to stop and its end.</summary>
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(30);

    /// <summary>One day. A bare number is read as days, so this bound also refuses a <c>30</c> that meant seconds.</summary>
    private static readonly TimeSpan s_max = TimeSpan.FromDays(1);

    public static void Add(IServiceCollection services)
    {
        services.AddOptions<ShutdownTimeout>()
            .Validate<IConfiguration>(
                (_, configuration) => TryRead(configuration, out TimeSpan _),
                $"{Key} must be a time such as 00:00:30, above zero and below one day.")
            .ValidateOnStart();

        // The host reads its options when it is built; a wrong value is left for the validation above, which runs at the start.
        services.AddOptions<HostOptions>().Configure<IConfiguration>((options, configuration) =>
            options.ShutdownTimeout = TryRead(configuration, out TimeSpan timeout) ? timeout : Default);
    }

    private static bool TryRead(IConfiguration configuration, out TimeSpan timeout)
    {
        string? text = configuration[Key];
        if (string.IsNullOrWhiteSpace(text))
        {
            timeout = Default;
            return true;
        }

        return TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out timeout) && timeout > TimeSpan.Zero && timeout < s_max;
    }
}
