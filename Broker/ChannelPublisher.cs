using System.Diagnostics;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;

namespace Fanfare.Broker;

/// <summary>A publish that waits for its channel.</summary>
internal sealed class PendingPublish(EventBatch events, long began)
{
    private readonly TaskCompletionSource<PublishStatus> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Its events; the publish holds a reference.</summary>
    public EventBatch Events { get; } = events;

    /// <summary>When it came, as a time stamp.</summary>
    public long Began { get; } = began;

    /// <summary>What became of it.</summary>
    public Task<PublishStatus> Outcome => _outcome.Task;

    /// <summary>Answers the publisher and gives the events back.</summary>
    public void Complete(PublishStatus status)
    {
        Events.Release();
        _outcome.TrySetResult(status);
    }
}

/// <summary>This gateway's publishes to one channel: one call under way, what comes in the meantime leaves with the next. Safe for concurrent use.</summary>
/// <remarks>
/// One call at a time keeps the order in which publishes came, makes each retry's place clear, and lets a busy channel carry many
/// publishes with each call.
/// </remarks>
internal sealed class ChannelPublisher(OrleansBackplane backplane, ChannelKey channel)
{
    /// <summary>How many bytes leave with one call, unless one publish alone is larger.</summary>
    private const int BatchBytesMax = 1024 * 1024;

    /// <summary>How many publishes leave with one call.</summary>
    private const int BatchCountMax = 1024;

    /// <summary>How many calls that end at once are made in a row on a thread that has sockets to look after.</summary>
    private const int CallsAtOnceMax = 16;

    private readonly Queue<PendingPublish> _pending = [];
    private bool _isRunning;
    private bool _isEnded;

    /// <summary>The channel.</summary>
    public ChannelKey Channel { get; } = channel;

    /// <summary>Adds a publish behind those that wait; <see langword="false"/> where this publisher has ended and another must be made.</summary>
    public bool TryAdd(PendingPublish publish)
    {
        bool runs;
        lock (_pending)
        {
            if (_isEnded)
            {
                return false;
            }

            _pending.Enqueue(publish);
            (runs, _isRunning) = (_isRunning, true);
        }

        if (!runs)
        {
            _ = RunAsync();
        }

        return true;
    }

    private async Task RunAsync()
    {
        var taken = new List<PendingPublish>();
        for (var atOnce = 0; TryTake(taken);)
        {
            if (atOnce == CallsAtOnceMax)
            {
                // Within one node a call need not wait for anything, and others could go on adding for ever.
                await Task.Yield();
                atOnce = 0;
            }

            var status = PublishStatus.Unavailable;
            try
            {
                var publishing = backplane.PublishBatchAsync(Channel, Join(taken), taken[0].Began);
                atOnce = publishing.IsCompleted ? atOnce + 1 : 0;
                status = await publishing;
            }
            finally
            {
                long bytes = 0;
                foreach (var publish in taken)
                {
                    bytes += publish.Events.EncodedBytes;
                    publish.Complete(status);
                }

                backplane.GiveBack(bytes);
                taken.Clear();
            }
        }
    }

    private bool TryTake(List<PendingPublish> taken)
    {
        lock (_pending)
        {
            var bytes = 0;
            while (_pending.TryPeek(out var next) && taken.Count < BatchCountMax
                && (taken.Count == 0 || bytes + next.Events.EncodedBytes <= BatchBytesMax))
            {
                taken.Add(_pending.Dequeue());
                bytes += next.Events.EncodedBytes;
            }

            // Under the lock, so that nobody adds to a publisher that nobody runs.
            _isEnded = taken.Count == 0;
            if (_isEnded)
            {
                backplane.Forget(this);
            }

            return !_isEnded;
        }
    }

    private static byte[] Join(List<PendingPublish> taken)
    {
        var length = 0;
        foreach (var publish in taken)
        {
            length += publish.Events.EncodedBytes;
        }

        var joined = GC.AllocateUninitializedArray<byte>(length);
        var position = 0;
        foreach (var publish in taken)
        {
            var bytes = publish.Events.EncodedBytes;
            publish.Events.Encode(joined.AsSpan(position, bytes));
            position += bytes;
        }

        Debug.Assert(position == length, "The batches changed while they were joined.");
        return joined;
    }
}
