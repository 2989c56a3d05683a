using System.Buffers.Binary;
using System.Text;
using BenchmarkDotNet.Attributes;
using Fanfare.Gateway;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;

namespace Fanfare.Micro;

/// <summary>The steps of a publish that do not depend on who sent it: from a masked frame to a message, its events, its channel, its answer.</summary>
[MemoryDiagnoser]
public class ProtocolBenchmarks
{
    private const string ApiId = "abcdefghijklmnopqrstuvwxyz";
    private const int Masked = 0x80;

    private readonly GatewayLimits _limits = new();
    private readonly Input _small = new(eventLength: 200, eventCount: 1);
    private readonly Input _five = new(eventLength: 200, eventCount: 5);
    private readonly Input _large = new(eventLength: 100 * 1024, eventCount: 1);
    private readonly byte[] _channelText = "/orders/eu/berlin/42/lines"u8.ToArray();
    private readonly byte[] _id = "5d0c9f5e-6ad9-4c2b-9a0e-1f1f3d0f4a77"u8.ToArray();
    private MessageReader _reader = null!;
    private ChannelKey _channel;
    private EventBatch _oneEvent = null!;
    private EventBatch _fiveEvents = null!;

    /// <summary>Makes what single steps start from.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        _reader = new MessageReader(_limits.MessageBytesMax);
        if (!ChannelKey.TryParse(ApiId, _channelText, _limits, out _channel)
            || EventReader.TryRead(_small.Events, _limits, out _oneEvent!) != EventsError.None
            || EventReader.TryRead(_five.Events, _limits, out _fiveEvents!) != EventsError.None)
        {
            throw new InvalidOperationException("The input is not valid.");
        }
    }

    /// <summary>Takes a publish of one event of 200 bytes apart: the yardstick.</summary>
    [Benchmark(Baseline = true)]
    public bool ParsePublish200Bytes() => _small.Parse();

    /// <summary>Takes a publish of five such events apart.</summary>
    [Benchmark]
    public bool ParsePublish5Events() => _five.Parse();

    /// <summary>Takes a publish of one event of 100 KB apart.</summary>
    [Benchmark]
    public bool ParsePublish100Kilobytes() => _large.Parse();

    /// <summary>Reads and checks one event of 200 bytes.</summary>
    [Benchmark]
    public bool ReadEvents200Bytes() => ReadEvents(_small);

    /// <summary>Reads and checks five such events.</summary>
    [Benchmark]
    public bool ReadEvents5() => ReadEvents(_five);

    /// <summary>Reads and checks one event of 100 KB.</summary>
    [Benchmark]
    public bool ReadEvents100Kilobytes() => ReadEvents(_large);

    /// <summary>Reads the masked frame of the publish of 200 bytes.</summary>
    [Benchmark]
    public bool ReadFrame200Bytes() => ReadFrame(_small);

    /// <summary>Reads the masked frame of the publish of 100 KB.</summary>
    [Benchmark]
    public bool ReadFrame100Kilobytes() => ReadFrame(_large);

    /// <summary>Parses a channel of five segments.</summary>
    [Benchmark]
    public bool ParseChannel() => ChannelKey.TryParse(ApiId, _channelText, _limits, out _);

    /// <summary>Enumerates the four wildcards that match it.</summary>
    [Benchmark]
    public int EnumerateWildcards()
    {
        var (position, length) = (0, 0);
        while (_channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            length += wildcard.Length;
        }

        return length;
    }

    /// <summary>Encodes the answer to a publish of one event.</summary>
    [Benchmark]
    public int EncodeSuccess1Event() => EncodeSuccess(_oneEvent);

    /// <summary>Encodes the answer to a publish of five.</summary>
    [Benchmark]
    public int EncodeSuccess5Events() => EncodeSuccess(_fiveEvents);

    private bool ReadEvents(Input input)
    {
        var error = EventReader.TryRead(input.Events, _limits, out var batch);
        batch!.Release();
        return error == EventsError.None;
    }

    private bool ReadFrame(Input input)
    {
        ReadOnlySpan<byte> bytes = input.Frame;
        return _reader.TryRead(ref bytes) == MessageKind.Text ? true : throw new InvalidOperationException("Not a message.");
    }

    private int EncodeSuccess(EventBatch events)
    {
        var frame = PublishReply.EncodeSuccess(_id, events);
        frame.Return();
        return frame.Length;
    }

    /// <summary>A publish with an API key: its text, its events, its frame.</summary>
    private sealed class Input
    {
        private readonly byte[] _text;
        private readonly byte[] _events;

        public Input(int eventLength, int eventCount)
        {
            const string frame = """{\"text\":\"\"}""";
            var escapes = frame.Count(c => c == '\\');
            var text = new string('x', eventLength - (frame.Length - escapes));
            var events = string.Join(',', Enumerable.Repeat($$"""
                "{\"text\":\"{{text}}\"}"
                """, eventCount));
            _events = Encoding.UTF8.GetBytes($"[{events}]");
            _text = MeasuredGateway.Message(
                $"""
                "channel":"/orders/eu/42","events":[{events}]
                """,
                """{"host":"localhost:8080","x-api-key":"da2-abcdefghijklmnopqrstuvwxyz"}""");
            Frame = Mask(_text);
        }

        public ReadOnlySpan<byte> Events => _events;

        public byte[] Frame { get; }

        public bool Parse() => ClientMessage.TryParse(_text, out _) ? true : throw new InvalidOperationException("Not a message.");

        private static byte[] Mask(byte[] payload)
        {
            const byte finText = 0x81;
            ReadOnlySpan<byte> key = [0x37, 0xFA, 0x21, 0x3D];
            var header = payload.Length <= ushort.MaxValue ? 4 : 10;
            var frame = new byte[header + key.Length + payload.Length];
            frame[0] = finText;
            if (header == 4)
            {
                frame[1] = Masked | 126;
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(2), (ushort)payload.Length);
            }
            else
            {
                frame[1] = Masked | 127;
                BinaryPrimitives.WriteUInt64BigEndian(frame.AsSpan(2), (ulong)payload.Length);
            }

            key.CopyTo(frame.AsSpan(header));
            for (var i = 0; i < payload.Length; i++)
            {
                frame[header + key.Length + i] = (byte)(payload[i] ^ key[i & 3]);
            }

            return frame;
        }
    }
}
