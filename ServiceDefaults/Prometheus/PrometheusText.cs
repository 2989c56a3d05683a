using System.Globalization;
using System.Text;

namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>Writes the Prometheus text format, version 0.0.4.</summary>
/// <remarks>
/// A metric and a set of labels may appear once in a page, while several instruments may come down to the same: two meters of one
/// name, or tags that print alike. Their sums and distributions are added up, and of gauges the last stands.
/// </remarks>
internal static class PrometheusText
{
    public static void Write(StringBuilder text, IEnumerable<InstrumentSeries> instruments)
    {
        foreach (IGrouping<string, InstrumentSeries> metric in instruments
            .GroupBy(instrument => instrument.Name, StringComparer.Ordinal).OrderBy(metric => metric.Key, StringComparer.Ordinal))
        {
            WriteMetric(text, metric.Key, [.. metric.OrderBy(instrument => instrument.Kind)]);
        }
    }

    private static void WriteMetric(StringBuilder text, string name, List<InstrumentSeries> instruments)
    {
        // A page may state one type per metric. Of two instruments that disagree on it, only the kind that comes first is shown.
        InstrumentKind kind = instruments[0].Kind;
        instruments.RemoveAll(instrument => GetTypeName(instrument.Kind) != GetTypeName(kind));

        List<Series> series = [];
        foreach (InstrumentSeries instrument in instruments)
            instrument.CopyTo(series);
        if (series.Count == 0)
            return;

        WriteHelp(text, name, instruments.Find(instrument => !string.IsNullOrEmpty(instrument.Description))?.Description);
        text.Append("# TYPE ").Append(name).Append(' ').Append(GetTypeName(kind)).Append('\n');
        foreach (IGrouping<string, Series> labelled in series
            .GroupBy(one => one.Labels, StringComparer.Ordinal).OrderBy(labelled => labelled.Key, StringComparer.Ordinal))
        {
            if (kind == InstrumentKind.Histogram)
                WriteHistogram(text, name, labelled.Key, [.. labelled.Cast<HistogramSeries>()]);
            else
                WriteScalar(text, name, labelled.Key, kind, [.. labelled.Cast<ScalarSeries>()]);
        }
    }

    private static string GetTypeName(InstrumentKind kind) => kind switch
    {
        InstrumentKind.Counter => "counter",
        InstrumentKind.Histogram => "histogram",
        _ => "gauge",
    };

    private static void WriteHelp(StringBuilder text, string name, string? help)
    {
        if (help is null)
            return;

        string escaped = help.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal);
        text.Append("# HELP ").Append(name).Append(' ').Append(escaped).Append('\n');
    }

    private static void WriteScalar(
        StringBuilder text, string name, string labels, InstrumentKind kind, List<ScalarSeries> series)
    {
        long whole = 0;
        double fraction = 0;
        foreach (ScalarSeries one in kind == InstrumentKind.Gauge ? series.TakeLast(1) : series)
        {
            (long moreWhole, double moreFraction) = one.Value;
            whole += moreWhole;
            fraction += moreFraction;
        }

        WriteSample(text, name, suffix: "", labels, le: null);
        if (fraction == 0)
            text.Append(CultureInfo.InvariantCulture, $"{whole}\n");
        else
            text.Append(GetText(whole + fraction)).Append('\n');
    }

    private static void WriteHistogram(StringBuilder text, string name, string labels, List<HistogramSeries> series)
    {
        double[] bounds = series[0].Bounds;
        series.RemoveAll(other => !other.Bounds.AsSpan().SequenceEqual(bounds)); // buckets that differ cannot be added up

        long cumulated = 0;
        for (int index = 0; index <= bounds.Length; index++)
        {
            foreach (HistogramSeries one in series)
                cumulated += one.GetCount(index);
            WriteSample(text, name, "_bucket", labels, index < bounds.Length ? GetText(bounds[index]) : "+Inf");
            text.Append(CultureInfo.InvariantCulture, $"{cumulated}\n");
        }

        WriteSample(text, name, "_sum", labels, le: null);
        text.Append(GetText(series.Sum(one => one.Sum))).Append('\n');
        WriteSample(text, name, "_count", labels, le: null);
        text.Append(CultureInfo.InvariantCulture, $"{cumulated}\n");
    }

    private static void WriteSample(StringBuilder text, string name, string suffix, string labels, string? le)
    {
        text.Append(name).Append(suffix);
        if (labels.Length > 0 || le is not null)
        {
            text.Append('{').Append(labels);
            if (le is not null)
                text.Append(labels.Length > 0 ? "," : "").Append("le=\"").Append(le).Append('"');
            text.Append('}');
        }

        text.Append(' ');
    }

    private static string GetText(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf"
        : double.IsNegativeInfinity(value) ? "-Inf"
        : value.ToString("R", CultureInfo.InvariantCulture);
}
