using System.Buffers.Binary;
using System.Text;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Tests.TestKit;
using WireOpcode = Fanfare.Gateway.Tests.TestKit.Opcode;

namespace Fanfare.Gateway.Tests.Protocol;

/// <summary>The reader of WebSocket frames, without a socket: however the bytes arrive, the messages are the same.</summary>
public sealed class MessageReaderTests
{
    private const int MessageBytesMax = 100_000;

    public static TheoryData<string, byte[]> Streams { get; } = new()
    {
        { "one text", WireFrame.EncodeText("Grüße") },
        { "an empty text", WireFrame.EncodeText("") },
        { "two texts", [.. WireFrame.EncodeText("one"), .. WireFrame.EncodeText("two")] },
        { "a text with a 16-bit length", WireFrame.EncodeText(new string('x', 130)) },
        {
            "fragments with control frames between them",
            [
                .. WireFrame.Encode(WireOpcode.Text, "Gr\u00fc"u8[..3], isFinal: false),
                .. WireFrame.Encode(WireOpcode.Ping, "p"u8),
                .. WireFrame.Encode(WireOpcode.Continuation, "Gr\u00fc"u8[3..], isFinal: false),
                .. WireFrame.Encode(WireOpcode.Pong, ""u8),
                .. WireFrame.Encode(WireOpcode.Continuation, ""u8),
                .. WireFrame.EncodeText("next"),
            ]
        },
        { "a close with code and reason", [.. WireFrame.EncodeText("last"), .. WireFrame.EncodeClose(1000, "done")] },
        { "a close without code", WireFrame.Encode(WireOpcode.Close, ""u8) },
        { "a close with half a code", WireFrame.Encode(WireOpcode.Close, "x"u8) },
        { "a close with a code that may not be sent", WireFrame.EncodeClose(1005) },
        { "a close whose reason is not UTF-8", WireFrame.Encode(WireOpcode.Close, [0x03, 0xe8, 0xff]) },
        { "an unmasked text", [.. WireFrame.EncodeText("one"), .. WireFrame.Encode(WireOpcode.Text, "two"u8, isMasked: false)] },
        { "a reserved bit", WireFrame.Encode(WireOpcode.Text, "x"u8, reserved: 4) },
        { "an unknown opcode", WireFrame.Encode((WireOpcode)3, "x"u8) },
        { "a binary message", WireFrame.Encode(WireOpcode.Binary, "x"u8) },
        { "a continuation of nothing", WireFrame.Encode(WireOpcode.Continuation, "x"u8) },
        {
            "a text inside a text",
            [.. WireFrame.Encode(WireOpcode.Text, "x"u8, isFinal: false), .. WireFrame.EncodeText("y")]
        },
        { "a fragmented ping", WireFrame.Encode(WireOpcode.Ping, "x"u8, isFinal: false) },
        { "a ping of 126 bytes", WireFrame.Encode(WireOpcode.Ping, new byte[126]) },
        { "a ping of 125 bytes", WireFrame.Encode(WireOpcode.Ping, new byte[125]) },
        { "a text that is not UTF-8", WireFrame.Encode(WireOpcode.Text, [0xc3, 0x28]) },
        { "a text that ends inside a character", WireFrame.Encode(WireOpcode.Text, [0xe2, 0x82]) },
    };

    [Theory]
    [MemberData(nameof(Streams))]
    public void Bytes_cut_anywhere_give_the_same_messages(string name, byte[] bytes)
    {
        var expected = SlowReader.Read(bytes, MessageBytesMax);
        Assert.True(expected.Count > 0, $"{name} gives nothing");

        Assert.Equal(expected, Read([bytes]));
        for (var cut = 1; cut < bytes.Length; cut++)
        {
            Assert.Equal(expected, Read([bytes[..cut], bytes[cut..]]));
        }

        Assert.Equal(expected, Read(bytes.Select(value => new[] { value })));
    }

