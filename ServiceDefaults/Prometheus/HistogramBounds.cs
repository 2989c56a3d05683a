using System.Diagnostics.Metrics;

namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>Where a histogram's buckets end: what the instrument advises, or else the defaults of OpenTelemetry.</summary>
internal static class HistogramBounds
{
    /// <summary>The defaults of the OpenTelemetry specification, made for milliseconds.</summary>
    private static readonly double[] s_default = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000];

    /// <summary>The same for seconds, as the HTTP conventions of OpenTelemetry have it.</summary>
    private static readonly double[] s_seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    public static double[] Get(Instrument instrument)
    {
        IEnumerable<double>? advised = instrument switch
        {
            Histogram<double> histogram => histogram.Advice?.HistogramBucketBoundaries,
            Histogram<long> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<int> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<float> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<decimal> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<short> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<byte> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            _ => null,
        };

        // Infinity is the bucket that every histogram has anyway.
        return advised is not null ? [.. advised.Where(double.IsFinite).Order().Distinct()]
            : instrument.Unit == "s" ? s_seconds
            : s_default;
    }
}
