using System.Threading.Channels;

namespace Fanfare.Gateway.Lambda;

/// <summary>Calls that nobody waits for, at a host that would make its caller wait: kept here and made one after the other.</summary>
/// <remarks>Bounded in calls and bytes; what does not fit is dropped. Safe for concurrent use.</remarks>
internal sealed class LambdaBacklog : IAsyncDisposable
{
    /// <summary>How many calls may wait for one host.</summary>
    public const int CallsMax = 1000;

    private const long BytesMax = 64L * 1024 * 1024;

    private readonly Channel<Call> _calls = Channel.CreateBounded<Call>(new BoundedChannelOptions(CallsMax) { SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _worker;
    private long _bytes;

    /// <param name="call">Makes one call; reports its failure itself.</param>
    public LambdaBacklog(Func<LambdaTarget, LambdaInvocation, CancellationToken, Task> call) => _worker = RunAsync(call);

    /// <summary>Takes a call and a copy of its payload, if there is room.</summary>
    public bool TryAdd(LambdaTarget target, LambdaInvocation invocation)
    {
        if (Interlocked.Add(ref _bytes, invocation.Payload.Length) <= BytesMax
            && _calls.Writer.TryWrite(new Call(target, invocation with { Payload = invocation.Payload.ToArray() })))
        {
            return true;
        }

        Interlocked.Add(ref _bytes, -invocation.Payload.Length);
        return false;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _calls.Writer.TryComplete();
        await _stopping.CancelAsync();
        await _worker;
        _stopping.Dispose();
    }

    private async Task RunAsync(Func<LambdaTarget, LambdaInvocation, CancellationToken, Task> call)
    {
        try
        {
            await foreach (var (target, invocation) in _calls.Reader.ReadAllAsync(_stopping.Token))
            {
                Interlocked.Add(ref _bytes, -invocation.Payload.Length);
                await call(target, invocation, _stopping.Token);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The gateway ends; what still waits is lost, as it is when a process dies.
        }
    }

    private readonly record struct Call(LambdaTarget Target, LambdaInvocation Invocation);
}
