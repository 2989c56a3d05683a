using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Fanfare.ServiceDefaults.Otlp;

/// <summary>Starts the providers before anything else in the host and empties them after all else has stopped.</summary>
internal sealed class OtlpLifetime(IServiceProvider services) : IHostedLifecycleService
{
    /// <summary>How long the last export may take: a collector that does not answer must not keep the process.</summary>
    private static readonly TimeSpan s_flushTimeout = TimeSpan.FromSeconds(5);

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        // Nothing asks for the providers, and they collect nothing before they exist.
        services.GetService<MeterProvider>();
        services.GetService<TracerProvider>();
        return Task.CompletedTask;
    }

    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        // Shutdown and not a flush: disposal would otherwise wait for the collector again, provider by provider. Side by side,
        // because each call blocks for as long as the collector does.
        int milliseconds = (int)s_flushTimeout.TotalMilliseconds;
        Task flush = Task.WhenAll(
            Task.Run(() => services.GetService<MeterProvider>()?.Shutdown(milliseconds), CancellationToken.None),
            Task.Run(() => services.GetService<TracerProvider>()?.Shutdown(milliseconds), CancellationToken.None),
            Task.Run(() => services.GetService<LoggerProvider>()?.Shutdown(milliseconds), CancellationToken.None));

        // The SDK takes its time limit per step. What is not sent by then is lost, which is no reason to fail a shutdown.
        await flush.WaitAsync(s_flushTimeout, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
