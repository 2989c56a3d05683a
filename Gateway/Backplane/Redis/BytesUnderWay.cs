namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>Bounds what publishers have under way: over the bound they wait. Safe for concurrent use.</summary>
internal sealed class BytesUnderWay(long max, TimeSpan timeout, TimeProvider timeProvider)
{
    private readonly Lock _lock = new();
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private long _bytes;

    /// <summary>Takes a part of the bound, which <see cref="Leave"/> gives back.</summary>
    /// <returns><see langword="false"/> where there was no room for so long that the publish should be refused.</returns>
    public ValueTask<bool> EnterAsync(long bytes, CancellationToken cancellationToken)
    {
        TaskCompletionSource turn;
        lock (_lock)
        {
            // Whoever comes while others wait waits behind them. The last one in may exceed the bound, by one publish.
            if (_bytes < max && _waiting.Count == 0)
            {
                _bytes += bytes;
                return new(true);
            }

            turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(turn);
        }

        return WaitAsync(turn, bytes, cancellationToken);
    }

    /// <summary>Gives back what <see cref="EnterAsync"/> took.</summary>
    public void Leave(long bytes)
    {
        lock (_lock)
        {
            _bytes -= bytes;
            GrantTurn();
        }
    }

    private async ValueTask<bool> WaitAsync(TaskCompletionSource turn, long bytes, CancellationToken cancellationToken)
    {
        try
        {
            await turn.Task.WaitAsync(timeout, timeProvider, cancellationToken);
        }
        catch (TimeoutException) when (turn.TrySetCanceled(CancellationToken.None))
        {
            return false;
        }
        catch (TimeoutException)
        {
            // The turn came at the last moment.
        }
        catch (OperationCanceledException)
        {
            if (!turn.TrySetCanceled(CancellationToken.None))
            {
                lock (_lock)
                {
                    GrantTurn();
                }
            }

            throw;
        }

        lock (_lock)
        {
            _bytes += bytes;
            // One at a time, since how much each takes is known only here.
            GrantTurn();
        }

        return true;
    }

    private void GrantTurn()
    {
        while (_bytes < max && _waiting.TryDequeue(out var next))
        {
            if (next.TrySetResult())
            {
                return;
            }
        }
    }
}
