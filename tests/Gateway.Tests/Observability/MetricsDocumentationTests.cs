using System.Diagnostics.Metrics;
using Fanfare.Gateway.Backplane.Redis;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Fanfare.ServiceDefaults.Prometheus;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Observability;

/// <summary>What operators read is what the gateway measures.</summary>
public sealed class MetricsDocumentationTests
{
    [Fact]
    public async Task Every_metric_of_the_gateway_is_in_the_operations_page()
    {
        var file = Path.Combine(Repository.Root, "docs", "operations.md");
        var page = File.Exists(file) ? await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken) : "";

        var missing = GetPrometheusNames().Where(name => !page.Contains($"`{name}`", StringComparison.Ordinal)).ToList();

        Assert.True(missing.Count == 0, $"docs/operations.md lacks `{string.Join("`, `", missing)}`.");
    }

    private static List<string> GetPrometheusNames()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var factory = services.GetRequiredService<IMeterFactory>();
        var names = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                // Other tests' gateways have meters of the same name, which are not this factory's.
                if (instrument.Meter.Name.StartsWith(GatewayMetrics.MeterName, StringComparison.Ordinal) && ReferenceEquals(instrument.Meter.Scope, factory))
                {
                    names.Add(PrometheusName.ForInstrument(instrument.Name, instrument.Unit, GetKind(instrument)));
                }
            },
        };
        listener.Start();
        using var metrics = new GatewayMetrics(factory);
        using var redisMetrics = new RedisMetrics(factory);
        Assert.NotEmpty(names);
        return names;
    }

    private static InstrumentKind GetKind(Instrument instrument) => instrument.GetType().Name.Split('`')[0] switch
    {
        "Counter" or "ObservableCounter" => InstrumentKind.Counter,
        "Histogram" => InstrumentKind.Histogram,
        _ => InstrumentKind.Gauge,
    };
}
