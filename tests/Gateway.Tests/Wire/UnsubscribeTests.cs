using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary><c>unsubscribe</c> (§3.4), and what ends with a connection.</summary>
public sealed class UnsubscribeTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    [Fact]
    public async Task After_success_no_more_events_come()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("gone", "/default/un");
        await socket.SubscribeAsync("kept", "/default/un");

        await socket.SendAsync(Messages.Unsubscribe("gone"));
        Assert.Equal("""{"type":"unsubscribe_success","id":"gone"}""", await socket.NextTextAsync("unsubscribe_success"));
        await publisher.PublishAsync("/default/un", "1", "2");

        Assert.Equal("1", await socket.NextEventAsync("kept"));
        Assert.Equal("2", await socket.NextEventAsync("kept"));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Unknown_id_is_told_in_the_documented_words()
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(Messages.Unsubscribe("nope"));

        var error = WireError.AssertReply(await socket.NextAsync(), "unsubscribe_error", "nope", "UnknownOperationError");
        Assert.Equal("Unknown operation id nope", error.Message);
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData("""{"type":"unsubscribe"}""")]
    [InlineData("""{"type":"unsubscribe","id":""}""")]
    [InlineData("""{"type":"unsubscribe","id":1}""")]
    [InlineData("""{"type":"unsubscribe","id":"a b"}""")]
    public async Task Without_a_usable_id_the_answer_is_an_error_without_id(string message)
    {
        await using var socket = await gateway.Server.ConnectAsync();

        await socket.SendAsync(message);

        WireError.AssertReply(await socket.NextAsync(), "error", null, "BadRequestException");
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Second_unsubscribe_of_an_id_finds_nothing()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/a");
        await socket.UnsubscribeAsync("a");

        await socket.SendAsync(Messages.Unsubscribe("a"));

        WireError.AssertReply(await socket.NextAsync(), "unsubscribe_error", "a", "UnknownOperationError");
    }

    [Fact]
    public async Task Id_may_be_used_again_for_another_channel()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/before");
        await socket.UnsubscribeAsync("a");

        await socket.SubscribeAsync("a", "/default/after");
        await publisher.PublishAsync("/default/before", "1");
        await publisher.PublishAsync("/default/after", "2");

        Assert.Equal("2", await socket.NextEventAsync("a"));
    }

    [Fact]
    public async Task Authorization_and_other_members_are_ignored()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await socket.SubscribeAsync("a", "/default/a");

        await socket.SendAsync("""{"type":"unsubscribe","id":"a","authorization":{"x-api-key":"wrong"},"channel":7,"events":{}}""");

        await socket.NextAsync("unsubscribe_success", "a");
    }

    [Fact]
    public async Task Requests_of_one_connection_are_taken_in_the_order_they_came()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        const int Rounds = 200;
        var burst = Enumerable.Range(0, Rounds).SelectMany(round => (byte[])
        [
            .. WireFrame.EncodeText(Messages.Subscribe("a", round % 2 == 0 ? "/default/a" : "/default/*")),
            .. WireFrame.EncodeText(Messages.Unsubscribe("a")),
        ]);

        await socket.SendBytesAsync(burst.ToArray());

        for (var round = 0; round < Rounds; round++)
        {
            await socket.NextAsync("subscribe_success", "a");
            await socket.NextAsync("unsubscribe_success", "a");
        }
    }

    [Fact]
    public async Task No_event_follows_success_while_publishers_go_on()
    {
        await using var socket = await gateway.Server.ConnectAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var publishing = PublishUntilAsync(publisher, stop.Token);

        for (var round = 0; round < 100; round++)
        {
            var id = $"r{round}";
            await socket.SubscribeAsync(id, "/default/busy");
            await socket.NextEventAsync(id);
            await socket.SendAsync(Messages.Unsubscribe(id));
            var message = await socket.NextAsync();
            while ((string?)message["type"] == "data")
            {
                Assert.Equal(id, (string)message["id"]!);
                message = await socket.NextAsync("unsubscribe_success");
            }

            Assert.Equal("unsubscribe_success", (string?)message["type"]);
        }

        await stop.CancelAsync();
        await publishing;
        await socket.AssertNothingElseAsync();
    }

    [Theory]
    [InlineData("close")]
    [InlineData("end")]
    [InlineData("reset")]
    public async Task Connection_that_ends_takes_its_subscriptions_along(string ending)
    {
        var channel = $"/default/ended-{ending}";
        var ended = await gateway.Server.ConnectAsync();
        await ended.SubscribeAsync("a", channel);
        await using var stays = await gateway.Server.ConnectAsync();
        await stays.SubscribeAsync("a", channel);

        switch (ending)
        {
            case "close":
                await ended.SendBytesAsync(WireFrame.EncodeClose(1000));
                await ended.AssertClosedAsync(1000);
                break;
            case "end":
                ended.Connection.ShutdownSend();
                await ended.Connection.ReadToEndAsync();
                break;
            default:
                ended.Connection.Abort();
                break;
        }

        await ended.DisposeAsync();
        await using var publisher = await gateway.Server.ConnectAsync();
        await publisher.PublishAsync(channel, "1");
        Assert.Equal("1", await stays.NextEventAsync("a"));
        await using var again = await gateway.Server.ConnectAsync();
        await again.SubscribeAsync("a", channel);
        await publisher.PublishAsync(channel, "2");
        Assert.Equal("2", await again.NextEventAsync("a"));
    }

    private static async Task PublishUntilAsync(RawWebSocket publisher, CancellationToken token)
    {
        while (!token.IsCancellationRequested)
        {
            await publisher.PublishAsync("/default/busy", "1", "2", "3");
        }
    }
}
