namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>Bounds every wait of a test, and says what was missing when the bound is hit.</summary>
public static class Deadline
{
    /// <summary>How long a test waits for anything that should come at once: generous, since only failures pay for it.</summary>
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(20);

    /// <summary>Awaits <paramref name="wait"/>, or fails with a message that names <paramref name="missing"/>.</summary>
    public static async Task<T> WaitAsync<T>(Func<CancellationToken, ValueTask<T>> wait, string missing, TimeSpan? limit = null)
    {
        var bound = limit ?? Default;
        using var source = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        source.CancelAfter(bound);
        try
        {
            return await wait(source.Token);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"Missing after {bound.TotalSeconds:0.###} s: {missing}.");
        }
    }

    /// <inheritdoc cref="WaitAsync{T}(Func{CancellationToken, ValueTask{T}}, string, TimeSpan?)"/>
    public static Task WaitAsync(Func<CancellationToken, ValueTask> wait, string missing, TimeSpan? limit = null) =>
        WaitAsync(
            async token =>
            {
                await wait(token);
                return true;
            },
            missing,
            limit);

    /// <inheritdoc cref="WaitAsync{T}(Func{CancellationToken, ValueTask{T}}, string, TimeSpan?)"/>
    public static Task<T> WaitAsync<T>(Task<T> task, string missing, TimeSpan? limit = null) =>
        WaitAsync(async token => await task.WaitAsync(token), missing, limit);

    /// <inheritdoc cref="WaitAsync{T}(Func{CancellationToken, ValueTask{T}}, string, TimeSpan?)"/>
    public static Task WaitAsync(Task task, string missing, TimeSpan? limit = null) =>
        WaitAsync(async token => await task.WaitAsync(token), missing, limit);
}
