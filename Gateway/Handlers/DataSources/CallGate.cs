using System.Threading.Channels;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>Bounds how many calls are under way at a time, and how many wait for their turn, first come first served.</summary>
/// <remarks>Safe for concurrent use. A turn is a place in a bounded channel, which unlike a semaphore needs no disposal.</remarks>
internal sealed class CallGate(int concurrencyMax, int waitingMax)
{
    private readonly Channel<bool> _turns = Channel.CreateBounded<bool>(concurrencyMax);
    private int _waiting;

    /// <summary>Waits for a turn.</summary>
    /// <returns>Whether there is one, which the caller ends by <see cref="Leave"/>; if not, too many wait already.</returns>
    public async ValueTask<bool> TryEnterAsync(CancellationToken cancellationToken)
    {
        if (_turns.Writer.TryWrite(true))
        {
            return true;
        }

        if (Interlocked.Increment(ref _waiting) > waitingMax)
        {
            Interlocked.Decrement(ref _waiting);
            return false;
        }

        try
        {
            await _turns.Writer.WriteAsync(true, cancellationToken);
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>Ends a turn.</summary>
    public void Leave() => _turns.Reader.TryRead(out _);
}
