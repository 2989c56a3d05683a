using System.Globalization;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads <c>AWS::AppSync::ApiKey</c> (control-plane facts, 2.3).</summary>
internal sealed class ApiKeyReader(TemplateSet set)
{
    private const int DescriptionLengthMax = 255;

    /// <summary>The year 2001. Anything less is a number of days or a slip, not a date.</summary>
    private const long EpochSecondsMin = 1_000_000_000;

    private static readonly TimeSpan s_defaultLife = TimeSpan.FromDays(7);
    private static readonly TimeSpan s_lifeMax = TimeSpan.FromDays(365);

    /// <summary>What a key must be, since it travels in a header.</summary>
    public const string UsableRule = "must be printable ASCII without spaces";

    /// <summary>Whether a text can be a key.</summary>
    public static bool IsUsable(string value) => value.Length > 0 && value.All(c => c is >= '!' and <= '~');

    /// <summary>Reads a key into the API it belongs to.</summary>
    public void Read(TemplateEvaluator stack, TemplateResource resource, Func<PropertyReader, ApiDraft?> findOwner)
    {
        var properties = PropertyReader.ForResource(
            stack, set.Diagnostics, resource, "ApiId", "Description", "Expires", "ApiKeyId");
        var description = properties.Text("Description", 0, DescriptionLengthMax);
        var expires = ReadExpires(properties);
        if (findOwner(properties) is not { } draft) return;
        if (!draft.Settings.ProvidedModes.Includes(AuthMode.ApiKey))
            properties.Warn("ApiId", "the API has no provider for API_KEY, so this key opens nothing");
        var value = stack.GetKeyValue(resource);
        if (!IsUsable(value)) Error($"the configured key {UsableRule}");
        else if (draft.IssuedKeys.Any(key => key.Value == value)) Error("the configured key is that of another key of the API");
        else draft.AddKey(value, description, expires);

        void Error(string message) => set.Diagnostics.Error(stack.Stack.File, resource.Line, resource.Site, message);
    }

    private DateTimeOffset ReadExpires(PropertyReader properties)
    {
        var now = set.Options.TimeProvider.GetUtcNow();
        var defaultExpires = FloorToHour(now + s_defaultLife);
        if (properties.Text("Expires") is not { } text) return defaultExpires;
        if (!decimal.TryParse(text.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds))
        {
            properties.Error("Expires", $"must be a number of seconds since 1970, found {text.Describe()}");
            return defaultExpires;
        }

        // Templates that CDK made hold a date, and dates pass: a start with dead keys would help nobody.
        if (seconds < EpochSecondsMin)
        {
            properties.Warn(
                "Expires",
                $"{text.Describe()} is no date in seconds since 1970; the key expires {Format(defaultExpires)} instead");
            return defaultExpires;
        }

        var lastExpires = now + s_lifeMax;
        if (seconds > lastExpires.ToUnixTimeSeconds())
        {
            var clamped = FloorToHour(lastExpires);
            properties.Warn(
                "Expires", $"is more than {s_lifeMax.TotalDays} days ahead; the key expires {Format(clamped)} instead");
            return clamped;
        }

        var expires = FloorToHour(DateTimeOffset.FromUnixTimeSeconds((long)seconds));
        if (expires > now) return expires;
        properties.Warn("Expires", $"{Format(expires)} has passed; the key expires {Format(defaultExpires)} instead");
        return defaultExpires;
    }

    private static DateTimeOffset FloorToHour(DateTimeOffset time) =>
        new(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerHour), TimeSpan.Zero);

    private static string Format(DateTimeOffset time) => time.ToString("u", CultureInfo.InvariantCulture);
}
