using System.Text;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Tests.Channels;

/// <summary>Which texts are channels and patterns, what they are kept as, and which channels a pattern matches.</summary>
public sealed class ChannelKeyTests
{
    private const string Api = "api";
    private const string Fifty = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee";

    private static readonly GatewayLimits s_limits = new();

    [Theory]
    [InlineData("/chat", "/chat")]
    [InlineData("chat", "/chat")]
    [InlineData("chat/", "/chat")]
    [InlineData("/chat/", "/chat")]
    [InlineData("/chat/eu/42", "/chat/eu/42")]
    [InlineData("chat/eu/42/", "/chat/eu/42")]
    [InlineData("/a/b/c/d/e", "/a/b/c/d/e")]
    [InlineData("/a", "/a")]
    [InlineData("/0/9", "/0/9")]
    [InlineData("/Chat/EU", "/Chat/EU")]
    [InlineData("/a-b/c--d", "/a-b/c--d")]
    [InlineData("/" + Fifty, "/" + Fifty)]
    [InlineData("/a/" + Fifty, "/a/" + Fifty)]
    public void A_channel_is_kept_in_one_form(string text, string path)
    {
        Assert.True(TryParseChannel(text, out var channel));
        Assert.True(TryParsePattern(text, out var pattern));

        Assert.Equal(path, channel.ToString());
        Assert.Equal(path, channel.Path.ToString());
        Assert.Equal(Api + path, channel.Value);
        Assert.Equal(Api, channel.ApiId.ToString());
        Assert.Equal(path.Split('/')[1], channel.Namespace.ToString());
        Assert.Equal(channel.Value, pattern.Value);
        Assert.Equal(channel.Path.ToString(), ChannelKey.FromValue(channel.Value).Path.ToString());
        Assert.Equal(pattern.ToString(), PatternKey.FromValue(pattern.Value).ToString());
        Assert.Equal(path, pattern.ToString());
        Assert.Equal(path.Split('/')[1], pattern.Namespace.ToString());
        Assert.False(pattern.IsWildcard);
        Assert.True(pattern.Matches(channel));
    }

