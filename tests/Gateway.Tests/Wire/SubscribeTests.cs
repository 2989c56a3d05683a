using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary><c>subscribe</c> (§3.3).</summary>
public sealed class SubscribeTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    /// <summary>Subscribes with no usable id: the answer can name none.</summary>
    public static TheoryData<string> MessagesWithoutUsableId =>
    [
        $$"""{"type":"subscribe","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":null,"channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":7,"channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":["a"],"channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":{"a":1},"channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a b","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a/b","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a.b","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a\"b","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a\u0000","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"é","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"😀","channel":"/default/a","authorization":{{Messages.Authorization}}}""",
        Messages.Subscribe(new string('a', 129), "/default/a"),
    ];

    /// <summary>Subscribes whose id is good and whose channel is missing or no string.</summary>
    public static TheoryData<string> MessagesWithoutChannel =>
    [
        $$"""{"type":"subscribe","id":"a","authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a","channel":null,"authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a","channel":5,"authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a","channel":["/default/a"],"authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a","channel":{},"authorization":{{Messages.Authorization}}}""",
        $$"""{"type":"subscribe","id":"a","channel":true,"authorization":{{Messages.Authorization}}}""",
    ];

    /// <summary>Authorization members that sign in nobody.</summary>
    public static TheoryData<string> BadAuthorizations =>
    [
        "",
        ""","authorization":{}""",
        ""","authorization":{"host":"events.example.com"}""",
        ""","authorization":{"host":"events.example.com","x-api-key":"da2-zzzzzzzzzzzzzzzzzzzzzzzzzz"}""",
        ""","authorization":{"host":"events.example.com","x-api-key":""}""",
        ""","authorization":{"host":"events.example.com","x-api-key":null}""",
        ""","authorization":{"host":"events.example.com","x-api-key":5}""",
        ""","authorization":{"host":"events.example.com","Authorization":"token"}""",
        ""","authorization":{"host":"events.example.com","Authorization":"Bearer a.b.c"}""",
    ];

    [Theory]
    [InlineData("a")]
    [InlineData("0")]
    [InlineData("-")]
    [InlineData("_")]
    [InlineData("+")]
    [InlineData("A-z_0+9")]
    [InlineData("0a6c9a5e-3f0e-4f0c-9a55-0d7d5a7f1c11")]
    public async Task Success_names_the_id(string id)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe(id, "/default/ids"));

        Assert.Equal($$"""{"type":"subscribe_success","id":"{{id}}"}""", await socket.NextTextAsync("subscribe_success"));
        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/ids", "1");
        Assert.Equal("1", await socket.NextEventAsync(id));
    }

    [Theory]
    [InlineData(127)]
    [InlineData(128)]
    public async Task Id_may_have_128_characters(int length)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SubscribeAsync(new string('i', length), "/default/a");
    }

    [Fact]
    public async Task Id_is_compared_by_value_however_it_is_escaped()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(
            $$"""{"type":"subscribe","id":"\u0061bc","channel":"\/default\u002fa","authorization":{{Messages.Authorization}}}""");
        await socket.NextAsync("subscribe_success", "abc");
        await socket.UnsubscribeAsync("abc");
    }

    [Theory]
    [MemberData(nameof(MessagesWithoutUsableId))]
    public async Task Without_a_usable_id_the_answer_is_an_error_without_id(string message)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message);

        WireError.AssertReply(await socket.NextAsync(), "error", null, "BadRequestException");
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [MemberData(nameof(MessagesWithoutChannel))]
    public async Task Without_a_channel_the_subscription_is_refused(string message)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message);

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "a", "BadRequestException");
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [MemberData(nameof(BadAuthorizations))]
    public async Task Authorization_of_the_connection_is_not_inherited(string authorization)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.InitAsync();

        await socket.SendAsync($$"""{"type":"subscribe","id":"a","channel":"/default/a"{{authorization}}}""");

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "a", "UnauthorizedException");
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData("null")]
    [InlineData("7")]
    [InlineData("[]")]
    [InlineData("\"da2-aaaaaaaaaaaaaaaaaaaaaaaaaa\"")]
    [InlineData("[{\"x-api-key\":\"da2-aaaaaaaaaaaaaaaaaaaaaaaaaa\"}]")]
    public async Task Authorization_that_is_no_object_is_refused(string authorization)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        string[] expected = ["BadRequestException", "UnauthorizedException"]; // either is a fair description

        await socket.SendAsync($$"""{"type":"subscribe","id":"a","channel":"/default/a","authorization":{{authorization}}}""");
        Assert.Contains(WireError.Of(await socket.NextAsync("subscribe_error", "a")).ErrorType, expected);

        await socket.SendAsync(
            $$"""{"type":"publish","id":"p","channel":"/default/a","events":["1"],"authorization":{{authorization}}}""");
        Assert.Contains(WireError.Of(await socket.NextAsync("publish_error", "p")).ErrorType, expected);
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Unknown_namespace_is_unauthorized_without_a_message()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("a", "/nowhere/a"));

        Assert.Equal(
            """{"type":"subscribe_error","id":"a","errors":[{"errorType":"UnauthorizedException"}]}""",
            Canonical(await socket.NextAsync()));
    }

    [Fact]
    public async Task Malformed_channel_is_told_before_bad_credentials()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("a", "/default/a_b", Credentials.KeyAuthorization(Credentials.UnknownKey)));

        var error = WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "a", "BadRequestException");
        Assert.Equal("Invalid Channel Format", error.Message);
    }

    [Fact]
    public async Task Payload_and_unknown_members_are_ignored()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        // Amplify repeats everything in payload; here it lies.
        await socket.SendAsync(
            $$"""
            {"x":{"id":"z","type":"publish"},"payload":{"channel":"/default/z","extensions":{"authorization":{"x-api-key":"?"} } },
             "authorization":{{Messages.Authorization}},"channel":"/default/a","id":"a","type":"subscribe","y":[[[]]]}
            """);

        await socket.NextAsync("subscribe_success", "a");
    }

    [Theory]
    [InlineData("X-API-KEY")]
    [InlineData("X-Api-Key")]
    [InlineData("x-api-key")]
    public async Task Names_in_authorization_are_case_insensitive_and_host_is_optional(string name)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("a", "/default/a", new JsonObject { [name] = Credentials.ApiKey }));

        await socket.NextAsync("subscribe_success", "a");
    }

    [Fact]
    public async Task Repeated_id_with_the_same_channel_succeeds_again_and_events_still_come_once()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/again");

        await socket.SubscribeAsync("a", "/default/again");
        await socket.SubscribeAsync("a", "default/again/");

        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/again", "1", "2");
        Assert.Equal("1", await socket.NextEventAsync("a"));
        Assert.Equal("2", await socket.NextEventAsync("a"));
        await socket.UnsubscribeAsync("a");
        await publisher.PublishAsync("/default/again", "3");
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData("/default/other")]
    [InlineData("/default/*")]
    [InlineData("/default")]
    [InlineData("/default/KEPT")]
    public async Task Repeated_id_with_another_channel_is_refused_and_the_old_one_stays(string channel)
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/kept");

        await socket.SendAsync(Messages.Subscribe("a", channel));

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "a", "DuplicatedOperationError");
        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/other", "1");
        await publisher.PublishAsync("/default/kept", "2");
        Assert.Equal("2", await socket.NextEventAsync("a"));
    }

    [Fact]
    public async Task Repeated_id_that_is_not_authorized_is_refused_and_the_old_one_stays()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/guarded");

        await socket.SendAsync(Messages.Subscribe("a", "/default/guarded", Credentials.KeyAuthorization(Credentials.UnknownKey)));

        WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "a", "UnauthorizedException");
        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/guarded", "1");
        Assert.Equal("1", await socket.NextEventAsync("a"));
    }

    [Fact]
    public async Task Two_ids_on_one_channel_get_each_event_once_each()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/twice");
        await socket.SubscribeAsync("b", "/default/twice");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/twice", "1");

        var first = await socket.NextAsync();
        var second = await socket.NextAsync();
        Assert.Equal(["a", "b"], new[] { first, second }.Select(message => (string)message["id"]!).Order());
        Assert.All([first, second], message => Assert.Equal("1", (string)message["event"]!));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Ids_belong_to_their_connection()
    {
        await using var one = await gateway.Server.ConnectAsync();
        await using var two = await gateway.Server.ConnectAsync();
        await one.SubscribeAsync("same", "/default/one");
        await two.SubscribeAsync("same", "/default/two");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/one", "1");
        await publisher.PublishAsync("/default/two", "2");

        Assert.Equal("1", await one.NextEventAsync("same"));
        Assert.Equal("2", await two.NextEventAsync("same"));
    }

    [Fact]
    public async Task Refused_subscription_receives_nothing()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SendAsync(Messages.Subscribe("bad", "/default/shut", Credentials.KeyAuthorization(Credentials.UnknownKey)));
        await socket.NextAsync("subscribe_error", "bad");
        await socket.SubscribeAsync("good", "/default/shut");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/shut", "1");

        Assert.Equal("1", await socket.NextEventAsync("good"));
        await socket.AssertNothingElseAsync();
    }

    private static string Canonical(JsonObject message) => message.ToJsonString(Credentials.Relaxed);
}
