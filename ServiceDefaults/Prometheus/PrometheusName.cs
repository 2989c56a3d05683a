using System.Text;

namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>Turns OpenTelemetry names and units into Prometheus names.</summary>
/// <remarks>Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".</remarks>
internal static class PrometheusName
{
    private static readonly Dictionary<string, string> s_units = new()
    {
        ["d"] = "days", ["h"] = "hours", ["min"] = "minutes", ["s"] = "seconds", ["ms"] = "milliseconds",
        ["us"] = "microseconds", ["ns"] = "nanoseconds",
        ["By"] = "bytes", ["KiBy"] = "kibibytes", ["MiBy"] = "mebibytes", ["GiBy"] = "gibibytes", ["TiBy"] = "tibibytes",
        ["KBy"] = "kilobytes", ["MBy"] = "megabytes", ["GBy"] = "gigabytes", ["TBy"] = "terabytes",
        ["Hz"] = "hertz", ["Cel"] = "celsius", ["%"] = "percent", ["m"] = "meters", ["g"] = "grams",
        ["V"] = "volts", ["A"] = "amperes", ["J"] = "joules", ["W"] = "watts",
    };

    private static readonly Dictionary<string, string> s_perUnits = new()
    {
        ["s"] = "second", ["min"] = "minute", ["h"] = "hour", ["d"] = "day", ["wk"] = "week", ["mo"] = "month", ["a"] = "year",
    };

    /// <summary>Names an instrument's metric.</summary>
    /// <example><c>fanfare.send.duration</c> in <c>s</c> becomes <c>fanfare_send_duration_seconds</c>.</example>
    public static string ForInstrument(string name, string? unit, InstrumentKind kind)
    {
        const string TotalSuffix = "_total";
        string metric = Sanitize(name);
        if (kind == InstrumentKind.Counter && metric.EndsWith(TotalSuffix, StringComparison.Ordinal))
            metric = metric[..^TotalSuffix.Length];

        string unitWord = GetUnitWord(unit, kind);
        if (unitWord.Length > 0 && metric != unitWord && !metric.EndsWith("_" + unitWord, StringComparison.Ordinal))
            metric = $"{metric}_{unitWord}";
        return kind == InstrumentKind.Counter ? metric + TotalSuffix : metric;
    }

    /// <summary>Names a label: letters, digits and single underscores, not beginning with a digit.</summary>
    public static string ForLabel(string? key)
    {
        string label = Sanitize(key);

        // A histogram's buckets own this one; Prometheus renames a clash the same way.
        return label == "le" ? "exported_le" : label;
    }

    private static string GetUnitWord(string? unit, InstrumentKind kind)
    {
        string plain = DropAnnotations(unit);
        if (plain.Length == 0)
            return "";
        if (plain == "1")
            return kind == InstrumentKind.Gauge ? "ratio" : "";

        int slash = plain.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
            return TrimmedWord(s_units, plain);

        string counted = plain[..slash];
        string per = TrimmedWord(s_perUnits, plain[(slash + 1)..]);
        string word = counted is "" or "1" ? "" : TrimmedWord(s_units, counted);
        return per.Length == 0 ? word : word.Length == 0 ? "per_" + per : $"{word}_per_{per}";

        static string TrimmedWord(Dictionary<string, string> words, string symbol) =>
            words.TryGetValue(symbol, out string? word) ? word : symbol.Length == 0 ? "" : Sanitize(symbol).Trim('_');
    }

    // "{connection}" and "{event}/s": what is in braces describes and does not count.
    private static string DropAnnotations(string? unit)
    {
        StringBuilder plain = new();
        int depth = 0;
        foreach (char character in unit ?? "")
        {
            if (character == '{')
                depth++;
            else if (character == '}')
                depth--;
            else if (depth == 0)
                plain.Append(character);
        }

        return plain.ToString().Trim();
    }

    private static string Sanitize(string? name)
    {
        if (string.IsNullOrEmpty(name))
            return "_";

        StringBuilder sanitized = new(name.Length + 1);
        if (char.IsAsciiDigit(name[0]))
            sanitized.Append('_');
        foreach (char character in name)
        {
            char allowed = char.IsAsciiLetterOrDigit(character) ? character : '_';
            if (allowed != '_' || sanitized.Length == 0 || sanitized[^1] != '_')
                sanitized.Append(allowed);
        }

        return sanitized.ToString();
    }
}
