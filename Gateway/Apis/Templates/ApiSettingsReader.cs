using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>What an <c>AWS::AppSync::Api</c> says itself.</summary>
internal sealed record ApiSettings
{
    /// <summary>An API of which nothing could be read; the load fails anyway.</summary>
    public static readonly ApiSettings Empty = new();

    public string Name { get; init; } = "";

    public string? OwnerContact { get; init; }

    public IReadOnlyList<AuthProvider> AuthProviders { get; init; } = [];

    public AuthModes ConnectionModes { get; init; }

    public AuthModes DefaultPublishModes { get; init; }

    public AuthModes DefaultSubscribeModes { get; init; }

    public ApiLogLevel LogLevel { get; init; }

    public IReadOnlyDictionary<string, string> Tags { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>The modes that a provider serves.</summary>
    public AuthModes ProvidedModes => AuthProviders.Aggregate(AuthModes.None, (modes, provider) => modes | provider.Mode.ToSet());
}

/// <summary>Reads the properties of <c>AWS::AppSync::Api</c> (control-plane facts, 2.1).</summary>
internal sealed partial class ApiSettingsReader(TemplateSet set)
{
    /// <summary>Reads an API, and notes what is wrong with it.</summary>
    public ApiSettings Read(ApiIdentity api)
    {
        var properties = PropertyReader.ForResource(
            api.Stack, set.Diagnostics, api.Resource, "Name", "OwnerContact", "EventConfig", "Tags");
        var settings = new ApiSettings
        {
            Name = properties.Text("Name", 1, 50, NamePattern(), "letters, digits, '_', '-' and spaces", isRequired: true) ?? "",
            OwnerContact = properties.Text("OwnerContact", 1, 250, OwnerPattern(), "letters, digits, spaces and '_-.@+'"),
            Tags = TagReader.Read(properties),
        };
        var config = properties.Object("EventConfig", false,
            "AuthProviders", "ConnectionAuthModes", "DefaultPublishAuthModes", "DefaultSubscribeAuthModes", "LogConfig");
        if (config is null)
        {
            properties.Warn("EventConfig", "is absent, so nothing can connect to this API");
            return settings;
        }

        settings = settings with { AuthProviders = new AuthProviderReader(set).ReadAll(config) };
        var provided = settings.ProvidedModes;
        return settings with
        {
            ConnectionModes = AuthModeReader.Read(config, "ConnectionAuthModes", provided, isRequired: true) ?? AuthModes.None,
            DefaultPublishModes = AuthModeReader.Read(config, "DefaultPublishAuthModes", provided, isRequired: true)
                ?? AuthModes.None,
            DefaultSubscribeModes = AuthModeReader.Read(config, "DefaultSubscribeAuthModes", provided, isRequired: true)
                ?? AuthModes.None,
            LogLevel = ReadLogLevel(config),
        };
    }

    private static ApiLogLevel ReadLogLevel(PropertyReader config)
    {
        if (config.Object("LogConfig", false, "LogLevel", "CloudWatchLogsRoleArn") is not { } log) return ApiLogLevel.None;
        log.Text("CloudWatchLogsRoleArn", isRequired: true);
        var level = log.Word("LogLevel", ["NONE", "ERROR", "INFO", "DEBUG", "ALL"], isRequired: true);
        return level is null ? ApiLogLevel.None : Enum.Parse<ApiLogLevel>(level, ignoreCase: true);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_\- ]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    // The documentation leaves '@' out, the service takes e-mail addresses.
    [GeneratedRegex(@"\A[A-Za-z0-9_\- .@+]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex OwnerPattern();
}

/// <summary>Reads a list of <c>{AuthType}</c>.</summary>
internal static class AuthModeReader
{
    /// <summary>Reads a list of modes; each must have a provider.</summary>
    /// <returns>The modes, or <see langword="null"/> where the list is absent, empty or wrong.</returns>
    public static AuthModes? Read(PropertyReader properties, string name, AuthModes provided, bool isRequired = false)
    {
        if (properties.List(name, isRequired) is not { } items) return null;
        if (items.Count == 0)
        {
            if (isRequired) properties.Warn(name, "is empty, so no mode is allowed");
            return null;
        }

        var modes = AuthModes.None;
        foreach (var item in items)
        {
            if (properties.Object(item, "AuthType") is not { } entry || ReadType(entry) is not { } mode) continue;
            modes |= mode.ToSet();
            if (!provided.Includes(mode))
                entry.Error("AuthType", $"{AuthModeNames.GetName(mode)} has no entry in the API's AuthProviders");
        }

        return modes;
    }

    /// <summary>Reads the property <c>AuthType</c>.</summary>
    public static AuthMode? ReadType(PropertyReader properties)
    {
        var word = properties.Word("AuthType", [.. AuthModeNames.All], isRequired: true);
        return AuthModeNames.TryParse(word, out var mode) ? mode : null;
    }
}
