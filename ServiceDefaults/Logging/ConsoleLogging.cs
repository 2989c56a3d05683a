using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Fanfare.ServiceDefaults.Logging;

/// <summary>One line per log entry on the console: text for people, JSON in a container, where a collector reads it.</summary>
/// <remarks>
/// Every default is a configuration value of the lowest priority, so the standard <c>Logging</c> section, from whatever source,
/// overrides each of them by itself.
/// </remarks>
internal static class ConsoleLogging
{
    private const string FormatterNameKey = "Logging:Console:FormatterName";
    private const string TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    public static void Add(IHostApplicationBuilder builder)
    {
        MemoryConfigurationSource defaults = new() { InitialData = GetDefaults(builder.Configuration) };
        builder.Configuration.Sources.Insert(0, defaults);
        builder.Logging.AddConsole();

        // Ours stands in for the provider that AddConsole registers, here and in the host's own defaults.
        foreach (ServiceDescriptor console in builder.Services
            .Where(service => !service.IsKeyedService && service.ImplementationType == typeof(ConsoleLoggerProvider)).ToArray())
        {
            builder.Services.Remove(console);
        }

        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<ILoggerProvider, StartFailureFilter>());
    }

    private static Dictionary<string, string?> GetDefaults(IConfiguration configuration)
    {
        bool inContainer = bool.TryParse(configuration["DOTNET_RUNNING_IN_CONTAINER"], out bool value) && value;
        string formatter = configuration[FormatterNameKey]
            ?? (inContainer ? ConsoleFormatterNames.Json : ConsoleFormatterNames.Simple);
        bool asJson = string.Equals(formatter, ConsoleFormatterNames.Json, StringComparison.OrdinalIgnoreCase);
        return new()
        {
            [FormatterNameKey] = formatter,
            ["Logging:Console:FormatterOptions:SingleLine"] = "true",
            ["Logging:Console:FormatterOptions:UseUtcTimestamp"] = "true",
            // The text formatters put nothing between the time and what follows it; in JSON it is a value of its own.
            ["Logging:Console:FormatterOptions:TimestampFormat"] = asJson ? TimestampFormat : TimestampFormat + " ",
            ["Logging:LogLevel:Microsoft.AspNetCore"] = nameof(LogLevel.Warning),
            ["Logging:LogLevel:Microsoft.Hosting.Lifetime"] = nameof(LogLevel.Warning),
        };
    }
}
