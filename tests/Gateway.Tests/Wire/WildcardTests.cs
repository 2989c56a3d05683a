using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>Which events a wildcard subscription receives (§5.2).</summary>
public sealed class WildcardTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    /// <summary>Pattern, channel, whether the channel's events match.</summary>
    public static TheoryData<string, string, bool> Matches => new()
    {
        { "/default/*", "/default/a", true },
        { "/default/*", "/default/a/b", true },
        { "/default/*", "/default/a/b/c", true },
        { "/default/*", "/default/a/b/c/d", true },
        { "/default/*", "/default", false },
        { "default/*", "/default/a", true },
        { "/default/*", "default/a/", true },
        { "/default/a/*", "/default/a/b", true },
        { "/default/a/*", "/default/a/b/c", true },
        { "/default/a/*", "/default/a/b/c/d", true },
        { "/default/a/*", "/default/a", false },
        { "/default/a/*", "/default/A/b", false },
        { "/default/a/*", "/default/ab", false },
        { "/default/a/*", "/default/ab/c", false },
        { "/default/ab/*", "/default/a/b", false },
        { "/default/a/*", "/default/b/a", false },
        { "/default/a/b/*", "/default/a/b/c", true },
        { "/default/a/b/*", "/default/a/b/c/d", true },
        { "/default/a/b/*", "/default/a/b", false },
        { "/default/a/b/*", "/default/a/c/b", false },
        { "/default/a/b/c/*", "/default/a/b/c/d", true },
        { "/default/a/b/c/*", "/default/a/b/c", false },
        { "/default/a/b/c/*", "/default/a/b/cc/d", false },
        { "/default", "/default", true },
        { "/default", "/default/a", false },
        { "/default/a", "/default/a/b", false },
    };

    /// <summary>Texts with a star that are no pattern.</summary>
    public static TheoryData<string> Invalid =>
    [
        "*", "/*", "//*", "/*/", "/*/*", "/**", "/default/**", "/default*", "/default/a*", "/default/*a", "/default/a/*b",
        "/default/*/a", "/*/a", "/*/default", "/default/*/*", "/default/a/b/c/d/*", "/default//*", "/-a/*", "/default/a_b/*",
        "/default/ *", "/default/* ", "/default/?", "/default/+", "/default/#", "/default/＊",
    ];

    [Theory]
    [MemberData(nameof(Matches))]
    public async Task Wildcard_stands_for_one_or_more_segments(string pattern, string channel, bool isMatch)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("s", pattern);
        await socket.SubscribeAsync("marker", "/default/marker/own");

        await publisher.PublishAsync(channel, "1");
        await publisher.PublishAsync("/default/marker/own", "2");

        if (isMatch)
        {
            Assert.Equal("1", await socket.NextEventAsync("s"));
        }

        // The pattern /default/* sees the marker's channel too.
        var ids = new List<string> { (string)(await socket.NextAsync())["id"]! };
        if (pattern.TrimStart('/') == "default/*")
        {
            ids.Add((string)(await socket.NextAsync())["id"]!);
        }

        Assert.Contains("marker", ids);
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [MemberData(nameof(Invalid))]
    public async Task Star_elsewhere_than_as_the_last_segment_is_refused(string pattern)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", pattern));

        var error = WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "BadRequestException");
        Assert.Equal("Invalid Channel Format", error.Message);
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Wildcard_in_an_unknown_namespace_is_unauthorized()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", "/nowhere/*"));

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "UnauthorizedException");
    }

    [Fact]
    public async Task Overlapping_subscriptions_each_receive_the_event()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        string[] patterns =
            ["/default/o", "/default/o/*", "/default/o/p/*", "/default/o/p/q/*", "/default/o/p/q/r", "/default/o/p", "/default/*"];
        for (var index = 0; index < patterns.Length; index++)
        {
            await socket.SubscribeAsync($"s{index}", patterns[index]);
        }

        await publisher.PublishAsync("/default/o/p/q/r", "1");

        var received = new List<string>();
        foreach (var _ in (int[])[1, 2, 3, 4, 6])
        {
            var message = await socket.NextAsync("data for every matching subscription");
            Assert.Equal("1", (string?)message["event"]);
            received.Add((string)message["id"]!);
        }

        Assert.Equal(["s1", "s2", "s3", "s4", "s6"], received.Order());
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Ending_one_of_two_overlapping_subscriptions_leaves_the_other()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("wide", "/default/e/*");
        await socket.SubscribeAsync("narrow", "/default/e/f");

        await socket.UnsubscribeAsync("wide");
        await publisher.PublishAsync("/default/e/f", "1");

        Assert.Equal("1", await socket.NextEventAsync("narrow"));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Channel_first_published_before_the_wildcard_subscription_is_seen_by_it()
    {
        // A cache of matches filled by the first publish must learn of the newcomer.
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/late/a", "0");

        await socket.SubscribeAsync("s", "/default/late/*");
        await publisher.PublishAsync("/default/late/a", "1");
        Assert.Equal("1", await socket.NextEventAsync("s"));

        await socket.UnsubscribeAsync("s");
        await publisher.PublishAsync("/default/late/a", "2");
        await socket.AssertNothingElseAsync();
    }
}
