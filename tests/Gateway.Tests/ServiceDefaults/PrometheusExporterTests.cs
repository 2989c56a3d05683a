using System.Diagnostics.Metrics;
using Fanfare.ServiceDefaults.Prometheus;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

public sealed class PrometheusExporterTests : IDisposable
{
    private readonly MetricsPage _page = new();

    public void Dispose() => _page.Dispose();

    [Fact]
    public async Task Tag_sets_past_the_limit_share_one_overflow_series()
    {
        Counter<long> counter = _page.Meter.CreateCounter<long>("test.many");
        for (int user = 0; user < InstrumentSeries.SeriesCountMax + 5; user++)
            counter.Add(1, new KeyValuePair<string, object?>("user", user));
        counter.Add(1, new KeyValuePair<string, object?>("user", 0)); // known before the limit, so still counted on its own

        List<Sample> samples = (await _page.ParseAsync())["test_many_total"].Samples;
        Assert.Equal(InstrumentSeries.SeriesCountMax + 1, samples.Count);
        Assert.Equal(5, samples.Single(sample => sample.Labels.ContainsKey("otel_metric_overflow")).Value);
        Assert.Equal(2, samples.Single(sample => sample.Labels.GetValueOrDefault("user") == "0").Value);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Recording_a_known_tag_set_allocates_nothing_in_any_order(int tagCount)
    {
        Counter<long> counter = _page.Meter.CreateCounter<long>("test.counter");
        UpDownCounter<int> upDownCounter = _page.Meter.CreateUpDownCounter<int>("test.up.down");
        Gauge<double> gauge = _page.Meter.CreateGauge<double>("test.gauge");
        Histogram<double> histogram = _page.Meter.CreateHistogram<double>("test.histogram", "s");

        // Boxing an int is the caller's allocation, so it is done before the measurement, as callers on hot paths do.
        KeyValuePair<string, object?>[] all = [new("mode", "IAM"), new("status", 200), new("namespace", "orders")];
        KeyValuePair<string, object?>[] tags = all[..tagCount];
        KeyValuePair<string, object?>[] reversed = [.. tags.Reverse()];
        for (int round = 0; round < 100; round++)
            RecordAll();

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int round = 0; round < 1000; round++)
            RecordAll();
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(0, allocated);

        void RecordAll()
        {
            counter.Add(1, tags);
            counter.Add(1, reversed);
            upDownCounter.Add(-1, tags);
            upDownCounter.Add(1, reversed);
            gauge.Record(0.5, reversed);
            histogram.Record(0.02, tags);
            histogram.Record(0.02, reversed);
        }
    }

    [Fact]
    public async Task Tags_in_any_order_are_one_series()
    {
        Counter<long> counter = _page.Meter.CreateCounter<long>("test.order");
        KeyValuePair<string, object?> a = new("a", 1), b = new("b", "2"), c = new("c", true);
        foreach (KeyValuePair<string, object?>[] order in (KeyValuePair<string, object?>[][])
            [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]])
        {
            counter.Add(1, order);
        }

        Assert.Equal(6, (await _page.ParseAsync())["test_order_total"].Samples.Single().Value);
    }

    [Fact]
    public async Task Counts_are_exact_while_threads_record_and_scrape_at_once()
    {
        const int ThreadCount = 4, RoundCount = 20_000, TagSetCount = 50;
        Counter<long> counter = _page.Meter.CreateCounter<long>("test.exact");
        Counter<double> halves = _page.Meter.CreateCounter<double>("test.halves");
        Histogram<double> histogram = _page.Meter.CreateHistogram<double>("test.spread");
        using CancellationTokenSource recorded = new();

        Task[] scrapers = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            double last = 0;
            while (!recorded.IsCancellationRequested)
            {
                // Parsing checks each page by itself: buckets that do not add up would throw.
                double total = Total(await _page.ParseAsync(), "test_exact_total");
                Assert.True(total >= last, $"The total fell from {last} to {total}.");
                last = total;
            }
        }, TestContext.Current.CancellationToken))];
        await Task.WhenAll(Enumerable.Range(0, ThreadCount).Select(_ => Task.Run(() =>
        {
            for (int round = 0; round < RoundCount; round++)
            {
                counter.Add(1, new KeyValuePair<string, object?>("k", round % TagSetCount));
                halves.Add(0.5);
                histogram.Record(round % 100);
            }
        })));
        await recorded.CancelAsync();
        await Task.WhenAll(scrapers);

        Dictionary<string, Metric> metrics = await _page.ParseAsync();
        Assert.Equal(TagSetCount, metrics["test_exact_total"].Samples.Count);
        Assert.Equal(ThreadCount * RoundCount, Total(metrics, "test_exact_total"));
        Assert.Equal(ThreadCount * RoundCount / 2, Total(metrics, "test_halves_total"));
        Assert.Equal(ThreadCount * RoundCount, metrics["test_spread"].Samples[^1].Value);

        static double Total(Dictionary<string, Metric> metrics, string name) =>
            metrics.TryGetValue(name, out Metric? metric) ? metric.Samples.Sum(sample => sample.Value) : 0;
    }

    [Fact]
    public async Task An_observable_that_throws_leaves_the_others_on_the_page()
    {
        bool fails = true;
        _page.Meter.CreateObservableGauge("test.broken", () => fails ? throw new InvalidOperationException("broken") : 1);
        _page.Meter.CreateObservableGauge("test.working", () => 2);

        Assert.Equal("# TYPE test_working gauge\ntest_working 2\n", await _page.ScrapeAsync());
        fails = false;
        Assert.Contains("test_broken 1\n", await _page.ScrapeAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Instruments_of_a_disposed_meter_vanish()
    {
        using Meter meter = new(new MeterOptions("Fanfare.Brief") { Scope = _page.MeterFactory });
        meter.CreateCounter<int>("test.brief").Add(1);
        Assert.Contains("test_brief_total 1\n", await _page.ScrapeAsync(), StringComparison.Ordinal);

        meter.Dispose();
        Assert.DoesNotContain("test_brief", await _page.ScrapeAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Meters_of_others_and_of_other_hosts_are_left_out()
    {
        using Meter foreign = new("Contoso.Widgets");
        using MetricsPage otherHost = new();
        foreign.CreateCounter<int>("test.foreign").Add(1);
        otherHost.Meter.CreateCounter<int>("test.other").Add(1);

        Assert.Equal("", await _page.ScrapeAsync());
        Assert.Contains("test_other_total 1\n", await otherHost.ScrapeAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_counter_never_falls()
    {
        Counter<double> counter = _page.Meter.CreateCounter<double>("test.only.up");
        counter.Add(2);
        counter.Add(-1);
        counter.Add(double.NaN);

        Assert.Contains("test_only_up_total 2\n", await _page.ScrapeAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_runtime_shows_itself()
    {
        Dictionary<string, Metric> metrics =
            ExpositionParser.Parse(await _page.Exporter.ScrapeAsync(TestContext.Current.CancellationToken));

        Assert.Equal("counter", metrics["dotnet_gc_heap_total_allocated_bytes_total"].Type);
        Assert.Equal("counter", metrics["dotnet_process_cpu_time_seconds_total"].Type);
    }
}