    [Theory]
    [InlineData(MessageBytesMax, "Text")]
    [InlineData(MessageBytesMax + 1, "Violation")]
    public void A_message_over_the_limit_is_refused_and_one_of_just_the_limit_is_not(int length, string expected)
    {
        var one = WireFrame.EncodeText(new string('x', length));
        byte[] two =
        [
            .. WireFrame.Encode(WireOpcode.Text, new byte[length - 1], isFinal: false),
            .. WireFrame.Encode(WireOpcode.Continuation, "x"u8),
        ];

        Assert.StartsWith(expected, Assert.Single(Read([one])), StringComparison.Ordinal);
        Assert.StartsWith(expected, Assert.Single(Read([two])), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(MessageBytesMax + 1UL, CloseCode.MessageTooBig)]
    [InlineData(long.MaxValue, CloseCode.MessageTooBig)]
    [InlineData(1UL << 63, CloseCode.ProtocolError)]
    [InlineData(ulong.MaxValue, CloseCode.ProtocolError)]
    internal void A_length_is_judged_before_any_of_its_bytes_has_come(ulong length, CloseCode expected)
    {
        var header = new byte[14];
        header[0] = 0x81;
        header[1] = 0xff;
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(2), length);

        Assert.Equal([$"Violation {expected}"], Read([header]));
    }

    [Fact]
    public void A_header_that_announces_much_takes_no_memory_before_the_bytes_come()
    {
        var header = WireFrame.EncodeText(new string('x', 3 * 1024 * 1024))[..14];
        var reader = new MessageReader(4 * 1024 * 1024);
        var before = GC.GetAllocatedBytesForCurrentThread();

        ReadOnlySpan<byte> input = header;
        Assert.Equal(MessageKind.None, reader.TryRead(ref input));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 * 1024);
        reader.Release();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_framing_is_read_as_a_slow_reader_of_the_rules_reads_it(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 2_000; round++)
        {
            var bytes = RandomStream(random);
            var expected = SlowReader.Read(bytes, MessageBytesMax);

            var chunks = Cut(random, bytes);
            Assert.Equal(expected, Read(chunks));
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void Random_bytes_never_throw_and_are_read_as_the_slow_reader_reads_them(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = new byte[random.Next(1, 40)];
            random.NextBytes(bytes);
            if (random.Next(2) == 0)
            {
                bytes[0] = (byte)(random.Next(2) == 0 ? 0x81 : 0x01);
                if (bytes.Length > 1)
                {
                    bytes[1] |= 0x80;
                }
            }

            Assert.Equal(SlowReader.Read(bytes, MessageBytesMax), Read(Cut(random, bytes)));
        }
    }

    private static byte[] RandomStream(Random random)
    {
        var bytes = new List<byte>();
        var inMessage = false;
        for (var frames = random.Next(1, 12); frames > 0; frames--)
        {
            var isControl = random.Next(3) == 0;
            var payload = Encoding.UTF8.GetBytes(new string(random.Next(2) == 0 ? 'x' : 'é', random.Next(isControl ? 60 : 300)));
            if (isControl)
            {
                bytes.AddRange(WireFrame.Encode(random.Next(2) == 0 ? WireOpcode.Ping : WireOpcode.Pong, payload));
                continue;
            }

            var isFinal = random.Next(2) == 0;
            bytes.AddRange(WireFrame.Encode(inMessage ? WireOpcode.Continuation : WireOpcode.Text, payload, isFinal));
            inMessage = !isFinal;
        }

        if (random.Next(3) == 0)
        {
            bytes.AddRange(WireFrame.EncodeClose(random.Next(990, 1020)));
        }
        else if (random.Next(3) == 0)
        {
            bytes[random.Next(bytes.Count)] ^= (byte)(1 << random.Next(8));
        }

        return [.. bytes];
    }

    private static byte[][] Cut(Random random, byte[] bytes)
    {
        var chunks = new List<byte[]>();
        for (var start = 0; start < bytes.Length;)
        {
            var length = Math.Min(bytes.Length - start, random.Next(1, random.Next(2) == 0 ? 4 : 200));
            chunks.Add(bytes[start..(start + length)]);
            start += length;
        }

        return [.. chunks];
    }

    /// <summary>Reads chunks as a socket hands them over.</summary>
    private static List<string> Read(IEnumerable<byte[]> chunks)
    {
        var reader = new MessageReader(MessageBytesMax);
        var found = new List<string>();
        foreach (var chunk in chunks)
        {
            ReadOnlySpan<byte> input = chunk;
            if (!Drain(reader, ref input, found))
            {
                break;
            }

            Assert.True(input.IsEmpty, "What is no whole message yet is kept.");
            reader.ReleaseIdle();
        }

        reader.Release();
        return found;
    }

