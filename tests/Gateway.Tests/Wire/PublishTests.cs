using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary><c>publish</c> over WebSocket (§3.5). Limits are in <see cref="PublishLimitsTests"/>.</summary>
public sealed class PublishTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    /// <summary>Values of <c>events</c> that are no list of JSON texts.</summary>
    public static TheoryData<string> BadEvents =>
    [
        "null",
        "[]",
        "{}",
        "\"1\"",
        "1",
        "true",
        "[1]",
        "[null]",
        "[true]",
        "[{}]",
        "[[]]",
        """["1",2]""",
        """["1",null]""",
        """[{"a":1}]""",
        """[""]""",
        """[" "]""",
        """["hello"]""",
        """["1","hello"]""",
        """["{"]""",
        """["{\"a\":1,}"]""",
        """["[1,]"]""",
        """["{'a':1}"]""",
        """["{a:1}"]""",
        """["01"]""",
        """["+1"]""",
        """["1."]""",
        """[".5"]""",
        """["NaN"]""",
        """["Infinity"]""",
        """["undefined"]""",
        """["True"]""",
        """["1 2"]""",
        """["{}{}"]""",
        """["1 // comment"]""",
        """["/* comment */ 1"]""",
        """["\"\\x\""]""",
        """["\"\\u12\""]""",
        """["\"a\nb\""]""",
        """["\"unfinished"]""",
        """["\ufeff1"]""",
        """["\u00a01"]""",
        """["\ud800"]""",
        """["\"\ud800\""]""",
        """["\"\udc00\ud800\""]""",
    ];

    /// <summary>One JSON text of every kind.</summary>
    public static TheoryData<string> GoodEvents =>
    [
        "null", "true", "false", "0", "-0", "42", "-1.5e+300", "1E400", "\"\"", "\"hello\"", "\"\\u00e9\\n\\\"\"", "[]", "{}",
        "\"\\ud800\"", "[1,[2,[3]]]", """{"from":"ana","text":"hi"}""", """{"a":1,"a":2}""", " 1 ", "\t{\r\n}\n", """{"":null}""",
    ];

    /// <summary>Credentials that sign in nobody.</summary>
    public static TheoryData<string> BadAuthorizations =>
    [
        "",
        ""","authorization":{}""",
        ""","authorization":{"host":"a","x-api-key":"da2-zzzzzzzzzzzzzzzzzzzzzzzzzz"}""",
        ""","authorization":{"host":"a","Authorization":"token"}""",
    ];

    [Fact]
    public async Task Success_lists_an_identifier_per_event_in_order()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p-1", "/default/a", "1", "{}", "null"));

        var message = await socket.NextAsync("publish_success", "p-1");
        Assert.Equal(["failed", "id", "successful", "type"], message.Select(member => member.Key).Order());
        Assert.Empty(message["failed"]!.AsArray());
        var successful = message["successful"]!.AsArray().Select(item => item!.AsObject()).ToList();
        Assert.Equal([0, 1, 2], successful.Select(item => (int)item["index"]!));
        Assert.All(successful, item => Assert.Equal(["identifier", "index"], item.Select(member => member.Key).Order()));
        var ids = successful.Select(item => Guid.ParseExact((string)item["identifier"]!, "D")).ToHashSet();
        Assert.Equal(3, ids.Count);
    }

    [Theory]
    [MemberData(nameof(GoodEvents))]
    public async Task Every_kind_of_value_is_published_untouched(string text)
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/kinds");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/kinds", text);
        await publisher.PublishAsync("/default/kinds", "\"marker\"");

        Assert.Equal(text, await subscriber.NextEventAsync("s"));
        Assert.Equal("\"marker\"", await subscriber.NextEventAsync("s"));
    }

    [Theory]
    [MemberData(nameof(BadEvents))]
    public async Task Events_that_are_no_json_texts_are_refused_as_a_whole(string events)
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/bad");
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.PublishRaw("p", "/default/bad", events));

        WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "InvalidInputError");
        await socket.PublishAsync("/default/bad", "\"marker\"");
        Assert.Equal("\"marker\"", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Missing_events_are_refused()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(
            $$"""{"type":"publish","id":"p","channel":"/default/a","authorization":{{Messages.Authorization}}}""");

        WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "InvalidInputError");
    }

    [Theory]
    [InlineData("""{"type":"publish","id":"p","events":["1"]}""")]
    [InlineData("""{"type":"publish","id":"p","channel":null,"events":["1"]}""")]
    [InlineData("""{"type":"publish","id":"p","channel":1,"events":["1"]}""")]
    [InlineData("""{"type":"publish","id":"p","channel":["/default/a"],"events":["1"]}""")]
    public async Task Missing_channel_is_a_bad_request(string message)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message[..^1] + $$""","authorization":{{Messages.Authorization}}}""");

        WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "BadRequestException");
    }

    [Theory]
    [InlineData("/default/*")]
    [InlineData("/*")]
    [InlineData("*")]
    [InlineData("/default/a*")]
    [InlineData("/default/*/a")]
    public async Task Publish_to_a_wildcard_is_refused(string channel)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p", channel, "1"));

        var error = WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "BadRequestException");
        Assert.Equal("Invalid Channel Format", error.Message);
    }

    [Theory]
    [MemberData(nameof(BadAuthorizations))]
    public async Task Authorization_of_the_connection_is_not_inherited(string authorization)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.InitAsync();

        await socket.SendAsync($$"""{"type":"publish","id":"p","channel":"/default/a","events":["1"]{{authorization}}}""");

        var error = WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException");
        Assert.Equal("You are not authorized to make this call.", error.Message);
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Unknown_namespace_is_unauthorized_without_a_message()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Publish("p", "/nowhere/a", "1"));

        var error = WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException");
        Assert.Null(error.Message);
    }

    [Fact]
    public async Task Bad_credentials_learn_nothing_about_namespaces()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var stranger = Credentials.KeyAuthorization(Credentials.UnknownKey);

        await socket.SendAsync(Messages.Publish("p", "/nowhere/a", (JsonObject)stranger.DeepClone(), "1"));
        var unknown = await socket.NextAsync();
        await socket.SendAsync(Messages.Publish("p", "/default/a", stranger, "1"));
        var known = await socket.NextAsync();

        Assert.Equal(known.ToJsonString(), unknown.ToJsonString());
    }

    [Fact]
    public async Task Without_a_usable_id_the_answer_is_an_error_without_id()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/noid");
        await using var socket = await gateway.Server.ConnectAsync();
        string[] ids = ["", "\"id\":\"\",", "\"id\":7,", "\"id\":\"a b\",", $"\"id\":\"{new string('i', 129)}\","];

        foreach (var id in ids)
        {
            await socket.SendAsync(
                $$"""{"type":"publish",{{id}}"channel":"/default/noid","events":["1"],"authorization":{{Messages.Authorization}}}""");
            WireError.AssertReply(await socket.NextAsync(), "error", null, "BadRequestException");
        }

        await socket.PublishAsync("/default/noid", "2");
        Assert.Equal("2", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Publish_may_use_the_id_of_a_live_subscription()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("same", "/default/spaces");

        await socket.SendAsync(Messages.Publish("same", "/default/elsewhere", "1"));
        await socket.NextAsync("publish_success", "same");
        await socket.SendAsync(Messages.Publish("same", "/default/elsewhere", "2"));
        await socket.NextAsync("publish_success", "same");

        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/spaces", "3");
        Assert.Equal("3", await socket.NextEventAsync("same"));
    }

    [Fact]
    public async Task Publisher_receives_its_own_events_and_one_answer()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("s", "/default/own");

        await socket.SendAsync(Messages.Publish("p", "/default/own", "1"));

        // The order of the two is not specified.
        var types = new[] { await socket.NextAsync(), await socket.NextAsync() }.Select(message => (string)message["type"]!);
        Assert.Equal(["data", "publish_success"], types.Order());
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Every_publish_of_a_burst_gets_exactly_one_answer()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        const int Count = 500;
        var burst = Enumerable.Range(0, Count).SelectMany(index => WireFrame.EncodeText((index % 4) switch
        {
            0 => Messages.Publish($"p{index}", "/default/burst", "1"),
            1 => Messages.Publish($"p{index}", "/default/*", "1"),
            2 => Messages.Publish($"p{index}", "/nowhere/burst", "1"),
            _ => Messages.PublishRaw($"p{index}", "/default/burst", "[]"),
        }));

        await socket.SendBytesAsync(burst.ToArray());

        var answers = new Dictionary<string, string>();
        for (var index = 0; index < Count; index++)
        {
            var message = await socket.NextAsync("an answer to a publish");
            answers.Add((string)message["id"]!, (string)message["type"]!);
        }

        Assert.All(
            Enumerable.Range(0, Count),
            index => Assert.Equal(index % 4 == 0 ? "publish_success" : "publish_error", answers[$"p{index}"]));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Payload_and_unknown_members_are_ignored_in_any_order_of_members()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/order");
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(
            $$"""
            {"events":["1"],"payload":{"channel":"/x","events":["9"]},"authorization":{{Messages.Authorization}},
             "unknown":{"type":"subscribe"},"channel":"/default/order","id":"p","type":"publish"}
            """);

        await socket.NextAsync("publish_success", "p");
        Assert.Equal("1", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Events_are_gone_when_nobody_subscribes()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.PublishAsync("/default/nohistory", "1");

        await socket.SubscribeAsync("s", "/default/nohistory");
        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/nohistory", "2");

        Assert.Equal("2", await socket.NextEventAsync("s"));
    }
}
