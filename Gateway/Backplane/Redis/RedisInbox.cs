using System.Threading.Channels;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>What has arrived from Redis and waits to be delivered, in the order of its arrival.</summary>
/// <remarks>
/// Redis pushes, and cannot be asked to wait; it buffers for a slow listener, 32 MB by default, and then cuts it off. Here the same
/// bound lies on this side of the network: when it is reached, <see cref="TryAdd"/> refuses and the session ends.
/// </remarks>
internal sealed class RedisInbox : IAsyncDisposable
{
    /// <summary>How many bytes may wait: as many as Redis would buffer (<c>client-output-buffer-limit pubsub</c>).</summary>
    public const long BytesMax = 32 * 1024 * 1024;

    // What a waiting message takes besides its bytes, about.
    private const int OverheadBytes = 128;

    private readonly Channel<Item> _items = Channel.CreateUnbounded<Item>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();
    private readonly IDeliverySink _sink;
    private readonly RedisMetrics _metrics;
    private readonly ILogger _logger;
    private readonly Task _run;
    private long _bytes;
    private bool _isDamaged;

    public RedisInbox(IDeliverySink sink, RedisMetrics metrics, ILogger logger)
    {
        (_sink, _metrics, _logger) = (sink, metrics, logger);
        _run = Task.Run(RunAsync);
    }

    /// <summary>How many bytes wait.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>Adds a message. Called by one session at a time.</summary>
    /// <returns><see langword="false"/> where too much waits already.</returns>
    public bool TryAdd(RedisSubscription subscription, byte[] message)
    {
        if (Bytes >= BytesMax)
        {
            return false;
        }

        Interlocked.Add(ref _bytes, message.Length + OverheadBytes);
        return _items.Writer.TryWrite(new Item(subscription, message, null));
    }

    /// <summary>Returns when everything that was added before has been delivered.</summary>
    public Task FlushAsync(CancellationToken cancellationToken)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _items.Writer.TryWrite(new Item(null, [], reached));
        return reached.Task.WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _items.Writer.TryComplete();
        await _run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync()
    {
        await foreach (var item in _items.Reader.ReadAllAsync(_stopping.Token))
        {
            if (item.Reached is { } reached)
            {
                reached.SetResult();
                continue;
            }

            while (!await _sink.WaitForRoomAsync(_stopping.Token))
            {
                // What was accepted is delivered, however long that takes. Meanwhile the messages behind it fill the inbox.
            }

            if (!item.Subscription!.HasEnded)
            {
                Deliver(item.Subscription.Pattern, item.Message);
            }

            Interlocked.Add(ref _bytes, -(item.Message.Length + OverheadBytes));
        }
    }

    private void Deliver(PatternKey pattern, byte[] message)
    {
        if (!RedisMessage.TryDecode(pattern, message, out var channel, out var events))
        {
            _metrics.Malformed.Add(1);
            if (!_isDamaged)
            {
                RedisLog.Malformed(_logger, message.Length, pattern.ToString());
            }

            _isDamaged = true;
            return;
        }

        _isDamaged = false;
        _metrics.CountReceived();
        try
        {
            _sink.Deliver(pattern, channel, events);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // A bug, which must not end all deliveries.
            RedisLog.Failed(_logger, e);
        }
        finally
        {
            events.Release();
        }
    }

    private readonly record struct Item(RedisSubscription? Subscription, byte[] Message, TaskCompletionSource? Reached);
}
