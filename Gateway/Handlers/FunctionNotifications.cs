using Fanfare.Gateway.Lambda;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers;

/// <summary>Calls of functions that nobody waits for: <c>DIRECT</c> handlers of the invoke type <c>EVENT</c>.</summary>
/// <remarks>Bounded in calls and bytes under way; what does not fit is dropped and counted. Safe for concurrent use.</remarks>
internal sealed class FunctionNotifications : IAsyncDisposable
{
    private const int CallsMax = 1000;
    private const long BytesMax = 64L * 1024 * 1024;
    private static readonly TimeSpan s_endTimeout = TimeSpan.FromSeconds(2);

    private readonly LambdaClient _lambda;
    private readonly HandlerLog _log;
    private readonly TimeSpan _timeout;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private int _calls;
    private long _bytes;
    private bool _isClosed;

    public FunctionNotifications(LambdaClient lambda, HandlerLog log, IOptions<GatewayOptions> options)
    {
        _lambda = lambda;
        _log = log;
        _timeout = options.Value.Handlers.Timeout;
    }

    /// <summary>Calls a function with a copy of the payload, if there is room.</summary>
    public void Send(string function, ReadOnlyMemory<byte> payload, in HandlerRequest request)
    {
        lock (_lock)
        {
            if (_isClosed || _calls >= CallsMax || _bytes + payload.Length > BytesMax)
            {
                _lambda.CountDropped(function);
                _log.Dropped(request, function);
                return;
            }

            _calls++;
            _bytes += payload.Length;
        }

        _ = CallAsync(function, payload.ToArray());
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _isClosed = true;
            if (_calls == 0)
            {
                _idle.TrySetResult();
            }
        }

        // What was taken is still sent where that is quick.
        await Task.WhenAny(_idle.Task, Task.Delay(s_endTimeout));
        await _stopping.CancelAsync();
        await _idle.Task;
        _stopping.Dispose();
    }

    private async Task CallAsync(string function, ReadOnlyMemory<byte> payload)
    {
        // The publisher's thread only starts it; the client reports failures and throws for nothing but the stop.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await _lambda.InvokeAsync(
                new LambdaInvocation(function, payload, _timeout) { Type = LambdaInvocationType.Event }, _stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // The gateway ends.
        }
        finally
        {
            lock (_lock)
            {
                _calls--;
                _bytes -= payload.Length;
                if (_isClosed && _calls == 0)
                {
                    _idle.TrySetResult();
                }
            }
        }
    }
}
