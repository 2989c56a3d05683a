using System.Diagnostics.Metrics;
using Fanfare.ServiceDefaults.Prometheus;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

public sealed class PrometheusFormatTests : IDisposable
{
    private readonly MetricsPage _page = new();

    public void Dispose() => _page.Dispose();

    [Fact]
    public async Task A_counter_is_a_total_with_help_and_sorted_labels()
    {
        Counter<long> counter = _page.Meter.CreateCounter<long>("test.events.delivered", "{event}", "Events delivered.");
        counter.Add(2, new("namespace", "orders"), new("mode", "IAM"));
        counter.Add(3, new("mode", "IAM"), new("namespace", "orders"));
        counter.Add(1);

        Assert.Equal(
            """
            # HELP test_events_delivered_total Events delivered.
            # TYPE test_events_delivered_total counter
            test_events_delivered_total 1
            test_events_delivered_total{mode="IAM",namespace="orders"} 5

            """,
            await _page.ScrapeAsync());
    }

    [Fact]
    public async Task An_up_down_counter_is_a_gauge_of_its_sum()
    {
        UpDownCounter<int> counter = _page.Meter.CreateUpDownCounter<int>("test.connections.active", "{connection}");
        counter.Add(3);
        counter.Add(-2);

        Assert.Equal("# TYPE test_connections_active gauge\ntest_connections_active 1\n", await _page.ScrapeAsync());
    }

    [Fact]
    public async Task A_gauge_shows_its_last_value()
    {
        Gauge<double> gauge = _page.Meter.CreateGauge<double>("test.load", "1");
        gauge.Record(0.25);
        gauge.Record(0.5);

        Assert.Equal("# TYPE test_load_ratio gauge\ntest_load_ratio 0.5\n", await _page.ScrapeAsync());
    }

