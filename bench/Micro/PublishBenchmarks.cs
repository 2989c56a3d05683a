using System.Globalization;
using BenchmarkDotNet.Attributes;
using Fanfare.Gateway.Apis;

namespace Fanfare.Micro;

/// <summary>A publish with an API key over the whole path, by what is published and to how many channels; nobody is subscribed.</summary>
/// <remarks>All that a connection does with the message's text up to the encoded answer, without frames and sockets.</remarks>
[MemoryDiagnoser]
public class PublishBenchmarks
{
    private const int ChannelCount = 1000;
    private const string Key = "da2-abcdefghijklmnopqrstuvwxyz";
    private const string NumberFormat = "D9";

    private readonly byte[] _oneEvent = Message(200, 1, "eu/42");
    private readonly byte[] _fiveEvents = Message(200, 5, "eu/42");
    private readonly byte[] _large = Message(10_000, 1, "eu/42");
    private readonly byte[][] _channels = [.. Enumerable.Range(0, ChannelCount).Select(i => Message(200, 1, $"eu/{i}"))];
    private readonly byte[] _new = Message(200, 1, 0.ToString(NumberFormat, CultureInfo.InvariantCulture));
    private MeasuredGateway _gateway = null!;
    private int _next;

    /// <summary>Puts the gateway together.</summary>
    [GlobalSetup]
    public void SetUp() => _gateway = new MeasuredGateway([], new AuthProvider { Mode = AuthMode.ApiKey }, Key);

    /// <summary>Takes it apart.</summary>
    [GlobalCleanup]
    public void CleanUp() => _gateway.DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>One event of 200 bytes: the yardstick.</summary>
    [Benchmark(Baseline = true)]
    public int OneEvent() => Publish(_oneEvent);

    /// <summary>Five such events.</summary>
    [Benchmark]
    public int FiveEvents() => Publish(_fiveEvents);

    /// <summary>One event of 10,000 bytes.</summary>
    [Benchmark]
    public int TenKilobytes() => Publish(_large);

    /// <summary>One event of 200 bytes to each of 1,000 channels in turn.</summary>
    [Benchmark]
    public int ThousandChannels() => Publish(_channels[_next = (_next + 1) % ChannelCount]);

    /// <summary>One event of 200 bytes to a channel that nobody has published to.</summary>
    [Benchmark]
    public int NewChannel()
    {
        var number = _new.AsSpan(_new.AsSpan().IndexOf("/orders/"u8) + "/orders/".Length, 9);
        (_next++).TryFormat(number, out _, NumberFormat, CultureInfo.InvariantCulture);
        return Publish(_new);
    }

    private static byte[] Message(int eventLength, int eventCount, string channel)
    {
        const string frame = """{"text":""}""";
        var events = string.Join(',', Enumerable.Repeat($$"""
            "{\"text\":\"{{new string('x', eventLength - frame.Length)}}\"}"
            """, eventCount));
        return MeasuredGateway.Message(
            $"""
            "channel":"/{MeasuredGateway.Namespace}/{channel}","events":[{events}]
            """,
            $$"""{"host":"localhost:8080","x-api-key":"{{Key}}"}""");
    }

    private int Publish(byte[] text)
    {
        var length = _gateway.PublishAsync(text);
        return length.IsCompleted ? length.GetAwaiter().GetResult() : throw new InvalidOperationException("Not answered from memory.");
    }
}
