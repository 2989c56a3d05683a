using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>Prints tags as labels. Runs once per series, not once per measurement.</summary>
internal static class PrometheusLabels
{
    /// <summary>Prints the tags of a measurement with those of its instrument and meter, sorted by label name.</summary>
    /// <remarks>
    /// The nearer tag wins where keys are equal. Where different keys become one label, their values are joined with <c>;</c> in
    /// the order of the keys, as the OpenTelemetry specification asks.
    /// </remarks>
    public static string Format(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        SortedDictionary<string, object?> byKey = new(StringComparer.Ordinal);
        foreach (KeyValuePair<string, object?> tag in instrument.Meter.Tags ?? [])
            byKey[tag.Key ?? ""] = tag.Value;
        foreach (KeyValuePair<string, object?> tag in instrument.Tags ?? [])
            byKey[tag.Key ?? ""] = tag.Value;
        foreach (KeyValuePair<string, object?> tag in tags)
            byKey[tag.Key ?? ""] = tag.Value;

        SortedDictionary<string, string> labels = new(StringComparer.Ordinal);
        foreach ((string key, object? value) in byKey)
        {
            string label = PrometheusName.ForLabel(key);
            labels[label] = labels.TryGetValue(label, out string? other) ? $"{other};{GetText(value)}" : GetText(value);
        }

        StringBuilder text = new();
        foreach ((string label, string value) in labels)
        {
            text.Append(text.Length > 0 ? "," : "").Append(label).Append("=\"");
            AppendEscaped(text, value);
            text.Append('"');
        }

        return text.ToString();
    }

    private static string GetText(object? value) => value switch
    {
        true => "true",
        false => "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    private static void AppendEscaped(StringBuilder text, string value)
    {
        foreach (char character in value)
        {
            _ = character switch
            {
                '\\' => text.Append(@"\\"),
                '"' => text.Append("\\\""),
                '\n' => text.Append(@"\n"),
                _ => text.Append(character),
            };
        }
    }
}
