using System.Diagnostics.Metrics;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Broker.Tests;

/// <summary>What operators read is what the cluster measures.</summary>
public sealed class BrokerMetricsTests
{
    [Fact]
    public async Task Every_metric_of_the_cluster_is_in_the_operations_page()
    {
        var page = await File.ReadAllTextAsync(
            Path.Combine(Repository.Root, "docs", "operations.md"), TestContext.Current.CancellationToken);
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var factory = services.GetRequiredService<IMeterFactory>();
        var names = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (ReferenceEquals(instrument.Meter.Scope, factory))
                {
                    var isCounter = instrument is Counter<long>;
                    names.Add(instrument.Name.Replace('.', '_') + (isCounter ? "_total" : ""));
                }
            },
        };
        listener.Start();
        using var metrics = new BrokerMetrics(factory);

        Assert.True(names.Count > 5);
        Assert.DoesNotContain(names, name => !page.Contains($"`{name}`", StringComparison.Ordinal));
    }
}
