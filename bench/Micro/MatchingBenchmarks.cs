using System.Text;
using BenchmarkDotNet.Attributes;
using Fanfare.Gateway;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.FanOut;

namespace Fanfare.Micro;

/// <summary>Finding who is interested in a channel of five segments among 10,000 patterns, and what a subscribe adds to them.</summary>
[MemoryDiagnoser]
public class MatchingBenchmarks
{
    private const string ApiId = "abcdefghijklmnopqrstuvwxyz";
    private const int OtherPatterns = 10_000;
    private const int ShardCount = 2;

    // The channel itself and the four wildcards above it.
    private static readonly string[] s_matching =
        ["/orders/eu/berlin/42/lines", "/orders/*", "/orders/eu/*", "/orders/eu/berlin/*", "/orders/eu/berlin/42/*"];

    private readonly GatewayLimits _limits = new();
    private readonly byte[] _channelText = "/orders/eu/berlin/42/lines"u8.ToArray();
    private readonly byte[] _patternText = "/orders/eu/hamburg/*"u8.ToArray();
    private InterestTable _none = null!;
    private InterestTable _one = null!;
    private InterestTable _five = null!;
    private ChannelKey _channel;

    /// <summary>Fills the tables.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        (_none, _one, _five) = (CreateTable(0), CreateTable(1), CreateTable(s_matching.Length));
        if (!ChannelKey.TryParse(ApiId, _channelText, _limits, out _channel))
        {
            throw new InvalidOperationException("Not a channel.");
        }
    }

    /// <summary>Nobody is interested: the yardstick.</summary>
    [Benchmark(Baseline = true)]
    public int NoMatch() => Match(_none);

    /// <summary>Only the channel itself is subscribed to.</summary>
    [Benchmark]
    public int OneMatch() => Match(_one);

    /// <summary>The channel and all wildcards above it are.</summary>
    [Benchmark]
    public int FiveMatches() => Match(_five);

    /// <summary>Parses a wildcard and takes and gives up the interest in it, which nobody else has.</summary>
    [Benchmark]
    public bool FirstSubscribe() => Subscribe(_none, _patternText);

    /// <summary>Parses a channel and takes and gives up the interest in it, which others have.</summary>
    [Benchmark]
    public bool NextSubscribe() => Subscribe(_one, _channelText);

    private static int Match(InterestTable table, ChannelKey channel)
    {
        var count = table.TryFind(channel.Value, out _) ? 1 : 0;
        var position = 0;
        while (channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            count += table.TryFind(wildcard, out _) ? 1 : 0;
        }

        return count;
    }

    private int Match(InterestTable table) => Match(table, _channel);

    private bool Subscribe(InterestTable table, byte[] text)
    {
        if (!PatternKey.TryParse(ApiId, text, _limits, out var pattern))
        {
            throw new InvalidOperationException("Not a pattern.");
        }

        var round = AcquireAndReleaseAsync(table, pattern);
        return round.IsCompletedSuccessfully ? true : throw new InvalidOperationException("Not done at once.");
    }

    private static async Task AcquireAndReleaseAsync(InterestTable table, PatternKey pattern)
    {
        var interest = await table.AcquireAsync(pattern, 0, CancellationToken.None);
        await table.ReleaseAsync(interest, 0);
    }

    private InterestTable CreateTable(int matches)
    {
        var table = new InterestTable(new EmbeddedBackplane(new NoSink()), ShardCount);
        foreach (var text in s_matching.Take(matches).Concat(Enumerable.Range(0, OtherPatterns).Select(i => $"/orders/us/{i}/*")))
        {
            if (!PatternKey.TryParse(ApiId, Encoding.UTF8.GetBytes(text), _limits, out var pattern))
            {
                throw new InvalidOperationException($"{text} is no pattern.");
            }

            // The embedded backplane hears of nothing, so this is done when it returns.
            table.AcquireAsync(pattern, 0, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        }

        return table;
    }

    /// <summary>Where nothing is delivered.</summary>
    private sealed class NoSink : IDeliverySink
    {
        public bool HasRoom => true;

        public void Deliver(ChannelKey channel, EventBatch events)
        {
        }

        public void Deliver(PatternKey pattern, ChannelKey channel, EventBatch events)
        {
        }

        public ValueTask<bool> WaitForRoomAsync(CancellationToken cancellationToken) => new(true);
    }
}
