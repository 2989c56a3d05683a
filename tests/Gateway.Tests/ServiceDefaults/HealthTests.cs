using Fanfare.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

public sealed class HealthTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_process_that_serves_is_ready_and_alive()
    {
        await using TestHost host = await TestHost.StartAsync();

        Assert.Equal((200, "Healthy"), await host.GetAsync("/health"));
        Assert.Equal((200, "Healthy"), await host.GetAsync("/alive"));
    }

    [Fact]
    public async Task A_failing_check_without_the_live_tag_makes_the_process_unready_but_not_dead()
    {
        await using TestHost host = await TestHost.StartAsync(configure: services =>
            services.AddHealthChecks().AddCheck("backplane", () => HealthCheckResult.Unhealthy("No connection.")));

        Assert.Equal((503, "Unhealthy"), await host.GetAsync("/health"));
        Assert.Equal((200, "Healthy"), await host.GetAsync("/alive"));
    }

    [Fact]
    public async Task A_failing_check_with_the_live_tag_makes_the_process_dead()
    {
        await using TestHost host = await TestHost.StartAsync(configure: services =>
            services.AddHealthChecks().AddCheck("shards", () => HealthCheckResult.Unhealthy("Stuck."), [Extensions.LiveTag]));

        Assert.Equal((503, "Unhealthy"), await host.GetAsync("/health"));
        Assert.Equal((503, "Unhealthy"), await host.GetAsync("/alive"));
    }

    [Fact]
    public async Task A_stopping_process_is_unready_and_alive_until_it_has_drained()
    {
        Drain drain = new();
        await using TestHost host = await TestHost.StartAsync(configure: services => services.AddHostedService(_ => drain));
        Assert.Equal((200, "Healthy"), await host.GetAsync("/health"));

        // As a signal stops a process; a bare StopAsync would drain before it tells anyone.
        Task stopped = host.Application.WaitForShutdownAsync(TestContext.Current.CancellationToken);
        host.Application.Lifetime.StopApplication();
        await drain.Started.Task.WaitAsync(s_deadline, TestContext.Current.CancellationToken);

        Assert.Equal((503, "Unhealthy"), await host.GetAsync("/health"));
        Assert.Equal((200, "Healthy"), await host.GetAsync("/alive"));
        drain.Finished.SetResult();
        await stopped.WaitAsync(s_deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task The_metrics_page_has_the_content_type_of_the_text_format_and_leaves_probes_out()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.GetAsync("/hello");
        await host.GetAsync("/health");

        using HttpResponseMessage response =
            await host.Client.GetAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType?.ToString());

        Dictionary<string, Metric> metrics =
            ExpositionParser.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Contains("kestrel_active_connections", metrics.Keys);
        Assert.DoesNotContain(
            metrics["http_server_request_duration_seconds"].Samples,
            sample => sample.Labels.GetValueOrDefault("http_route") is "/health" or "/metrics");
        Assert.Contains(
            metrics["http_server_request_duration_seconds"].Samples,
            sample => sample.Labels.GetValueOrDefault("http_route") == "/hello");
    }

    /// <summary>Stands for whatever empties a gateway of its connections before the server stops listening.</summary>
    private sealed class Drain : IHostedLifecycleService
    {
        public TaskCompletionSource Started { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Finished { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task StoppingAsync(CancellationToken cancellationToken)
        {
            Started.SetResult();
            return Finished.Task.WaitAsync(cancellationToken);
        }

        public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