    private static bool Drain(MessageReader reader, ref ReadOnlySpan<byte> input, List<string> found)
    {
        while (true)
        {
            var kind = reader.TryRead(ref input);
            switch (kind)
            {
                case MessageKind.None:
                    return true;
                case MessageKind.Close or MessageKind.Violation:
                    found.Add($"{kind} {reader.CloseCode}");
                    return false;
                default:
                    found.Add($"{kind} {Convert.ToHexString(reader.Payload.Span)}");
                    break;
            }
        }
    }

    /// <summary>RFC 6455, section 5, one byte after the other over a whole stream.</summary>
    private static class SlowReader
    {
        public static List<string> Read(byte[] bytes, int messageBytesMax)
        {
            var found = new List<string>();
            var message = new List<byte>();
            var messageOpcode = 0;
            var position = 0;
            while (true)
            {
                if (bytes.Length - position < 2)
                {
                    return found;
                }

                var (isFinal, reserved, opcode) = ((bytes[position] & 0x80) != 0, bytes[position] & 0x70, bytes[position] & 0x0f);
                var (isMasked, shortLength) = ((bytes[position + 1] & 0x80) != 0, bytes[position + 1] & 0x7f);
                var isControl = opcode >= 8;
                var isAllowed = reserved == 0 && isMasked && opcode switch
                {
                    0 => messageOpcode != 0,
                    1 or 2 => messageOpcode == 0,
                    8 or 9 or 10 => isFinal && shortLength <= 125,
                    _ => false,
                };
                if (!isAllowed)
                {
                    return [.. found, "Violation ProtocolError"];
                }

                var lengthBytes = shortLength switch { 126 => 2, 127 => 8, _ => 0 };
                var headerLength = 2 + lengthBytes + 4;
                if (bytes.Length - position < headerLength)
                {
                    return found;
                }

                ulong length = lengthBytes == 0 ? (ulong)shortLength : 0;
                for (var i = 0; i < lengthBytes; i++)
                {
                    length = (length << 8) | bytes[position + 2 + i];
                }

                if (!isControl && length > (ulong)(messageBytesMax - message.Count))
                {
                    return [.. found, length > long.MaxValue ? "Violation ProtocolError" : "Violation MessageTooBig"];
                }

                if ((ulong)(bytes.Length - position - headerLength) < length)
                {
                    return found;
                }

                var payload = new byte[length];
                for (var i = 0; i < payload.Length; i++)
                {
                    payload[i] = (byte)(bytes[position + headerLength + i] ^ bytes[position + headerLength - 4 + (i % 4)]);
                }

                position += headerLength + payload.Length;
                if (opcode == 8)
                {
                    return [.. found, DescribeClose(payload)];
                }

                if (isControl)
                {
                    found.Add($"{(opcode == 9 ? "Ping" : "Pong")} {Convert.ToHexString(payload)}");
                    continue;
                }

                message.AddRange(payload);
                messageOpcode = opcode == 0 ? messageOpcode : opcode;
                if (!isFinal)
                {
                    continue;
                }

                if (messageOpcode == 2)
                {
                    return [.. found, "Violation UnsupportedData"];
                }

                if (!IsUtf8([.. message]))
                {
                    return [.. found, "Violation InvalidPayload"];
                }

                found.Add($"Text {Convert.ToHexString([.. message])}");
                message.Clear();
                messageOpcode = 0;
            }
        }

        private static string DescribeClose(byte[] payload)
        {
            if (payload.Length == 0)
            {
                return "Close None";
            }

            var code = payload.Length == 1 ? 0 : (payload[0] << 8) | payload[1];
            var isSendable = code is >= 1000 and <= 1014 and not (1004 or 1005 or 1006) or >= 3000 and <= 4999;
            return !isSendable ? "Violation ProtocolError"
                : !IsUtf8(payload[2..]) ? "Violation InvalidPayload"
                : $"Close {(CloseCode)code}";
        }

        private static bool IsUtf8(byte[] bytes)
        {
            try
            {
                new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(bytes);
                return true;
            }
            catch (ArgumentException)
            {
                return false;
            }
        }
    }
}
