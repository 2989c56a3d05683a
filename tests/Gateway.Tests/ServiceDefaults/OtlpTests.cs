using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

public sealed class OtlpTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Traces_metrics_and_logs_reach_the_collector_before_the_process_ends()
    {
        await using OtlpCollector collector = await OtlpCollector.StartAsync();
        await using (TestHost host = await TestHost.StartAsync(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Endpoint,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-token=abc",
            ["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment=lab",
        }))
        {
            using ActivitySource source = new("Fanfare.OtlpTests");
            using (source.StartActivity("otlp-test-activity"))
            {
            }

            Meter meter = host.Application.Services.GetRequiredService<IMeterFactory>().Create("Fanfare.OtlpTests");
            meter.CreateCounter<long>("otlp.test.counter").Add(1);
            ILogger logger = host.Application.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Fanfare.OtlpTests");
#pragma warning disable CA1848, CA1873 // one entry, once
            logger.LogWarning("otlp-test-log {Number}", 42);
#pragma warning restore CA1848, CA1873
            await host.GetAsync("/hello");
            await host.GetAsync("/health");
            await host.Application.StopAsync(TestContext.Current.CancellationToken);

            // Asserted before the host is disposed: the stop itself has to send everything.
            string traces = AllOf(collector, "/v1/traces");
            Assert.Contains("otlp-test-activity", traces, StringComparison.Ordinal);
            Assert.Contains("http.request.method", traces, StringComparison.Ordinal);
            Assert.Contains("/hello", traces, StringComparison.Ordinal);
            Assert.DoesNotContain("/health", traces, StringComparison.Ordinal);
            Assert.Contains("otlp.test.counter", AllOf(collector, "/v1/metrics"), StringComparison.Ordinal);
            Assert.Contains("http.server.request.duration", AllOf(collector, "/v1/metrics"), StringComparison.Ordinal);
            Assert.Contains("dotnet.gc.collections", AllOf(collector, "/v1/metrics"), StringComparison.Ordinal);
            Assert.Contains("otlp-test-log 42", AllOf(collector, "/v1/logs"), StringComparison.Ordinal);
        }

        Assert.All(collector.Posts, post =>
        {
            Assert.Equal("abc", post.Headers["x-token"]);
            Assert.Contains("fanfare-test", post.Body, StringComparison.Ordinal);
            Assert.Contains("deployment.environment", post.Body, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task The_service_name_of_the_environment_wins()
    {
        await using OtlpCollector collector = await OtlpCollector.StartAsync();
        await using TestHost host = await TestHost.StartAsync(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Endpoint,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_SERVICE_NAME"] = "edge-7",
        });
        await host.Application.StopAsync(TestContext.Current.CancellationToken);

        string metrics = AllOf(collector, "/v1/metrics");
        Assert.Contains("edge-7", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("fanfare-test", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public async Task Nothing_of_OpenTelemetry_starts_without_an_endpoint(string? endpoint)
    {
        await using TestHost host = await TestHost.StartAsync(new() { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint });

        IServiceProvider services = host.Application.Services;
        Assert.Null(services.GetService<MeterProvider>());
        Assert.Null(services.GetService<TracerProvider>());
        Assert.Null(services.GetService<LoggerProvider>());
        Assert.DoesNotContain(services.GetServices<ILoggerProvider>(), provider => provider is OpenTelemetryLoggerProvider);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "http")]
    [InlineData("OTEL_EXPORTER_OTLP_HEADERS", "secret-without-a-name")]
    public async Task A_wrong_value_stops_the_start_with_its_key_and_without_the_value(string key, string value)
    {
        await using WebApplication application = TestHost.Build(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:4318",
            [key] = value,
        });

        OptionsValidationException exception = await Assert.ThrowsAsync<OptionsValidationException>(
            () => application.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains(key, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(value + " ", exception.Message + " ", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task A_collector_that_never_answers_neither_disturbs_the_process_nor_keeps_it(string protocol)
    {
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        TestHost host = await TestHost.StartAsync(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://{silent.LocalEndpoint}",
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol,
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "50",
        });

        // The exporter is on the line, and waiting, while the process serves.
        using Socket caller = await silent.AcceptSocketAsync(TestContext.Current.CancellationToken).AsTask()
            .WaitAsync(s_deadline, TestContext.Current.CancellationToken);
        Assert.Equal((200, "hello"), await host.GetAsync("/hello"));

        long begin = Stopwatch.GetTimestamp();
        await host.Application.StopAsync(TestContext.Current.CancellationToken);
        await host.DisposeAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(begin), TimeSpan.Zero, TimeSpan.FromSeconds(12));
    }

    [Fact]
    public async Task A_collector_that_is_not_there_disturbs_nothing()
    {
        await using TestHost host = await TestHost.StartAsync(new() { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1" });

        Assert.Equal((200, "hello"), await host.GetAsync("/hello"));
        await host.Application.StopAsync(TestContext.Current.CancellationToken);
    }

    private static string AllOf(OtlpCollector collector, string path) =>
        string.Concat(collector.Posts.Where(post => post.Path == path).Select(post => post.Body));
}
