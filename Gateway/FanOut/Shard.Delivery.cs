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
        if (output.State == OutputState.Open)
        {
            CatchUp(output);
            if (HasRoom(output, frames.Length))
            {
                output.Buffer.Append(frames.Span);
                CountAppended(output, frames.Length);
            }
        }

        frames.Return();
    }

    private void Subscribe(Subscription subscription, PooledFrame confirmation)
    {
        var output = subscription.Output;
        if (output.State == OutputState.Open)
        {
            if (output.Lone is { } first)
            {
                CatchUp(output);
                var set = first.Set!;
                set.Remove(first);
                first.IsLone = false;
                set.Add(first);
                output.Lone = null;
            }

            subscription.IsLone = output.SubscriptionCount++ == 0;
            output.Lone = subscription.IsLone ? subscription : null;
            subscription.Interest.EnsureSet(Index).Add(subscription);
            subscription.Namespace.Metrics.SubscriptionAdded();
        }

        Append(output, confirmation);
    }

    private void Unsubscribe(Subscription subscription, PooledFrame confirmation)
    {
        Remove(subscription);
        Append(subscription.Output, confirmation);
    }

    private void Remove(Subscription subscription)
    {
        // A subscription that came after its connection began to close was never added.
        if (subscription.Set is { } set)
        {
            var output = subscription.Output;
            CatchUp(output);
            set.Remove(subscription);
            output.SubscriptionCount--;
            output.Lone = null;
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
                Deliver(events, set);
            }
        }

        // Its events are read until the round's end.
        if (_deliveredCount == _delivered.Length)
        {
            Array.Resize(ref _delivered, _deliveredCount * 2);
        }

        _delivered[_deliveredCount++] = delivery;
    }

    private void Deliver(EventBatch events, SubscriptionSet set)
    {
        if (set.Others is [{ } other, ..])
        {
            long delivered = 0;
            foreach (var subscription in set.Others)
            {
                delivered += Append(events, subscription);
            }

            other.Namespace.Metrics.Delivered(delivered);
        }

        if (set.Lone.Length > 0)
        {
            if (set.WaitingCount == 0)
            {
                if (_waitingSetCount == _waitingSets.Length)
                {
                    Array.Resize(ref _waitingSets, _waitingSetCount * 2);
                }

                _waitingSets[_waitingSetCount++] = set;
            }

            set.Wait(events);
            _appendedBytes += events.AcceptedBytes;
            if (set.WaitingBytes >= WaitingBytesMax)
            {
                Write(set);
            }
        }
    }

    private int Append(EventBatch events, Subscription subscription)
    {
        var output = subscription.Output;
        var head = subscription.Head;
        var delivered = 0;
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

        return delivered;
    }

    // What else goes to a connection comes behind what its lone subscription was given before.
    private void CatchUp(ConnectionOutput output)
    {
        if (output.Lone is { } subscription && subscription.CaughtUp < subscription.Set!.WaitingCount)
        {
            var count = subscription.Set.WaitingCount;
            subscription.Namespace.Metrics.Delivered(AppendWaiting(subscription));
            subscription.CaughtUp = count;
        }
    }

    private int AppendWaiting(Subscription subscription)
    {
        var delivered = 0;
        var set = subscription.Set!;
        for (var i = subscription.CaughtUp; i < set.WaitingCount; i++)
        {
            delivered += Append(set.Waiting[i], subscription);
        }

        return delivered;
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
        if (output.Lone is { } subscription)
        {
            subscription.CaughtUp = subscription.Set!.WaitingCount;
        }

        BeginClose(output, CloseReason.SlowSubscriber, CloseReason.SlowSubscriber.GetCode(), lastMessage: default);
    }

    private void CountAppended(ConnectionOutput output, int length)
    {
        _appendedBytes += length;
        Volatile.Write(ref _pendingBytes, _pendingBytes + length);
        Touch(output);
    }
}
