namespace Fanfare.Broker;

/// <summary>Requests to one target: one leaves at once while few calls are under way, and with others otherwise. Safe for concurrent use.</summary>
/// <remarks>
/// <para>
/// A message within the cluster costs many times what it carries does. Under load, requests to the same target therefore share messages;
/// without load nothing waits for company.
/// </para>
/// <para>
/// Requests leave in the order in which they came. Where a call fails, those that wait behind it fail with it: their target is the same, and
/// whoever sent them tries again. What waits is bounded by those who send, each of whom waits for an answer.
/// </para>
/// </remarks>
internal abstract class CallBatcher<TRequest, TAnswer>
{
    /// <summary>How many calls are under way at once: while one is on its way back, the next one is on its way.</summary>
    private const int CallsMax = 2;

    /// <summary>How many requests leave with one call.</summary>
    private const int RequestsMax = 1024;

    /// <summary>How many bytes leave with one call, unless one request alone is larger.</summary>
    private const int BytesMax = 1024 * 1024;

    // Held while a call is made, so that calls are made in the order of their requests.
    private readonly Lock _calling = new();
    private readonly Queue<Waiting> _waiting = [];
    private int _callCount;
    private bool _isStarting;

    /// <summary>Sends a request; returns its answer.</summary>
    public Task<TAnswer> SendAsync(TRequest request)
    {
        var waiting = new Waiting(request);
        bool starts;
        lock (_waiting)
        {
            _waiting.Enqueue(waiting);
            starts = !_isStarting && _callCount < CallsMax;
            if (starts)
            {
                _isStarting = true;
                _callCount++;
            }
        }

        if (starts)
        {
            // Elsewhere: the sender may hold a lock, have more to send, or be a grain, in whose name nothing must be called here.
            ThreadPool.UnsafeQueueUserWorkItem(static batcher => _ = batcher.RunAsync(), this, preferLocal: false);
        }

        return waiting.Task;
    }

    /// <summary>How many bytes a request has, roughly.</summary>
    protected abstract int GetBytes(TRequest request);

    /// <summary>Makes a call.</summary>
    /// <returns>An answer for each request.</returns>
    protected abstract Task<TAnswer[]> CallAsync(TRequest[] requests);

    private async Task RunAsync()
    {
        var isStart = true;
        while (true)
        {
            Waiting[] taken;
            Task<TAnswer[]> calling;
            lock (_calling)
            {
                taken = Take(isStart);
                if (taken.Length == 0)
                {
                    return;
                }

                calling = TryCall(taken);
            }

            isStart = false;
            try
            {
                var answers = await calling.ConfigureAwait(false);
                for (var i = 0; i < taken.Length; i++)
                {
                    taken[i].SetResult(answers[i]);
                }
            }
            catch (Exception e)
            {
                // Before anyone goes on: what they send next is another attempt.
                var behind = TakeAll();
                Fail(taken, e);
                Fail(behind, e);
            }
        }
    }

    private Task<TAnswer[]> TryCall(Waiting[] taken)
    {
        try
        {
            return CallAsync(Array.ConvertAll(taken, static waiting => waiting.Request));
        }
        catch (Exception e)
        {
            return Task.FromException<TAnswer[]>(e);
        }
    }

    // Nothing where this run ends, since nothing waits.
    private Waiting[] Take(bool isStart)
    {
        lock (_waiting)
        {
            if (isStart)
            {
                _isStarting = false;
            }

            if (_waiting.Count == 0)
            {
                _callCount--;
                return [];
            }

            var count = 0;
            long bytes = 0;
            foreach (var waiting in _waiting)
            {
                bytes += GetBytes(waiting.Request);
                if (count == RequestsMax || (count > 0 && bytes > BytesMax))
                {
                    break;
                }

                count++;
            }

            var taken = new Waiting[count];
            for (var i = 0; i < count; i++)
            {
                taken[i] = _waiting.Dequeue();
            }

            return taken;
        }
    }

    private Waiting[] TakeAll()
    {
        lock (_waiting)
        {
            var all = _waiting.ToArray();
            _waiting.Clear();
            return all;
        }
    }

    private static void Fail(Waiting[] waiting, Exception exception)
    {
        foreach (var one in waiting)
        {
            one.TrySetException(exception);
        }
    }

    // Who waits goes on where the answer came, one after the other, and what they send next leaves together.
    private sealed class Waiting(TRequest request) : TaskCompletionSource<TAnswer>
    {
        public TRequest Request { get; } = request;
    }
}
