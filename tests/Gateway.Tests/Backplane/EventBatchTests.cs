using System.Text;
using Fanfare.Gateway.Backplane;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>How events travel between processes.</summary>
public sealed class EventBatchTests
{
    [Fact]
    public void What_was_encoded_is_decoded_byte_by_byte_and_failed_events_stay_behind()
    {
        var events = EventBatch.Rent(16);
        events.Add("\"1\""u8);
        events.AddFailed(EventFailure.TooLarge(1));
        events.Add("\"{\\\"a\\\":\\\"é\\\"}\""u8);

        var encoded = Encode(events);
        Assert.True(EventBatch.TryDecode(encoded, out var decoded));

        Assert.Equal(["\"1\"}", "\"{\\\"a\\\":\\\"é\\\"}\"}"], GetTails(decoded));
        Assert.Equal(2, decoded.AcceptedCount);
        events.Release();
        decoded.Release();
    }

    [Fact]
    public void Encoded_batches_that_are_joined_are_one_batch()
    {
        var first = EventBatch.Rent(16);
        first.Add("\"1\""u8);
        var second = EventBatch.Rent(16);
        second.Add("\"2\""u8);
        second.Add("\"3\""u8);

        Assert.True(EventBatch.TryDecode([.. Encode(first), .. Encode(second)], out var joined));

        Assert.Equal(["\"1\"}", "\"2\"}", "\"3\"}"], GetTails(joined));
        first.Release();
        second.Release();
        joined.Release();
    }

    [Fact]
    public void Bytes_that_were_cut_or_damaged_are_refused()
    {
        var events = EventBatch.Rent(16);
        events.Add("\"12345\""u8);
        var encoded = Encode(events);
        events.Release();

        for (var length = 1; length < encoded.Length; length++)
        {
            Assert.False(EventBatch.TryDecode(encoded.AsSpan(0, length), out _));
        }

        Assert.False(EventBatch.TryDecode([0xFF, 0xFF, 0xFF, 0x7F, (byte)'"', (byte)'"'], out _));
        Assert.False(EventBatch.TryDecode([0xFF, 0xFF, 0xFF, 0xFF, (byte)'"', (byte)'"'], out _));
        Assert.False(EventBatch.TryDecode([0, 0, 0, 0], out _));
    }

    private static byte[] Encode(EventBatch events)
    {
        var encoded = new byte[events.EncodedBytes];
        events.Encode(encoded);
        return encoded;
    }

    private static IEnumerable<string> GetTails(EventBatch events) =>
        [.. Enumerable.Range(0, events.Count).Select(index => Encoding.UTF8.GetString(events.GetTail(index)))];
}
