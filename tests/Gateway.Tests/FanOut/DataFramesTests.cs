using System.Text;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>The frames of a round, made once and changed from subscriber to subscriber.</summary>
public sealed class DataFramesTests
{
    private static readonly EventFailure s_failure = new("Failed", "It failed.");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_subscriber_gets_its_own_frames_whoever_was_before_it(int seed)
    {
        var random = new Random(seed);
        var frames = new DataFrames();
        for (var round = 0; round < 60; round++)
        {
            var batches = Enumerable.Range(0, random.Next(1, 5)).Select(_ => NewBatch(random)).ToArray();
            frames.Begin(batches, batches.Length);
            for (var subscriber = 0; subscriber < 12; subscriber++)
            {
                // Few lengths, so that some follow their like and others do not.
                var head = ServerMessages.EncodeDataHead(NewId(random, random.Next(1, 4) * 3));

                var actual = frames.Get(head).ToArray();

                Assert.Equal(Encode(batches, head), actual);
                Assert.Equal(batches.Sum(batch => batch.AcceptedCount), frames.Count);
            }

            frames.End();
            foreach (var batch in batches)
            {
                batch.Release();
            }
        }
    }

    [Theory]
    [InlineData(125)]
    [InlineData(126)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(240 * 1024)]
    public void The_header_is_right_at_each_size(int payloadLength)
    {
        var head = ServerMessages.EncodeDataHead("id"u8);
        var batch = EventBatch.Rent(16);
        batch.Add(Event(payloadLength - head.Length - 1));
        var frames = new DataFrames();
        foreach (var id in new[] { "id", "di", "longer", "id" })
        {
            var own = ServerMessages.EncodeDataHead(Encoding.ASCII.GetBytes(id));
            frames.Begin([batch], 1);

            Assert.Equal(Encode([batch], own), frames.Get(own).ToArray());
        }

        Assert.Equal(payloadLength, frames.Get(head).Length - FrameHeader.GetLength(payloadLength));
        frames.End();
        batch.Release();
    }

    [Fact]
    public void Only_the_batches_that_count_are_encoded_and_failed_events_are_not()
    {
        var head = ServerMessages.EncodeDataHead("s"u8);
        var one = EventBatch.Rent(16);
        one.AddFailed(s_failure);
        var two = EventBatch.Rent(16);
        two.Add("\"2\""u8);
        var frames = new DataFrames();

        frames.Begin([one, two], 1);
        Assert.True(frames.Get(head).IsEmpty);
        Assert.Equal(0, frames.Count);
        Assert.True(frames.Get(head).IsEmpty);
        frames.End();

        frames.Begin([one, two], 2);
        Assert.Equal(Encode([two], head), frames.Get(head).ToArray());
        Assert.Equal(1, frames.Count);
        frames.End();
        one.Release();
        two.Release();
    }

    [Fact]
    public void More_events_than_ever_before_fit()
    {
        var batch = EventBatch.Rent(16);
        for (var i = 0; i < 20_000; i++)
        {
            batch.Add(Encoding.ASCII.GetBytes($"\"{i}\""));
        }

        var frames = new DataFrames();
        for (var round = 0; round < 2; round++)
        {
            frames.Begin([batch], 1);
            foreach (var id in new[] { "a", "b", "longer" })
            {
                var head = ServerMessages.EncodeDataHead(Encoding.ASCII.GetBytes(id));
                Assert.Equal(Encode([batch], head), frames.Get(head).ToArray());
            }

            frames.End();
        }

        batch.Release();
    }

    private static EventBatch NewBatch(Random random)
    {
        var batch = EventBatch.Rent(16);
        for (var count = random.Next(1, 6); count > 0; count--)
        {
            if (random.Next(6) == 0)
            {
                batch.AddFailed(s_failure);
            }
            else
            {
                batch.Add(Event(random.Next(20) switch { 0 => random.Next(60_000, 70_000), < 4 => random.Next(60, 140), _ => random.Next(2, 40) }));
            }
        }

        return batch;
    }

    private static byte[] Event(int length) => Encoding.ASCII.GetBytes("\"" + new string('e', length - 2) + "\"");

    private static byte[] NewId(Random random, int length)
    {
        var id = new byte[length];
        for (var i = 0; i < length; i++)
        {
            id[i] = (byte)random.Next('a', 'z' + 1);
        }

        return id;
    }

    // Frame by frame, as a connection with several subscriptions gets them.
    private static byte[] Encode(EventBatch[] batches, byte[] head)
    {
        var buffer = default(OutboundBuffer);
        foreach (var batch in batches)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                if (!batch.GetTail(i).IsEmpty)
                {
                    buffer.AppendText(head, batch.GetTail(i));
                }
            }
        }

        var length = buffer.PendingLength;
        if (length == 0)
        {
            return [];
        }

        var bytes = buffer.BeginWrite().ToArray();
        buffer.EndWrite();
        return bytes;
    }
}