    [Theory]
    [InlineData("/chat/*", "/chat/")]
    [InlineData("chat/*", "/chat/")]
    [InlineData("/chat/eu/*", "/chat/eu/")]
    [InlineData("/a/b/c/d/*", "/a/b/c/d/")]
    public void A_wildcard_is_a_pattern_and_no_channel(string text, string prefix)
    {
        Assert.False(TryParseChannel(text, out _));
        Assert.True(TryParsePattern(text, out var pattern));

        Assert.True(pattern.IsWildcard);
        Assert.Equal(Api + prefix, pattern.Value);
        Assert.Equal(prefix + "*", pattern.ToString());
        Assert.Equal(Api, pattern.ApiId.ToString());
        Assert.Equal(prefix.Split('/')[1], pattern.Namespace.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("//")]
    [InlineData("///")]
    [InlineData("//chat")]
    [InlineData("/chat//")]
    [InlineData("/chat//eu")]
    [InlineData("*")]
    [InlineData("/*")]
    [InlineData("/*/")]
    [InlineData("/chat/*/")]
    [InlineData("/chat/*/eu")]
    [InlineData("/*/chat")]
    [InlineData("/chat/**")]
    [InlineData("/chat/a*")]
    [InlineData("/chat/*a")]
    [InlineData("/chat*")]
    [InlineData("/-chat")]
    [InlineData("/chat-")]
    [InlineData("/-")]
    [InlineData("/chat/-a")]
    [InlineData("/chat/a-")]
    [InlineData("/chat/a_b")]
    [InlineData("/chat/a.b")]
    [InlineData("/chat/a b")]
    [InlineData(" /chat")]
    [InlineData("/chat ")]
    [InlineData("/chat/é")]
    [InlineData("/chat/\0")]
    [InlineData("/chat\n")]
    [InlineData("/chat/a\\b")]
    [InlineData("/chat/%41")]
    [InlineData("/a/b/c/d/e/f")]
    [InlineData("/a/b/c/d/e/*")]
    [InlineData("/" + Fifty + "f")]
    [InlineData("/a/" + Fifty + "f")]
    public void Anything_else_is_neither(string text)
    {
        Assert.False(TryParseChannel(text, out _));
        Assert.False(TryParsePattern(text, out _));
    }

    [Fact]
    public void The_limits_are_the_gateways_own()
    {
        var limits = new GatewayLimits { ChannelSegmentsMax = 2, SegmentLengthMax = 3 };

        Assert.True(ChannelKey.TryParse(Api, "/abc/abc"u8, limits, out _));
        Assert.True(PatternKey.TryParse(Api, "/abc/*"u8, limits, out _));
        Assert.False(ChannelKey.TryParse(Api, "/abc/abc/a"u8, limits, out _));
        Assert.False(PatternKey.TryParse(Api, "/abc/abc/*"u8, limits, out _));
        Assert.False(ChannelKey.TryParse(Api, "/abcd"u8, limits, out _));
    }

    [Theory]
    [InlineData("/a")]
    [InlineData("/a/b", "/a/*")]
    [InlineData("/a/b/c/d/e", "/a/*", "/a/b/*", "/a/b/c/*", "/a/b/c/d/*")]
    public void A_channels_wildcards_come_from_the_shortest_to_the_longest(string text, params string[] expected)
    {
        Assert.True(TryParseChannel(text, out var channel));

        var found = new List<string>();
        var position = 0;
        while (channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            found.Add(wildcard.ToString());
        }

        Assert.Equal(expected.Select(pattern => Api + pattern[..^1]), found);
        Assert.False(channel.TryGetNextWildcard(ref position, out _), "the end is not the end");
    }

    [Theory]
    [InlineData("/chat/*", "/chat/a", true)]
    [InlineData("/chat/*", "/chat/a/b", true)]
    [InlineData("/chat/*", "/chat", false)]
    [InlineData("/chat/*", "/chats/a", false)]
    [InlineData("/chat/*", "/Chat/a", false)]
    [InlineData("/chat/a/*", "/chat/a", false)]
    [InlineData("/chat/a/*", "/chat/ab/c", false)]
    [InlineData("/chat/a", "/chat/a/b", false)]
    [InlineData("/chat/a", "/chat/A", false)]
    [InlineData("/chat/a/", "/chat/a", true)]
    public void A_pattern_matches(string patternText, string channelText, bool expected)
    {
        Assert.True(TryParsePattern(patternText, out var pattern));
        Assert.True(TryParseChannel(channelText, out var channel));

        Assert.Equal(expected, pattern.Matches(channel));
    }

    [Fact]
    public void The_same_path_of_two_APIs_is_two_channels()
    {
        Assert.True(ChannelKey.TryParse("one", "/chat/a"u8, s_limits, out var one));
        Assert.True(ChannelKey.TryParse("two", "/chat/a"u8, s_limits, out var two));
        Assert.True(PatternKey.TryParse("one", "/chat/*"u8, s_limits, out var pattern));

        Assert.NotEqual(one, two);
        Assert.True(pattern.Matches(one));
        Assert.False(pattern.Matches(two));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20260101)]
    public void Random_texts_are_judged_as_a_slow_reader_of_the_rules_judges_them(int seed)
    {
        var random = new Random(seed);
        var accepted = 0;
        for (var i = 0; i < 50_000; i++)
        {
            var text = RandomText(random);
            var expected = SlowPath.Parse(text);

            Assert.True(expected is { IsWildcard: false } == TryParseChannel(text, out var channel), $"channel \"{text}\"");
            Assert.True(expected is not null == TryParsePattern(text, out var pattern), $"pattern \"{text}\"");
            if (expected is not null)
            {
                accepted++;
                Assert.Equal(expected.ToString(), pattern.ToString());
                Assert.True(expected.IsWildcard || channel.ToString() == expected.ToString(), $"channel \"{text}\" is {channel}");
            }
        }

        Assert.InRange(accepted, 5_000, 45_000);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(20260102)]
    public void Random_patterns_match_what_a_slow_comparison_of_segments_matches(int seed)
    {
        var random = new Random(seed);
        var matches = 0;
        for (var i = 0; i < 50_000; i++)
        {
            var channelText = RandomPath(random, wildcard: false);
            var patternText = RandomPath(random, random.Next(2) == 0);
            Assert.True(TryParseChannel(channelText, out var channel), channelText);
            Assert.True(TryParsePattern(patternText, out var pattern), patternText);

            var expected = SlowPath.Parse(patternText)!.Matches(SlowPath.Parse(channelText)!);

            Assert.True(expected == pattern.Matches(channel), $"{patternText} and {channelText}");
            Assert.True(expected == IsAmongKeysOf(channel, pattern.Value), $"the keys of {channelText} and {patternText}");
            matches += expected ? 1 : 0;
        }

        Assert.InRange(matches, 1_000, 49_000);
    }

