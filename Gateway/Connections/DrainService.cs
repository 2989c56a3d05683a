using Fanfare.Gateway.FanOut;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Connections;

/// <summary>Closes all WebSockets with 1001 when the host stops, and waits for them before the server is stopped.</summary>
internal sealed class DrainService(LocalFanOut fanOut, IOptions<HostOptions> options, TimeProvider timeProvider) : IHostedLifecycleService
{
    /// <inheritdoc/>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        fanOut.Drain();
        // What the connections don't use of the shutdown's time is left to the requests under way.
        using var timeout = new CancellationTokenSource(options.Value.ShutdownTimeout * 0.8, timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await fanOut.WaitUntilEmptyAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            // The server's own stop breaks off what is left.
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
