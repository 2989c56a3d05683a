using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <content>Subscriptions, and what is appended to outbound buffers.</content>
internal sealed partial class Shard
{
    private void Acknowledge(ConnectionOutput output, PooledFrame frames)
    {
        // The acknowledgement brings the first ka with it, so the next one is due a whole interval later.
        output.KeepAliveDue = _timeProvider.GetTimestamp() + _keepAliveTicks;
        Append(output, frames);
    }

    private void Append(ConnectionOutput output, PooledFrame frames)
    {
        if (output.State == OutputState.Open && HasRoom(output, frames.Length))
        {
            output.Buffer.Append(frames.Span);
            CountAppended(output, frames.Length);
        }

        frames.Return();
    }

    private void Subscribe(Subscription subscription, PooledFrame confirmation)
    {
        if (subscription.Output.State == OutputState.Open)
        {
            subscription.Interest.EnsureSet(Index).Add(subscription);
            subscription.Namespace.Metrics.SubscriptionAdded();
        }

        Append(subscription.Output, confirmation);
    }

    private void Unsubscribe(Subscription subscription, PooledFrame confirmation)
    {
        Remove(subscription);
        Append(subscription.Output, confirmation);
    }

    private void Remove(Subscription subscription)
    {
        // A subscription that came after its connection began to close was never added.
        if (subscription.Position >= 0)
        {
            subscription.Interest.GetSet(Index)!.Remove(subscription);
            subscription.Namespace.Metrics.SubscriptionsRemoved(1);
        }
    }

    private void Deliver(Delivery delivery)
    {
        var events = delivery.Events;
        foreach (var match in delivery.Matches)
        {
            if (match!.GetSet(Index) is { } set)
            {
                Deliver(events, set.Items);
            }
        }

        if (_deliveredCount == _delivered.Length)
        {
            Array.Resize(ref _delivered, _deliveredCount * 2);
        }

        _delivered[_deliveredCount++] = delivery.AcceptedAt;
        delivery.Complete();
    }

    private void Deliver(EventBatch events, ReadOnlySpan<Subscription> subscriptions)
    {
        if (subscriptions.IsEmpty)
        {
            return;
        }

        long delivered = 0;
        foreach (var subscription in subscriptions)
        {
            var output = subscription.Output;
            var head = subscription.Head;
            for (var i = 0; i < events.Count; i++)
            {
                // Empty where the event failed; it goes to nobody.
                var tail = events.GetTail(i);
                if (!tail.IsEmpty
                    && output.State == OutputState.Open
                    && HasRoom(output, FrameHeader.LengthMax + head.Length + tail.Length))
                {
                    CountAppended(output, output.Buffer.AppendText(head, tail));
                    delivered++;
                }
            }
        }

        subscriptions[0].Namespace.Metrics.Delivered(delivered);
    }

    private bool HasRoom(ConnectionOutput output, int length)
    {
        // An empty buffer takes anything: one frame over the limit is no sign of slowness.
        var waiting = output.Buffer.Length;
        if (waiting == 0 || waiting + length <= _limits.PendingBytesMax)
        {
            return true;
        }

        CloseSlow(output);
        return false;
    }

    private void CloseSlow(ConnectionOutput output)
    {
        ShardLog.SlowSubscriber(_logger, output.Api.Model.Id, output.Buffer.Length, _limits.PendingBytesMax);
        // What waits would only delay the close frame behind what the client has already failed to take.
        _pendingBytes -= output.Buffer.DropPending();
        BeginClose(output, CloseReason.SlowSubscriber, CloseReason.SlowSubscriber.GetCode(), lastMessage: default);
    }

    private void CountAppended(ConnectionOutput output, int length)
    {
        _appendedBytes += length;
        Volatile.Write(ref _pendingBytes, _pendingBytes + length);
        Touch(output);
    }
}