    private static bool IsAmongKeysOf(ChannelKey channel, string pattern)
    {
        var position = 0;
        while (channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            if (wildcard.SequenceEqual(pattern))
            {
                return true;
            }
        }

        return channel.Value == pattern;
    }

    private static bool TryParseChannel(string text, out ChannelKey key) =>
        ChannelKey.TryParse(Api, Encoding.UTF8.GetBytes(text), s_limits, out key);

    private static bool TryParsePattern(string text, out PatternKey key) =>
        PatternKey.TryParse(Api, Encoding.UTF8.GetBytes(text), s_limits, out key);

    // Mostly well formed, so that both verdicts are common: a random path with a few characters changed.
    private static string RandomText(Random random)
    {
        var text = new StringBuilder(RandomPath(random, random.Next(3) == 0));
        for (var changes = random.Next(3); changes > 0; changes--)
        {
            const string Alphabet = "ab09Z-/*_. é";
            var character = Alphabet[random.Next(Alphabet.Length)];
            var index = random.Next(text.Length + 1);
            if (index == text.Length || random.Next(2) == 0)
            {
                text.Insert(index, character);
            }
            else
            {
                text[index] = character;
            }
        }

        return text.ToString();
    }

    private static string RandomPath(Random random, bool wildcard)
    {
        var segments = Enumerable.Range(0, random.Next(1, wildcard ? 5 : 6)).Select(_ => random.Next(4) switch
        {
            0 => "a",
            1 => "b",
            2 => "ab",
            _ => "a-b",
        });
        return $"/{string.Join('/', segments)}{(wildcard ? "/*" : "")}";
    }

    /// <summary>The rules as the guide states them, one after the other and with strings.</summary>
    private sealed record SlowPath(IReadOnlyList<string> Segments, bool IsWildcard)
    {
        public static SlowPath? Parse(string text)
        {
            var rest = text.StartsWith('/') ? text[1..] : text;
            var isWildcard = rest.EndsWith("/*", StringComparison.Ordinal);
            rest = isWildcard ? rest[..^2] : rest.EndsWith('/') ? rest[..^1] : rest;
            var segments = rest.Split('/');
            var count = segments.Length + (isWildcard ? 1 : 0);
            return count <= 5 && segments.All(IsSegment) ? new SlowPath(segments, isWildcard) : null;
        }

        public bool Matches(SlowPath channel) => IsWildcard
            ? channel.Segments.Count > Segments.Count && channel.Segments.Take(Segments.Count).SequenceEqual(Segments)
            : channel.Segments.SequenceEqual(Segments);

        public override string ToString() => $"/{string.Join('/', Segments)}{(IsWildcard ? "/*" : "")}";

        private static bool IsSegment(string segment) =>
            segment.Length is >= 1 and <= 50
            && segment.All(character => char.IsAsciiLetterOrDigit(character) || character == '-')
            && !segment.StartsWith('-') && !segment.EndsWith('-');
    }
}
