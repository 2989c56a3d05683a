using System.Diagnostics;
using Fanfare.ServiceDefaults.Logging;
using Fanfare.ServiceDefaults.Otlp;
using Fanfare.ServiceDefaults.Prometheus;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Fanfare.ServiceDefaults;

/// <summary>What every process of ours shares: logs, telemetry, health, metrics and an orderly shutdown.</summary>
public static class Extensions
{
    /// <summary>The tag of the health checks that say whether the process is alive, as opposed to ready for traffic.</summary>
    /// <remarks>A failing check with this tag gets the process restarted, so give it only to what a restart repairs.</remarks>
    public const string LiveTag = "live";

    /// <summary>Adds logging, health checks, telemetry export and the shutdown time to a host that is being built.</summary>
    /// <param name="builder">
    /// The host's builder. Its configuration must be complete, since what is registered depends on it. Call this once, and add
    /// no console logger of your own.
    /// </param>
    /// <param name="serviceName">
    /// The name telemetry goes under, such as <c>fanfare-gateway</c>; <c>OTEL_SERVICE_NAME</c> wins.
    /// </param>
    /// <returns>The same builder.</returns>
    /// <remarks>
    /// A wrong value in the configuration stops the start with an
    /// <see cref="Microsoft.Extensions.Options.OptionsValidationException"/> whose message names the key. The host no longer logs
    /// why it could not start: the program catches that exception and says so in one line.
    /// </remarks>
    public static IHostApplicationBuilder AddServiceDefaults(this IHostApplicationBuilder builder, string serviceName)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(serviceName);

        ConsoleLogging.Add(builder);
        OtlpExport.Add(builder, serviceName);
        ShutdownTimeout.Add(builder.Services);
        builder.Services.AddMetrics();
        builder.Services.TryAddSingleton<PrometheusExporter>();
        builder.Services.AddHealthChecks()
            .AddCheck("self", () => HealthCheckResult.Healthy(), [LiveTag])
            .AddCheck<HostStoppingHealthCheck>("stopping");
        return builder;
    }

    /// <summary>Maps <c>/health</c> (ready for traffic), <c>/alive</c> (worth keeping) and <c>/metrics</c>.</summary>
    /// <param name="endpoints">The application, built from a builder that <see cref="AddServiceDefaults"/> has seen.</param>
    /// <returns>The same application.</returns>
    /// <remarks>
    /// The health pages answer <c>Healthy</c> with 200 or <c>Unhealthy</c> with 503. From the moment the host begins to stop,
    /// <c>/health</c> answers 503 while <c>/alive</c> stays at 200: no new traffic, and no need to be killed. Measurements are
    /// collected from this call on.
    /// </remarks>
    public static IEndpointRouteBuilder MapDefaultEndpoints(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);

        LeaveOutOfTelemetry(endpoints.MapHealthChecks("/health"));
        LeaveOutOfTelemetry(endpoints.MapHealthChecks("/alive", new() { Predicate = check => check.Tags.Contains(LiveTag) }));

        // Resolved here, not per request: counting starts with the process and not with the first scrape.
        PrometheusExporter exporter = endpoints.ServiceProvider.GetRequiredService<PrometheusExporter>();
        LeaveOutOfTelemetry(endpoints.MapGet("/metrics", context => ScrapeAsync(context, exporter)));
        return endpoints;
    }

    private static async Task ScrapeAsync(HttpContext context, PrometheusExporter exporter)
    {
        string text = await exporter.ScrapeAsync(context.RequestAborted);
        context.Response.ContentType = PrometheusExporter.ContentType;
        await context.Response.WriteAsync(text, context.RequestAborted);
    }

    // Probes and scrapes arrive every few seconds for ever; they would blur the request metrics and drown the traces.
    private static void LeaveOutOfTelemetry(IEndpointConventionBuilder endpoint) => endpoint.DisableHttpMetrics().Add(built =>
    {
        RequestDelegate answer = built.RequestDelegate!;
        built.RequestDelegate = context =>
        {
            Activity.Current?.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
            return answer(context);
        };
    });
}
