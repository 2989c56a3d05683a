using System.Collections.Concurrent;
using System.Text;
using System.Threading.Channels;
using Fanfare.Broker.Channels;
using Fanfare.Broker.Gateways;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Broker.Tests;

/// <summary>A gateway that says what the test wants it to say, and notes what it is sent.</summary>
internal sealed class FakeGateway : IGatewayObserver
{
    private readonly Channel<ChannelDelivery> _deliveries = Channel.CreateUnbounded<ChannelDelivery>();
    private long _lastChange;

    /// <summary>Its id in the cluster.</summary>
    public Guid Id { get; } = Guid.NewGuid();

    /// <summary>How far it claims to have come.</summary>
    public ChannelPosition Position { get; set; } = ChannelPosition.None;

    /// <summary>Its answer to a delivery; <see langword="null"/> for none at all.</summary>
    public Func<ChannelDelivery, DeliveryReceipt?> Receipt { get; set; } = _ => DeliveryReceipt.Received;

    /// <summary>The positions that activations began from.</summary>
    public List<(Guid Activation, long Position)> Beginnings { get; } = [];

    /// <summary>How many deliveries came with each message.</summary>
    public ConcurrentBag<int> Messages { get; } = [];

    /// <inheritdoc/>
    public Task<ChannelPosition> BeginAsync(string channel, Guid activation, long position)
    {
        Beginnings.Add((activation, position));
        return Task.FromResult(Position);
    }

    /// <inheritdoc/>
    public async Task<DeliveryReceipt[]> DeliverAsync(ChannelDelivery[] deliveries)
    {
        Messages.Add(deliveries.Length);
        var receipts = new DeliveryReceipt[deliveries.Length];
        for (var i = 0; i < deliveries.Length; i++)
        {
            if (Receipt(deliveries[i]) is not { } receipt)
            {
                // As one that has died: the caller's own time-out ends it.
                await Task.Delay(TimeSpan.FromSeconds(30));
                break;
            }

            if (receipt == DeliveryReceipt.Received)
            {
                _deliveries.Writer.TryWrite(deliveries[i]);
            }

            receipts[i] = receipt;
        }

        return receipts;
    }

    /// <inheritdoc/>
    public Task<bool> WaitForRoomAsync() => Task.FromResult(true);

    /// <summary>The events of the next delivery.</summary>
    public async Task<string> NextAsync() => Read((await NextDeliveryAsync()).Batch);

    /// <summary>The next delivery.</summary>
    public Task<ChannelDelivery> NextDeliveryAsync() => Deadline.WaitAsync(token => _deliveries.Reader.ReadAsync(token), "a delivery");

    /// <summary>Asserts that nothing has come that the test did not take.</summary>
    public void AssertNothingElse() => Assert.False(_deliveries.Reader.TryRead(out var delivery), $"an unexpected delivery, {delivery?.Sequence}");

    /// <summary>Its next change of interest.</summary>
    public InterestChange Change(bool isInterested) => new(Id, ++_lastChange, isInterested);

    /// <summary>Makes a batch of one event.</summary>
    public static PublishBatch Batch(Guid publisher, long number, string text)
    {
        var events = EventBatch.Rent(64);
        events.Add(Encoding.UTF8.GetBytes($"\"{text}\""));
        var encoded = new byte[events.EncodedBytes];
        events.Encode(encoded);
        events.Release();
        return new PublishBatch { Gateway = publisher, Number = number, Events = encoded };
    }

    /// <summary>The text of a batch's events.</summary>
    public static string Read(PublishBatch batch)
    {
        Assert.True(EventBatch.TryDecode(batch.Events, out var events));
        var texts = Enumerable.Range(0, events.Count).Select(index => Encoding.UTF8.GetString(events.GetTail(index)).TrimEnd('}').Trim('"'));
        var text = string.Join(',', texts);
        events.Release();
        return text;
    }
}
