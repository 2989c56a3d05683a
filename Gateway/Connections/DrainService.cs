using Fanfare.Gateway.FanOut;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Connections;

/// <summary>Closes all WebSockets with 1001 when the host stops, and waits for them before the server is stopped.</summary>
/// <remarks>When the wait has ended, the interests of those that were closed have been withdrawn from the backplane.</remarks>
internal sealed class DrainService(
    LocalFanOut fanOut, IOptions<GatewayOptions> gatewayOptions, IOptions<HostOptions> options, TimeProvider timeProvider)
    : IHostedLifecycleService
{
    /// <inheritdoc/>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        var drainTime = gatewayOptions.Value.DrainTime;
        fanOut.Drain(drainTime);
        // What the connections don't use of the shutdown's time is left to the requests under way.
        var answerTime = (options.Value.ShutdownTimeout - drainTime) * 0.8;
        using var timeout = new CancellationTokenSource(drainTime + answerTime, timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await fanOut.WaitUntilEmptyAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            fanOut.Abandon();
        }
    }

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