    [Fact]
    public async Task A_histogram_has_cumulative_buckets_with_inclusive_bounds()
    {
        Histogram<double> histogram = _page.Meter.CreateHistogram(
            "test.publish.duration", "s", "From receipt to answer.", tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.1, 1] });
        foreach (double value in (double[])[0.005, 0.01, 0.05, 2, double.NaN])
            histogram.Record(value, new KeyValuePair<string, object?>("ok", true));

        Assert.Equal(
            """
            # HELP test_publish_duration_seconds From receipt to answer.
            # TYPE test_publish_duration_seconds histogram
            test_publish_duration_seconds_bucket{ok="true",le="0.01"} 2
            test_publish_duration_seconds_bucket{ok="true",le="0.1"} 3
            test_publish_duration_seconds_bucket{ok="true",le="1"} 3
            test_publish_duration_seconds_bucket{ok="true",le="+Inf"} 4
            test_publish_duration_seconds_sum{ok="true"} 2.065
            test_publish_duration_seconds_count{ok="true"} 4

            """,
            await _page.ScrapeAsync());
    }

    [Theory]
    [InlineData("s", 15, 0.005)]
    [InlineData("ms", 16, 0)]
    public async Task A_histogram_without_advice_has_buckets_that_suit_its_unit(string unit, int bucketCount, double firstBound)
    {
        _page.Meter.CreateHistogram<long>("test.duration", unit).Record(1);

        Metric metric = (await _page.ParseAsync()).Values.Single();
        Assert.Equal(bucketCount, metric.Samples.Count(sample => sample.Name.EndsWith("_bucket", StringComparison.Ordinal)));
        Assert.Equal(firstBound, double.Parse(metric.Samples[0].Labels["le"], System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Observable_instruments_show_what_they_report_at_each_scrape()
    {
        KeyValuePair<string, object?> first = new("shard", 0), second = new("shard", 1);
        List<Measurement<long>> queues = [new(7, first), new(9, second)];
        _page.Meter.CreateObservableCounter("test.bytes.sent", () => 12.5, "By");
        _page.Meter.CreateObservableUpDownCounter("test.grains", () => -1, "{grain}");
        _page.Meter.CreateObservableGauge("test.queue.length", () => queues);

        await _page.ScrapeAsync();
        queues.RemoveAt(0);

        Assert.Equal(
            """
            # TYPE test_bytes_sent_bytes_total counter
            test_bytes_sent_bytes_total 12.5
            # TYPE test_grains gauge
            test_grains -1
            # TYPE test_queue_length gauge
            test_queue_length{shard="1"} 9

            """,
            await _page.ScrapeAsync());
    }

    [Fact]
    public async Task Every_number_type_is_understood()
    {
        _page.Meter.CreateCounter<byte>("test.a").Add(1);
        _page.Meter.CreateCounter<short>("test.b").Add(2);
        _page.Meter.CreateCounter<float>("test.c").Add(0.5f);
        _page.Meter.CreateCounter<decimal>("test.d").Add(1.5m);
        _page.Meter.CreateCounter<long>("test.e").Add(long.MaxValue);

        string page = await _page.ScrapeAsync();
        Assert.Contains("test_a_total 1\n", page, StringComparison.Ordinal);
        Assert.Contains("test_b_total 2\n", page, StringComparison.Ordinal);
        Assert.Contains("test_c_total 0.5\n", page, StringComparison.Ordinal);
        Assert.Contains("test_d_total 1.5\n", page, StringComparison.Ordinal);
        Assert.Contains("test_e_total 9223372036854775807\n", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Label_values_and_help_are_escaped_and_read_back_unchanged()
    {
        const string Awkward = "a\\b\"c\nd{e},f=é";
        Counter<int> counter = _page.Meter.CreateCounter<int>("test.odd", null, "back\\slash\nline");
        counter.Add(1, new KeyValuePair<string, object?>("v", Awkward));

        string page = await _page.ScrapeAsync();
        Assert.Contains("# HELP test_odd_total back\\\\slash\\nline\n", page, StringComparison.Ordinal);
        Assert.Contains("""{v="a\\b\"c\nd{e},f=é"}""", page, StringComparison.Ordinal);
        Assert.Equal(Awkward, ExpositionParser.Parse(page)["test_odd_total"].Samples.Single().Labels["v"]);
    }

    [Fact]
    public async Task Label_names_are_made_valid_and_clashes_are_joined()
    {
        _page.Meter.CreateGauge<int>("test.labels").Record(
            1, new("http.route", "a"), new("http_route", "b"), new("0", null));
        _page.Meter.CreateHistogram<int>("test.le").Record(1, new KeyValuePair<string, object?>("le", "mine"));

        Dictionary<string, Metric> metrics = await _page.ParseAsync();
        IReadOnlyDictionary<string, string> labels = metrics["test_labels"].Samples.Single().Labels;
        Assert.Equal("a;b", labels["http_route"]);
        Assert.Equal("", labels["_0"]);
        Assert.All(metrics["test_le"].Samples, sample => Assert.Equal("mine", sample.Labels["exported_le"]));
    }

    [Fact]
    public async Task Tags_of_the_meter_and_the_instrument_become_labels()
    {
        Meter meter = _page.MeterFactory.Create("Fanfare.Tagged", null, [new("node", "n1")]);
        Counter<int> counter = meter.CreateCounter<int>("test.tagged", null, null, [new("role", "silo")]);
        counter.Add(1, new KeyValuePair<string, object?>("ok", 1));

        Assert.Equal(
            "# TYPE test_tagged_total counter\ntest_tagged_total{node=\"n1\",ok=\"1\",role=\"silo\"} 1\n",
            await _page.ScrapeAsync());
    }

    [Fact]
    public async Task Instruments_that_print_alike_are_added_up_in_one_sample()
    {
        Meter other = _page.MeterFactory.Create("Fanfare.Other");
        _page.Meter.CreateCounter<long>("test.same").Add(1, new KeyValuePair<string, object?>("k", 1));
        _page.Meter.CreateCounter<long>("test.same").Add(1, new KeyValuePair<string, object?>("k", "1"));
        other.CreateCounter<double>("test.same").Add(0.5, new KeyValuePair<string, object?>("k", 1L));
        other.CreateGauge<int>("test_same_total").Record(100);

        Assert.Equal("# TYPE test_same_total counter\ntest_same_total{k=\"1\"} 2.5\n", await _page.ScrapeAsync());
    }

    // Names that carry their unit already, units with annotations, rates, and kinds that differ in suffix.
    [Theory]
    [InlineData("fanfare.connections.active", "{connection}", nameof(InstrumentKind.UpDownCounter), "fanfare_connections_active")]
    [InlineData("fanfare.events", "{event}", nameof(InstrumentKind.Counter), "fanfare_events_total")]
    [InlineData("fanfare.events.total", null, nameof(InstrumentKind.Counter), "fanfare_events_total")]
    [InlineData("fanfare.send.duration", "s", nameof(InstrumentKind.Histogram), "fanfare_send_duration_seconds")]
    [InlineData("fanfare.send.seconds", "s", nameof(InstrumentKind.Histogram), "fanfare_send_seconds")]
    [InlineData("fanfare.sent", "By", nameof(InstrumentKind.Counter), "fanfare_sent_bytes_total")]
    [InlineData("fanfare.sent_bytes_total", "By", nameof(InstrumentKind.Counter), "fanfare_sent_bytes_total")]
    [InlineData("fanfare.rate", "By/s", nameof(InstrumentKind.Gauge), "fanfare_rate_bytes_per_second")]
    [InlineData("fanfare.rate", "{event}/min", nameof(InstrumentKind.Gauge), "fanfare_rate_per_minute")]
    [InlineData("fanfare.use", "1", nameof(InstrumentKind.Gauge), "fanfare_use_ratio")]
    [InlineData("fanfare.use", "1", nameof(InstrumentKind.Counter), "fanfare_use_total")]
    [InlineData("fanfare.odd", "furlong", nameof(InstrumentKind.Gauge), "fanfare_odd_furlong")]
    [InlineData("9-lives/..x", "", nameof(InstrumentKind.Gauge), "_9_lives_x")]
    public void Names_follow_the_conventions(string name, string? unit, string kind, string expected) =>
        Assert.Equal(expected, PrometheusName.ForInstrument(name, unit, Enum.Parse<InstrumentKind>(kind)));
}
