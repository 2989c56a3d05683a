using System.Diagnostics.Metrics;
using Fanfare.ServiceDefaults.Prometheus;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

/// <summary>An exporter with a meter of its own, which no other test's exporter sees.</summary>
internal sealed class MetricsPage : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public MetricsPage()
    {
        MeterFactory = _services.GetRequiredService<IMeterFactory>();
        Meter = MeterFactory.Create("Fanfare.Test");
        Exporter = new PrometheusExporter(MeterFactory, NullLogger<PrometheusExporter>.Instance);
    }

    public IMeterFactory MeterFactory { get; }

    public Meter Meter { get; }

    public PrometheusExporter Exporter { get; }

    /// <summary>Scrapes what this page's own meters show: the process's meters appear on every page.</summary>
    public async Task<string> ScrapeAsync()
    {
        string page = await Exporter.ScrapeAsync(TestContext.Current.CancellationToken);
        _ = ExpositionParser.Parse(page);
        return string.Concat(page.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => (line.StartsWith('#') ? line[7..] : line).StartsWith("test_", StringComparison.Ordinal))
            .Select(line => line + "\n"));
    }

    public async Task<Dictionary<string, Metric>> ParseAsync() => ExpositionParser.Parse(await ScrapeAsync());

    public void Dispose()
    {
        Exporter.Dispose();
        _services.Dispose();
    }
}
