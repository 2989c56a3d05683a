namespace Fanfare.Bench;

/// <summary>What is said of many figures.</summary>
internal static class Statistics
{
    /// <summary>Returns the median.</summary>
    public static double GetMedian(IEnumerable<double> values) => GetPercentile([.. values.Order()], 0.5);

    /// <summary>Returns a percentile of sorted values, between the two nearest ones.</summary>
    public static double GetPercentile(double[] sorted, double fraction)
    {
        var position = fraction * (sorted.Length - 1);
        var index = (int)position;
        return index + 1 == sorted.Length
            ? sorted[index]
            : sorted[index] + ((position - index) * (sorted[index + 1] - sorted[index]));
    }

    /// <summary>Fits y = a + b × x by least squares; <c>Fit</c> is the share of the variance that it explains.</summary>
    public static (double A, double B, double Fit) FitLine(IReadOnlyList<(double X, double Y)> points)
    {
        var (x, y) = (points.Average(point => point.X), points.Average(point => point.Y));
        var b = points.Sum(point => (point.X - x) * (point.Y - y)) / points.Sum(point => (point.X - x) * (point.X - x));
        var a = y - (b * x);
        var unexplained = points.Sum(point => Math.Pow(point.Y - a - (b * point.X), 2));
        return (a, b, 1 - (unexplained / points.Sum(point => Math.Pow(point.Y - y, 2))));
    }
}
