namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>The numbers of one set of labels. Safe for concurrent use.</summary>
/// <param name="labels">The labels as they are printed, without braces: <c>a="1",b="2"</c>, sorted by name.</param>
internal abstract class Series(string labels)
{
    public string Labels => labels;

    public abstract void Record(long value);

    public abstract void Record(double value);

    private protected static void Add(ref double total, double value)
    {
        double seen = Volatile.Read(ref total);
        while (true)
        {
            double found = Interlocked.CompareExchange(ref total, seen + value, seen);
            if (BitConverter.DoubleToInt64Bits(found) == BitConverter.DoubleToInt64Bits(seen)) // what the exchange compares
                return;
            seen = found;
        }
    }
}

/// <summary>A sum or a last value.</summary>
/// <remarks>An instrument has one number type, so one of the two halves is in use; whole numbers stay exact that way.</remarks>
/// <param name="labels">See <see cref="Series"/>.</param>
/// <param name="isSum">Whether values are added up; otherwise the last one stands.</param>
/// <param name="isMonotonic">Whether a sum must not shrink; a value that would shrink it is dropped.</param>
internal sealed class ScalarSeries(string labels, bool isSum, bool isMonotonic) : Series(labels)
{
    private long _whole;
    private double _fraction;

    public (long Whole, double Fraction) Value => (Interlocked.Read(ref _whole), Volatile.Read(ref _fraction));

    public override void Record(long value)
    {
        if (!isSum)
            Volatile.Write(ref _whole, value);
        else if (value >= 0 || !isMonotonic)
            Interlocked.Add(ref _whole, value);
    }

    public override void Record(double value)
    {
        if (!isSum)
            Volatile.Write(ref _fraction, value);
        else if (double.IsFinite(value) && (value >= 0 || !isMonotonic)) // one NaN would spoil the sum for good
            Add(ref _fraction, value);
    }
}

/// <summary>A distribution over fixed buckets.</summary>
/// <remarks>The count is the sum of the buckets, so a scrape between two steps of a measurement still adds up.</remarks>
/// <param name="labels">See <see cref="Series"/>.</param>
/// <param name="bounds">The inclusive upper bounds, ascending; what lies above the last has a bucket of its own.</param>
internal sealed class HistogramSeries(string labels, double[] bounds) : Series(labels)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    public double[] Bounds => bounds;

    public double Sum => Volatile.Read(ref _sum);

    /// <summary>Reads how many measurements fell into the bucket at <paramref name="index"/>, not cumulated.</summary>
    public long GetCount(int index) => Interlocked.Read(ref _counts[index]);

    public override void Record(long value) => Record((double)value);

    public override void Record(double value)
    {
        if (!double.IsFinite(value))
            return; // it would spoil the sum for good

        int index = Array.BinarySearch(bounds, value);
        Interlocked.Increment(ref _counts[index < 0 ? ~index : index]);
        Add(ref _sum, value);
    }
}
