using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;

namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>One instrument and its series, one for each set of tags that was measured.</summary>
/// <remarks>
/// <para>
/// The hot path of every metric. A tag set that is known is found without a lock and without an allocation, in whatever order its
/// tags come: the hash adds up the hashes of the tags, and the comparison is between the caller's span and the stored tags. New
/// series are linked in front of their chain under <see cref="_growing"/>; a chain that was published never changes, so readers
/// see it whole. Growth copies the chains into a larger table and publishes that.
/// </para>
/// <para>Safe for concurrent use.</para>
/// </remarks>
internal sealed class InstrumentSeries
{
    /// <summary>How many tag sets an instrument keeps apart before the rest share one series.</summary>
    /// <remarks>The default of the OpenTelemetry SDK, so both exports agree. Bounds memory when a tag's values do not.</remarks>
    public const int SeriesCountMax = 2000;

    /// <summary>The labels, as OpenTelemetry has them, of the series for what is over <see cref="SeriesCountMax"/>.</summary>
    public const string OverflowLabels = "otel_metric_overflow=\"true\"";

    private const int InitialBucketCount = 8;

    private readonly Lock _growing = new();
    private readonly Instrument _instrument;
    private readonly bool _isObservable;
    private readonly double[] _bounds;
    private Node?[] _buckets = new Node?[InitialBucketCount]; // replaced under _growing, as are its elements
    private Series? _overflow; // written under _growing
    private int _count; // guarded by _growing

    private InstrumentSeries(Instrument instrument, InstrumentKind kind, bool isObservable)
    {
        _instrument = instrument;
        _isObservable = isObservable;
        _bounds = kind == InstrumentKind.Histogram ? HistogramBounds.Get(instrument) : [];
        Kind = kind;
        Name = PrometheusName.ForInstrument(instrument.Name, instrument.Unit, kind);
    }

    public InstrumentKind Kind { get; }

    /// <summary>Gets the metric's name as Prometheus sees it.</summary>
    public string Name { get; }

    public string? Description => _instrument.Description;

    /// <summary>Wraps an instrument of a kind that this exporter knows; those that .NET may add later are left out.</summary>
    public static bool TryCreate(Instrument instrument, [NotNullWhen(true)] out InstrumentSeries? series)
    {
        Type type = instrument.GetType().IsGenericType ? instrument.GetType().GetGenericTypeDefinition() : instrument.GetType();
        (InstrumentKind Kind, bool IsObservable)? found =
            type == typeof(Counter<>) ? (InstrumentKind.Counter, false)
            : type == typeof(UpDownCounter<>) ? (InstrumentKind.UpDownCounter, false)
            : type == typeof(Gauge<>) ? (InstrumentKind.Gauge, false)
            : type == typeof(Histogram<>) ? (InstrumentKind.Histogram, false)
            : type == typeof(ObservableCounter<>) ? (InstrumentKind.Counter, true)
            : type == typeof(ObservableUpDownCounter<>) ? (InstrumentKind.UpDownCounter, true)
            : type == typeof(ObservableGauge<>) ? (InstrumentKind.Gauge, true)
            : null;
        series = found is { } known ? new InstrumentSeries(instrument, known.Kind, known.IsObservable) : null;
        return series is not null;
    }

    public void Record(long value, ReadOnlySpan<KeyValuePair<string, object?>> tags) => GetSeries(tags).Record(value);

    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) => GetSeries(tags).Record(value);

    /// <summary>Drops the values of an observable instrument, which tells all that exists each time it is asked.</summary>
    public void ForgetObservations()
    {
        if (!_isObservable)
            return;

        lock (_growing)
        {
            _count = 0;
            _overflow = null;
            Volatile.Write(ref _buckets, new Node?[InitialBucketCount]);
        }
    }

    /// <summary>Adds the series there are now to <paramref name="series"/>, in no particular order.</summary>
    public void CopyTo(List<Series> series)
    {
        Node?[] buckets = Volatile.Read(ref _buckets);
        for (int index = 0; index < buckets.Length; index++)
        {
            for (Node? node = Volatile.Read(ref buckets[index]); node is not null; node = node.Next)
                series.Add(node.Series);
        }

        if (Volatile.Read(ref _overflow) is { } overflow)
            series.Add(overflow);
    }

    private static int GetHash(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        int hash = tags.Length;
        foreach (ref readonly KeyValuePair<string, object?> tag in tags)
            hash += HashCode.Combine(tag.Key, tag.Value); // a sum, because the order of tags means nothing
        return hash;
    }

    private static Node? Find(Node?[] buckets, int hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        Node? node = Volatile.Read(ref buckets[hash & (buckets.Length - 1)]);
        while (node is not null && (node.Hash != hash || !node.Matches(tags)))
            node = node.Next;
        return node;
    }

    private Series GetSeries(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        int hash = GetHash(tags);
        return Find(Volatile.Read(ref _buckets), hash, tags)?.Series ?? Volatile.Read(ref _overflow) ?? AddSeries(hash, tags);
    }

    private Series AddSeries(int hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_growing)
        {
            if (Find(_buckets, hash, tags) is { } known)
                return known.Series;

            if (_count == SeriesCountMax)
            {
                if (_overflow is null)
                    Volatile.Write(ref _overflow, CreateSeries(OverflowLabels));
                return _overflow!;
            }

            if (_count == _buckets.Length)
                Grow();

            Series series = CreateSeries(PrometheusLabels.Format(_instrument, tags));
            Link(_buckets, hash, tags.ToArray(), series);
            _count++;
            return series;
        }
    }

    private Series CreateSeries(string labels)
    {
        if (Kind == InstrumentKind.Histogram)
            return new HistogramSeries(labels, _bounds);

        bool isSum = !_isObservable && Kind != InstrumentKind.Gauge; // observed sums arrive added up
        return new ScalarSeries(labels, isSum, isMonotonic: Kind == InstrumentKind.Counter);
    }

    private void Grow()
    {
        Node?[] larger = new Node?[_buckets.Length * 2];
        foreach (Node? chain in _buckets)
        {
            for (Node? node = chain; node is not null; node = node.Next)
                Link(larger, node.Hash, node.Tags, node.Series);
        }

        Volatile.Write(ref _buckets, larger);
    }

    private static void Link(Node?[] buckets, int hash, KeyValuePair<string, object?>[] tags, Series series)
    {
        ref Node? bucket = ref buckets[hash & (buckets.Length - 1)];
        Volatile.Write(ref bucket, new Node(hash, tags, series, bucket));
    }

    private sealed record Node(int Hash, KeyValuePair<string, object?>[] Tags, Series Series, Node? Next)
    {
        public bool Matches(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (tags.Length != Tags.Length)
                return false;

            for (int index = 0; index < tags.Length; index++)
            {
                // Callers nearly always keep to one order, so the tag at the same place is tried first.
                if (!AreEqual(in tags[index], in Tags[index]) && !Contains(in tags[index]))
                    return false;
            }

            return true;
        }

        private bool Contains(in KeyValuePair<string, object?> tag)
        {
            foreach (ref readonly KeyValuePair<string, object?> stored in Tags.AsSpan())
            {
                if (AreEqual(in tag, in stored))
                    return true;
            }

            return false;
        }

        private static bool AreEqual(in KeyValuePair<string, object?> left, in KeyValuePair<string, object?> right) =>
            left.Key == right.Key && Equals(left.Value, right.Value);
    }
}
