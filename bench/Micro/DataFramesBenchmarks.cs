using BenchmarkDotNet.Attributes;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Micro;

/// <summary>The frames that one subscriber is sent, of events of 200 bytes: encoded, and made of those of the subscriber before.</summary>
[MemoryDiagnoser]
public class DataFramesBenchmarks
{
    private readonly DataFrames _frames = new();
    private readonly byte[] _head = ServerMessages.EncodeDataHead("5d0c9f5e-6ad9-4c2b-9a0e-1f1f3d0f4a77"u8);
    private readonly byte[] _otherHead = ServerMessages.EncodeDataHead("0b7f3c1a-92d4-4e55-8c66-7a1d2e3f4b5c"u8);
    private EventBatch[] _one = [];
    private EventBatch[] _hundred = [];
    private bool _isOther;

    /// <summary>Makes the events; the frames of <see cref="Next1Event"/> and <see cref="Next100Events"/> are made once.</summary>
    [GlobalSetup]
    public void SetUp() => (_one, _hundred) = (CreateBatches(1), CreateBatches(100));

    /// <summary>Makes the events, and the first subscriber's frame.</summary>
    [GlobalSetup(Target = nameof(Next1Event))]
    public void SetUpNext1Event()
    {
        SetUp();
        Encode(_one);
    }

    /// <summary>Makes the events, and the first subscriber's frames.</summary>
    [GlobalSetup(Target = nameof(Next100Events))]
    public void SetUpNext100Events()
    {
        SetUp();
        Encode(_hundred);
    }

    /// <summary>The first subscriber's frame: the yardstick.</summary>
    [Benchmark(Baseline = true)]
    public int First1Event() => Encode(_one);

    /// <summary>The next one's.</summary>
    [Benchmark]
    public int Next1Event() => Next();

    /// <summary>The first subscriber's frames of a hundred events that wait together.</summary>
    [Benchmark]
    public int First100Events() => Encode(_hundred);

    /// <summary>The next one's.</summary>
    [Benchmark]
    public int Next100Events() => Next();

    private int Encode(EventBatch[] batches)
    {
        _frames.Begin(batches, batches.Length);
        return _frames.Get(_head).Length;
    }

    private int Next()
    {
        _isOther = !_isOther;
        return _frames.Get(_isOther ? _otherHead : _head).Length;
    }

    private static EventBatch[] CreateBatches(int count)
    {
        var text = new byte[200];
        text.AsSpan().Fill((byte)'x');
        text[0] = text[^1] = (byte)'"';
        var batches = new EventBatch[count];
        for (var i = 0; i < count; i++)
        {
            batches[i] = EventBatch.Rent(text.Length);
            batches[i].Add(text);
        }

        return batches;
    }
}
