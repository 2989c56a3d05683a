using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>Which texts name a channel, and which name the same one (§5.1).</summary>
public sealed class ChannelTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private static readonly string s_segment49 = new('s', 49);
    private static readonly string s_segment50 = new('s', 50);
    private static readonly string s_segment51 = new('s', 51);

    /// <summary>Texts that are channels in the namespace <c>default</c>.</summary>
    public static TheoryData<string> Valid =>
    [
        "/default", "default", "/default/", "default/", "/default/a", "default/a", "/default/a/", "default/a/",
        "/default/a/b", "/default/a/b/c", "/default/a/b/c/d", "default/a/b/c/d/", "/default/0", "/default/A", "/default/9z",
        "/default/a-b", "/default/a--b", "/default/a-b-c", "/default/1-2", $"/default/{s_segment49}", $"/default/{s_segment50}",
        $"/default/{s_segment50}/{s_segment50}/{s_segment50}/{s_segment50}", $"/default/s{new string('-', 48)}s",
    ];

    /// <summary>Texts that are no channel, neither to publish to nor to subscribe to.</summary>
    public static TheoryData<string> Invalid =>
    [
        "", "/", "//", "///", " ", "/default/a/b/c/d/e", "default/a/b/c/d/e", "/default/a/b/c/d/e/f", "//default/a", "/default//a",
        "/default/a//", "/default//", "/default/-a", "/default/a-", "/default/-", "/default/--", "/-default/a", "/default-/a",
        "/default/a_b", "/default/a.b", "/default/a:b", "/default/a b", "/default/ a", "/default/a ", " /default/a", "/default/a%20b",
        "/default/é", "/default/ａ", "/default/😀", "/default/a\0", "/default/a\n", "/default/a\t", "/default/a?b", "/default/a#b",
        "/default/..", "/default/.", @"\default\a", @"/default\a", "/default/a+b", "/default/a@b", "/default/a,b", "/default/**",
        "/default/a*", "/default/*a", "/default/*/a", "/*/a", "*default", $"/default/{s_segment51}",
        $"/{s_segment51}/a", $"/default/{new string('a', 10_000)}", $"/default{new string('/', 10_000)}", "/default/\u0131",
    ];

    /// <summary>Two spellings, and whether they are the same channel.</summary>
    public static TheoryData<string, string, bool> Spellings => new()
    {
        { "/default/r1", "/default/r1", true },
        { "default/r2", "/default/r2", true },
        { "/default/r3", "default/r3", true },
        { "/default/r4/", "/default/r4", true },
        { "/default/r5", "default/r5/", true },
        { "/default", "default/", true },
        { "/default/r6", "/default/R6", false },
        { "/default/r7", "/default/r7/a", false },
        { "/default/r8/a", "/default/r8", false },
        { "/default/r9", "/default/r99", false },
        { "/default/r-10", "/default/r10", false },
        { "/default/a/r11", "/default/b/r11", false },
    };

    [Theory]
    [MemberData(nameof(Valid))]
    public async Task Valid_channel_takes_subscriptions_and_events(string channel)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();

        await socket.SubscribeAsync("s", channel);
        await publisher.PublishAsync(channel, "1");

        Assert.Equal("1", await socket.NextEventAsync("s"));
    }

    [Theory]
    [MemberData(nameof(Invalid))]
    public async Task Invalid_channel_is_refused_by_every_operation(string channel)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", channel));
        var error = WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "BadRequestException");
        Assert.Equal("Invalid Channel Format", error.Message);

        await socket.SendAsync(Messages.Publish("p", channel, "1"));
        error = WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "BadRequestException");
        Assert.Equal("Invalid Channel Format", error.Message);

        var answer = await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody(channel, "1"));
        answer.AssertError(400, "BadRequestException", "Invalid Channel Format");
    }

    [Theory]
    [MemberData(nameof(Spellings))]
    public async Task Channels_are_compared_in_their_canonical_form(string subscribed, string published, bool isSame)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("s", subscribed);

        await publisher.PublishAsync(published, "1");
        await publisher.PublishAsync(subscribed, "2");

        if (isSame)
        {
            Assert.Equal("1", await socket.NextEventAsync("s"));
        }

        Assert.Equal("2", await socket.NextEventAsync("s"));
    }

    [Theory]
    [InlineData("/Default/a")]
    [InlineData("/DEFAULT/a")]
    [InlineData("/defaul/a")]
    [InlineData("/defaultt/a")]
    [InlineData("/a/default")]
    public async Task Namespace_is_found_by_its_exact_name(string channel)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("s", channel));

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "s", "UnauthorizedException");
    }
}
