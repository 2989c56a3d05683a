using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>Messages that are no operation (§3.6): an <c>error</c>, and the connection stays open.</summary>
public sealed class UnknownMessageTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const string Text = "Operation not supported through the realtime channel";

    /// <summary>Messages of an unknown type, and the id that the answer must repeat.</summary>
    public static TheoryData<string, string?> UnknownTypes => new()
    {
        { """{"type":"hello","id":"a"}""", "a" },
        { """{"id":"a","type":"hello"}""", "a" },
        { """{"type":"hello"}""", null },
        { """{"type":"hello","id":5}""", null },
        { """{"type":"hello","id":"not valid"}""", null },
        { """{"type":"hello","id":""}""", null },
        { """{"type":"","id":"a"}""", "a" },
        { """{"type":"SUBSCRIBE","id":"a"}""", "a" },
        { """{"type":"subscribe ","id":"a"}""", "a" },
        { """{"type":"connection_terminate"}""", null },
        { """{"type":"start","id":"a","payload":{}}""", "a" },
        { """{"type":"ka"}""", null },
        { """{"type":"data","id":"a","event":"1"}""", "a" },
        { """{"type":"subscribe_success","id":"a"}""", "a" },
        { """{"type":null,"id":"a"}""", "a" },
        { """{"type":7,"id":"a"}""", "a" },
        { """{"type":["subscribe"],"id":"a"}""", "a" },
        { """{"type":{"type":"subscribe"},"id":"a"}""", "a" },
        { """{"Type":"connection_init","id":"a"}""", "a" },
        { """{"id":"a"}""", "a" },
        { "{}", null },
    };

    /// <summary>Text frames that hold no JSON object.</summary>
    public static TheoryData<string> Malformed =>
    [
        "", " ", "hello", "{", "}", "[", "]", "\"", "\"x\"", "1", "null", "true", "[]", """[{"type":"connection_init"}]""",
        """{"type":"connection_init" """, """{"type":"connection_init"}}""", """{"type":"connection_init"}{}""",
        """{"type":"connection_init",}""", """{'type':'connection_init'}""", """{type:"connection_init"}""",
        """{"type" "connection_init"}""", """{"type":"connection_init"} x""", """// x""", """{"type":"connection_init"/**/}""",
        """{"type":"connection_init","a":01}""", """{"type":"connection_init","a":"\x"}""", """{"type":"connection_init","a":NaN}""",
        "{\"type\":\"connection_init\",\"a\":\"\n\"}", "\0", "\ufeff", "{\"a\":\"\0\"}",
    ];

    [Theory]
    [MemberData(nameof(UnknownTypes))]
    public async Task Unknown_type_is_told_with_the_message_s_id(string message, string? id)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message);

        var error = WireError.AssertReply(await socket.NextAsync(), "error", id, "UnsupportedOperation");
        Assert.Equal(Text, error.Message);
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [MemberData(nameof(Malformed))]
    public async Task Text_that_is_no_json_object_is_a_bad_request(string message)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message);

        WireError.AssertReply(await socket.NextAsync(), "error", null, "BadRequestException");
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData("""{"type":"\ud800"}""")]
    [InlineData("""{"\udc00":1,"type":"hello"}""")]
    [InlineData("""{"type":"unsubscribe","id":"\ud800"}""")]
    [InlineData("""{"type":"hello","id":"a\udfff"}""")]
    [InlineData("""{"type":"subscribe","id":"a","channel":"/default/\ud800"}""")]
    [InlineData("""{"type":"subscribe","id":"a","channel":"/default/a","authorization":{"x-api-key":"\ud800"}}""")]
    [InlineData("""{"type":"subscribe","id":"a","channel":"/default/a","authorization":{"\ud800":"x"}}""")]
    [InlineData("""{"type":"publish","id":"a","channel":"\ud83d","events":["1"],"authorization":{"host":"\ude00"}}""")]
    public async Task Half_a_character_anywhere_gets_an_answer_of_the_protocol(string message)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message);

        Assert.EndsWith("error", (string?)(await socket.NextAsync())["type"], StringComparison.Ordinal);
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Bad_messages_leave_subscriptions_alone()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("s", "/default/tough");
        foreach (var row in Malformed)
        {
            await socket.SendAsync(row.Data);
            await socket.NextAsync("error", null);
        }

        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync("/default/tough", "1");
        Assert.Equal("1", await socket.NextEventAsync("s"));
    }

    [Theory]
    [InlineData(70)]
    [InlineData(100_000)]
    [InlineData(1_000_000)]
    public async Task Deeply_nested_message_gets_an_answer(int depth)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync("{\"type\":\"hello\",\"a\":" + new string('[', depth) + new string(']', depth) + "}");

        Assert.Equal("error", (string?)(await socket.NextAsync())["type"]);
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Message_with_very_many_members_gets_an_answer()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        var text = new StringBuilder("{");
        for (var index = 0; index < 100_000; index++)
        {
            text.Append($"\"m{index}\":{index},");
        }

        await socket.SendAsync(text.Append("\"type\":\"hello\"}").ToString());

        WireError.AssertReply(await socket.NextAsync(), "error", null, "UnsupportedOperation");
    }

    [Fact]
    public async Task Whitespace_around_a_message_is_allowed()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(" \r\n\t{ \"type\" : \"unsubscribe\" ,\n\"id\" : \"a\" } \n ");

        WireError.AssertReply(await socket.NextAsync(), "unsubscribe_error", "a", "UnknownOperationError");
    }
}
