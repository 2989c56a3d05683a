using System.Text;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>What waits for one connection, and what is being written to it.</summary>
public sealed class OutboundBufferTests
{
    [Fact]
    public void What_is_appended_is_written_in_order_and_once()
    {
        var buffer = default(OutboundBuffer);
        buffer.Append("one"u8);
        buffer.Append("two"u8);
        Assert.Equal(6, buffer.PendingLength);
        Assert.False(buffer.IsWriting);

        Assert.Equal("onetwo", Encoding.UTF8.GetString(buffer.BeginWrite().Span));
        Assert.True(buffer.IsWriting);
        Assert.Equal(0, buffer.PendingLength);
        Assert.Equal(6, buffer.Length);

        Assert.Equal(6, buffer.EndWrite());
        Assert.False(buffer.IsWriting);
        Assert.Equal(0, buffer.Length);
    }

    [Fact]
    public void What_comes_during_a_write_waits_for_the_next_and_does_not_touch_the_first()
    {
        var buffer = default(OutboundBuffer);
        buffer.Append("first"u8);
        var writing = buffer.BeginWrite();
        buffer.Append(new byte[10_000]);

        Assert.Equal("first", Encoding.UTF8.GetString(writing.Span));
        Assert.Equal(10_005, buffer.Length);
        Assert.Equal(5, buffer.EndWrite());
        Assert.Equal(10_000, buffer.BeginWrite().Length);
        Assert.Equal(10_000, buffer.EndWrite());
    }

    [Fact]
    public void Dropping_takes_what_waits_and_leaves_the_write_under_way()
    {
        var buffer = default(OutboundBuffer);
        buffer.Append("first"u8);
        var writing = buffer.BeginWrite();
        buffer.Append("dropped"u8);

        Assert.Equal(7, buffer.DropPending());
        Assert.Equal(0, buffer.DropPending());
        Assert.Equal("first", Encoding.UTF8.GetString(writing.Span));
        Assert.Equal(5, buffer.EndWrite());
        buffer.Append("next"u8);
        Assert.Equal("next", Encoding.UTF8.GetString(buffer.BeginWrite().Span));
        buffer.EndWrite();
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 124)]
    [InlineData(1, 125)]
    [InlineData(100, 26)]
    [InlineData(40, 65_495)]
    [InlineData(40, 65_496)]
    [InlineData(40, 300_000)]
    public void A_text_of_two_parts_is_one_frame(int headLength, int tailLength)
    {
        var buffer = default(OutboundBuffer);
        buffer.Append("before"u8);
        var head = Enumerable.Repeat((byte)'h', headLength).ToArray();
        var tail = Enumerable.Repeat((byte)'t', tailLength).ToArray();
        byte[] payload = [.. head, .. tail];

        var length = buffer.AppendText(head, tail);
        buffer.Append("after"u8);

        var header = new byte[FrameHeader.LengthMax];
        var headerLength = FrameHeader.Write(header, Opcode.Text, payload.Length);
        Assert.Equal(headerLength + payload.Length, length);
        byte[] expected = [.. "before"u8, .. header[..headerLength], .. payload, .. "after"u8];
        Assert.Equal(expected, buffer.BeginWrite().ToArray());
        buffer.EndWrite();
    }

    [Fact]
    public void Random_use_gives_the_bytes_that_were_not_dropped_in_order()
    {
        var random = new Random(7);
        var buffer = default(OutboundBuffer);
        var pending = new List<byte>();
        var expected = new List<byte>();
        var written = new List<byte>();
        for (var i = 0; i < 20_000; i++)
        {
            switch (random.Next(6))
            {
                case 0 when !buffer.IsWriting && buffer.PendingLength > 0:
                    written.AddRange(buffer.BeginWrite().Span);
                    expected.AddRange(pending);
                    pending.Clear();
                    break;
                case 1 when buffer.IsWriting:
                    buffer.EndWrite();
                    break;
                case 2 when random.Next(10) == 0:
                    Assert.Equal(pending.Count, buffer.DropPending());
                    pending.Clear();
                    break;
                default:
                    var bytes = new byte[random.Next(300)];
                    random.NextBytes(bytes);
                    buffer.Append(bytes);
                    pending.AddRange(bytes);
                    break;
            }

            Assert.Equal(pending.Count, buffer.PendingLength);
        }

        Assert.Equal(expected, written);
    }
}
