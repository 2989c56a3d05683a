using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Fanfare.ServiceDefaults.Otlp;

/// <summary>Traces, metrics and logs over OTLP, when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> says where to; else nothing.</summary>
/// <remarks>
/// The providers live in the host's own services, so the SDK reads the other standard keys (protocol, headers, service name,
/// resource attributes, intervals) from the host's configuration, whatever source they come from.
/// </remarks>
internal static class OtlpExport
{
    // ASP.NET Core leaves its activities bare unless told otherwise, so as not to repeat what an instrumentation package adds.
    // There is none here.
    private const string SuppressActivityDataSwitch = "Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData";

    public static void Add(IHostApplicationBuilder builder, string serviceName)
    {
        if (string.IsNullOrWhiteSpace(builder.Configuration[OtlpSettings.EndpointKey]))
            return;

        builder.Services.AddSingleton<IValidateOptions<OtlpSettings>, OtlpSettings.Validator>();
        builder.Services.AddOptions<OtlpSettings>().ValidateOnStart();
        if (OtlpSettings.FindErrors(builder.Configuration).Count > 0)
            return; // the validation above stops the start

        if (!AppContext.TryGetSwitch(SuppressActivityDataSwitch, out bool _))
            AppContext.SetSwitch(SuppressActivityDataSwitch, false);

        // One id per process, not one per signal: each signal builds the resource anew.
        string instanceId = Guid.NewGuid().ToString();
        new TelemetryBuilder(builder.Services)
            .ConfigureResource(resource => resource
                .Clear()
                .AddService(serviceName, serviceVersion: GetVersion(), serviceInstanceId: instanceId)
                .AddTelemetrySdk()
                .AddEnvironmentVariableDetector()) // last, so that what the operator says wins
            .WithMetrics(metrics => metrics.AddMeter(TelemetrySources.Meters))
            .WithTracing(tracing => tracing.AddSource(TelemetrySources.Activities))
            .WithLogging(configureBuilder: null, configureOptions: logs =>
            {
                logs.IncludeFormattedMessage = true;
                logs.IncludeScopes = true;
            })
            .UseOtlpExporter();
        builder.Services.AddHostedService<OtlpLifetime>();
    }

    // Without the commit that the build appends after the plus sign.
    private static string? GetVersion() => typeof(OtlpExport).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0];

    /// <summary>Hands the host's services to the SDK, as the hosting package of OpenTelemetry does.</summary>
    private sealed class TelemetryBuilder(IServiceCollection services) : IOpenTelemetryBuilder
    {
        public IServiceCollection Services => services;
    }
}
