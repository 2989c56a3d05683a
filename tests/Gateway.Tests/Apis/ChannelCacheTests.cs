using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Tests.Apis;

/// <summary>What comes from the cache is what parsing would have given, whatever else is published.</summary>
public sealed class ChannelCacheTests : IDisposable
{
    private readonly ServedApis _apis = new();
    private readonly ServedApi _api;

    public ChannelCacheTests() =>
        _api = _apis.Create(namespaces: [new ChannelNamespace { Name = "chat" }, new ChannelNamespace { Name = "a" }]);

    public void Dispose() => _apis.Dispose();

    [Theory]
    [InlineData("/chat/a", "/chat/a", "chat")]
    [InlineData("chat/a/", "/chat/a", "chat")]
    [InlineData("/chat", "/chat", "chat")]
    [InlineData("a", "/a", "a")]
    [InlineData("/a/12345", "/a/12345", "a")]
    [InlineData("/chat/1234567890/1234567890/123456", "/chat/1234567890/1234567890/123456", "chat")]
    [InlineData("/Chat/a", "/Chat/a", null)]
    public void A_channel_is_the_same_each_time(string text, string path, string? ns)
    {
        for (var i = 0; i < 5; i++)
        {
            Assert.True(TryFind(text, out var channel));
            Assert.Equal(path, channel.Key.ToString());
            Assert.Equal(_api.Model.Id + path, channel.Key.Value);
            Assert.Equal(ChannelKey.FromValue(channel.Key.Value), channel.Key);
            Assert.Equal(ns, channel.Namespace?.Name);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/chat/*")]
    [InlineData("/chat//a")]
    [InlineData("/chat/a_b")]
    [InlineData("/chat/a/b/c/d/e")]
    public void What_is_no_channel_never_becomes_one(string text)
    {
        for (var i = 0; i < 5; i++)
        {
            Assert.False(TryFind(text, out _));
        }
    }

    [Fact]
    public void More_channels_than_it_holds_are_all_found()
    {
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < ChannelCache.SlotCount * 3; i++)
            {
                Assert.True(TryFind($"/chat/{i}", out var channel));
                Assert.Equal($"/chat/{i}", channel.Key.ToString());
            }
        }
    }

    [Theory]
    [InlineData("/chat/")]
    [InlineData("/chat/eu/berlin/")]
    [InlineData("/a/")]
    public void A_thousand_channels_in_turn_are_kept_but_for_a_few(string prefix)
    {
        string[] texts = [.. Enumerable.Range(0, 1000).Select(i => $"{prefix}{i}")];
        var values = texts.Select(text => Find(text).Value).ToList();

        // By chance some 30 of them are the third of a set.
        var kept = texts.Zip(values).Count(pair => ReferenceEquals(Find(pair.First).Value, pair.Second));
        Assert.InRange(kept, 900, 1000);
    }

    [Fact]
    public void A_channel_that_comes_twice_gets_in_and_those_that_are_made_up_push_it_out_no_more()
    {
        FillWith("/chat/x");
        // Few enough that no three of them share a set.
        string[] known = [.. Enumerable.Range(0, 5).Select(i => $"/chat/{i}")];
        foreach (var text in known)
        {
            _ = Find(text);
            _ = Find(text);
        }

        var values = known.Select(text => Find(text).Value).ToList();
        FillWith("/chat/y");
        Assert.Equal(values, known.Select(text => Find(text).Value), ReferenceEqualityComparer.Instance);

        // Every one only once, and enough of them that no place is left.
        void FillWith(string prefix)
        {
            for (var i = 0; i < ChannelCache.SlotCount * 20; i++)
            {
                _ = Find($"{prefix}{i}");
            }
        }
    }

    [Fact]
    public async Task Threads_that_share_it_find_what_they_ask_for()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 100_000; i++)
            {
                var text = $"/chat/{random.Next(ChannelCache.SlotCount * 2)}";
                Assert.Equal(text, Find(text).ToString());
            }
        })));
    }

    private ChannelKey Find(string text)
    {
        Assert.True(TryFind(text, out var channel));
        return channel.Key;
    }

    private bool TryFind(string text, out ServedChannel channel) => _api.Channels.TryFind(Encoding.UTF8.GetBytes(text), out channel);
}
