using System.Text.Json;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>The <c>data</c> message (§4): the event's text arrives byte for byte.</summary>
public sealed class DataTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    /// <summary>Event texts that a well-meaning server might tidy up.</summary>
    public static TheoryData<string> Texts =>
    [
        """ { "b" : 1 , "a" : 2 } """,
        "{\r\n\t\"a\":\t1\r\n}",
        """{"a":1,"a":2,"A":3}""",
        """["\u00e9","é","\u00E9"]""",
        """["\ud83d\ude00","😀","\uD83D\uDE00"]""",
        """ "\u0000\u0001\u001f\u007f\u0080\u2028\u2029\ufeff" """,
        "\"\u007f\u0080\u2028\u2029\ufeff\ufffd\uffff\"",
        """ "\/ / \\ \" \b\f\n\r\t" """,
        """ "<script>&amp;'+`" """,
        """ "\u003c\u003e\u0026\u0027" """,
        "123456789012345678901234567890.123456789012345678901234567890",
        "1e1000", "-0.0", "1E+2", "0.10", "1.0e-0",
        "\"\U0001F468\u200D\U0001F469\u200D\U0001F467 \u0645\u0631\u062D\u0628\u0627 \u65E5\u672C\u8A9E\"",
        """ "{\"nested\":\"{\\\"twice\\\":\\\"{}\\\"}\"}" """,
        """{"type":"data","id":"other","event":"1"}""",
        "\"\\\\\"", "\"\\\\\\\"\"", "[\"\\\\u0041\"]",
        """ "data" """,
    ];

    [Theory]
    [MemberData(nameof(Texts))]
    public async Task Event_arrives_byte_for_byte(string text)
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/bytes");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/bytes", text);
        Assert.Equal(text, await subscriber.NextEventAsync("s"));

        var answer = await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody("/default/bytes", text));
        Assert.Equal(200, answer.Status);
        Assert.Equal(text, await subscriber.NextEventAsync("s"));
    }

    [Theory]
    [MemberData(nameof(Texts))]
    public async Task Way_in_which_the_publisher_escapes_the_event_makes_no_difference(string text)
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/escapes");
        await using var publisher = await gateway.Server.ConnectAsync();
        var everything = string.Concat(text.Select(unit => $"\\u{(int)unit:x4}"));
        string[] spellings = [JsonSerializer.Serialize(text), JsonSerializer.Serialize(text, Credentials.Relaxed), $"\"{everything}\""];

        foreach (var spelling in spellings)
        {
            await publisher.SendAsync(Messages.PublishRaw("p", "/default/escapes", $"[{spelling}]"));
            await publisher.NextAsync("publish_success", "p");
            Assert.Equal(text, await subscriber.NextEventAsync("s"));
        }
    }

    [Fact]
    public async Task Message_has_type_id_and_event_and_nothing_else()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s-1", "/default/shape/*");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/shape/a", """{"text":"hi"}""");

        Assert.Equal("""{"type":"data","id":"s-1","event":"{\"text\":\"hi\"}"}""", await subscriber.NextTextAsync("data"));
    }

    [Fact]
    public async Task Batch_of_five_gives_five_messages_in_order()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/five");
        await using var publisher = await gateway.Server.ConnectAsync();

        await publisher.PublishAsync("/default/five", "1", "2", "3", "4", "5");
        await publisher.PublishAsync("/default/five", "6");

        for (var n = 1; n <= 6; n++)
        {
            Assert.Equal($"{n}", await subscriber.NextEventAsync("s"));
        }

        await subscriber.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60)]
    [InlineData(100)]
    [InlineData(125)]
    [InlineData(200)]
    [InlineData(65_000)]
    [InlineData(65_536)]
    public async Task Frames_around_each_length_encoding_arrive_whole(int around)
    {
        // RFC 6455 writes lengths up to 125, up to 65,535 and beyond in different ways; sweep across the borders.
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/lengths");
        await using var publisher = await gateway.Server.ConnectAsync();

        for (var bytes = Math.Max(2, around - 60); bytes < around + 10; bytes++)
        {
            var text = Messages.EventOf(bytes);
            await publisher.PublishAsync("/default/lengths", text);
            Assert.Equal(text, await subscriber.NextEventAsync("s"));
        }
    }

    [Fact]
    public async Task Success_precedes_the_first_event()
    {
        await using var publisher = await gateway.Server.ConnectAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var publishing = PublishUntilAsync(publisher, stop.Token);

        for (var round = 0; round < 50; round++)
        {
            await using var subscriber = await gateway.Server.ConnectAsync();
            await subscriber.SubscribeAsync("s", "/default/first");
            var first = int.Parse(await subscriber.NextEventAsync("s"));
            Assert.Equal(first + 1, int.Parse(await subscriber.NextEventAsync("s")));
        }

        await stop.CancelAsync();
        await publishing;
    }

    private static async Task PublishUntilAsync(RawWebSocket publisher, CancellationToken token)
    {
        for (var n = 0; !token.IsCancellationRequested; n += 2)
        {
            await publisher.PublishAsync("/default/first", $"{n}", $"{n + 1}");
        }
    }
}
