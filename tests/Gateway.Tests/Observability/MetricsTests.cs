using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Observability;

/// <summary>What <c>/metrics</c> says after traffic whose numbers are known.</summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task Connections_are_counted_while_they_live_and_by_outcome()
    {
        await using var gateway = await GatewayServer.StartAsync("--Fanfare:Limits:RejectionDelay=00:00:00.001");
        var first = await gateway.ConnectAsync();
        await first.InitAsync();
        await using var second = await gateway.ConnectAsync();
        await second.InitAsync();
        await using var refused = await gateway.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey));
        await refused.NextAsync("connection_error", id: null);
        await refused.AssertClosedAsync(1000);
        await Metrics.WaitAsync(gateway, 2, "fanfare_connections_active");

        await first.DisposeAsync();
        var metrics = await Metrics.WaitAsync(gateway, 1, "fanfare_connections_active");

        Assert.Equal(2, metrics.Sum("fanfare_connects_total", "outcome=\"success\""));
        Assert.Equal(1, metrics.Sum("fanfare_connects_total", "outcome=\"client_error\""));
        Assert.Equal(3, metrics.Sum("fanfare_handshake_duration_seconds_count"));
        metrics = await Metrics.WaitAsync(gateway, 2, "fanfare_disconnects_total");
        Assert.Equal(2, metrics.Sum("fanfare_connection_duration_seconds_count"));
    }

    [Fact]
    public async Task Subscriptions_are_counted_while_they_live_and_by_outcome()
    {
        await using var gateway = await GatewayServer.StartAsync();
        await using var socket = await gateway.ConnectAsync();
        await socket.SubscribeAsync("1", "/default/a");
        await socket.SubscribeAsync("2", "/default/*");
        await socket.SubscribeAsync("3", "/default/a");
        await socket.SendAsync(Messages.Subscribe("4", "not a channel"));
        await socket.NextAsync("subscribe_error", "4");
        await socket.UnsubscribeAsync("1");
        await socket.SendAsync(Messages.Unsubscribe("unknown"));
        await socket.NextAsync("unsubscribe_error", "unknown");

        var metrics = await Metrics.ReadAsync(gateway);
        Assert.Equal(2, metrics.Sum("fanfare_subscriptions_active", "namespace=\"default\""));
        Assert.Equal(3, metrics.Sum("fanfare_subscribes_total", "outcome=\"success\""));
        Assert.Equal(1, metrics.Sum("fanfare_subscribes_total", "outcome=\"client_error\""));
        Assert.Equal(1, metrics.Sum("fanfare_unsubscribes_total", "outcome=\"success\""));
        Assert.Equal(1, metrics.Sum("fanfare_unsubscribes_total", "outcome=\"client_error\""));

        await socket.DisposeAsync();
        await Metrics.WaitAsync(gateway, 0, "fanfare_subscriptions_active");
    }

    [Fact]
    public async Task Publishes_events_and_deliveries_are_counted_one_by_one()
    {
        await using var gateway = await GatewayServer.StartAsync("--Fanfare:Limits:EventBytesMax=100");
        await using var subscriber = await gateway.ConnectAsync();
        await subscriber.SubscribeAsync("exact", "/default/a");
        await subscriber.SubscribeAsync("wild", "/default/*");
        await using var publisher = await gateway.ConnectAsync();

        await publisher.PublishAsync("/default/a", "1", "2", "3"); // 3 events on 2 subscriptions
        await publisher.PublishAsync("/default/b", "4", Messages.EventOf(101)); // 1 event on 1, and 1 that fails
        await publisher.PublishAsync("/default/c/d", "5"); // 1 event on 1
        var answer = await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/a", "6")); // 1 event on 2
        Assert.Equal(200, answer.Status);
        for (var i = 0; i < 10; i++)
        {
            await subscriber.NextAsync("a delivery");
        }

        await subscriber.AssertNothingElseAsync();
        var metrics = await Metrics.ReadAsync(gateway);
        Assert.Equal(4, metrics.Sum("fanfare_publishes_total", "namespace=\"default\""));
        Assert.Equal(6, metrics.Sum("fanfare_events_successful_total", "namespace=\"default\""));
        Assert.Equal(1, metrics.Sum("fanfare_events_failed_total", "namespace=\"default\""));
        Assert.Equal(10, metrics.Sum("fanfare_deliveries_total", "namespace=\"default\""));
        Assert.Equal(4, metrics.Sum("fanfare_delivery_duration_seconds_count"));
        Assert.Equal(0, metrics.Sum("fanfare_publish_errors_total"));
    }

    [Fact]
    public async Task HTTP_publishes_are_counted_by_the_class_of_their_answer()
    {
        await using var gateway = await GatewayServer.StartAsync();
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/a", "1"));
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/a", "1"));
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/*", "1"));
        await HttpPublisher.PostAsync(gateway, "{");

        // Counted just after the answer is sent.
        var metrics = await Metrics.WaitAsync(gateway, 4, "fanfare_publish_http_requests_total");
        Assert.Equal(2, metrics.Sum("fanfare_publish_http_client_errors_total"));
        Assert.Equal(0, metrics.Sum("fanfare_publish_http_server_errors_total"));
        Assert.Equal(4, metrics.Sum("fanfare_publish_http_duration_seconds_count"));
    }

    [Fact]
    public async Task Refused_publishes_are_counted_by_type_and_protocol()
    {
        await using var gateway = await GatewayServer.StartAsync();
        await using var socket = await gateway.ConnectAsync();
        await socket.SendAsync(Messages.Publish("1", "/default/*", "1"));
        await socket.NextAsync("publish_error", "1");
        await socket.SendAsync(Messages.Publish("2", "/default/a", "{"));
        await socket.NextAsync("publish_error", "2");
        await socket.SendAsync(Messages.Publish("3", "/default/a", Credentials.KeyAuthorization(Credentials.UnknownKey), "1"));
        await socket.NextAsync("publish_error", "3");
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/nowhere/a", "1"));
        await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/a", "{"));

        var metrics = await Metrics.ReadAsync(gateway);
        Assert.Equal(1, Errors("BadRequestException", "websocket"));
        Assert.Equal(1, Errors("InvalidInputError", "websocket"));
        Assert.Equal(1, Errors("UnauthorizedException", "websocket"));
        Assert.Equal(1, Errors("UnauthorizedException", "http"));
        Assert.Equal(1, Errors("BadRequestException", "http"));
        Assert.Equal(5, metrics.Sum("fanfare_publish_errors_total"));
        Assert.Equal(0, metrics.Sum("fanfare_publishes_total"));

        double Errors(string type, string protocol) =>
            metrics.Sum("fanfare_publish_errors_total", $"type=\"{type}\"", $"protocol=\"{protocol}\"");
    }

    [Fact]
    public async Task Every_byte_of_a_connection_is_counted_in_both_directions()
    {
        await using var gateway = await GatewayServer.StartAsync();
        await using var socket = await gateway.ConnectAsync();
        await socket.InitAsync();
        var before = await Metrics.ReadAsync(gateway);

        var ping = WireFrame.Encode(Opcode.Ping, new byte[100]);
        await socket.SendBytesAsync(ping);
        var pong = await socket.NextFrameAsync("the pong");
        Assert.Equal(100, pong!.Payload.Length);
        var after = await Metrics.ReadAsync(gateway);

        Assert.Equal(ping.Length, Difference("fanfare_received_bytes_total"));
        Assert.Equal(2 + 100, Difference("fanfare_sent_bytes_total"));

        var body = Messages.HttpBody("/default/a", "1");
        await HttpPublisher.PostAsync(gateway, body);
        after = await Metrics.ReadAsync(gateway);
        Assert.Equal(ping.Length + Encoding.UTF8.GetByteCount(body), Difference("fanfare_received_bytes_total"));

        double Difference(string name) => after.Sum(name) - before.Sum(name);
    }

    [Fact]
    public async Task A_connection_that_ends_counts_under_its_reason()
    {
        await using var gateway = await GatewayServer.StartAsync("--Fanfare:Limits:RejectionDelay=00:00:00.001");

        await using (var closed = await gateway.ConnectAsync())
        {
            await closed.SendBytesAsync(WireFrame.EncodeClose(1000));
            await closed.AssertClosedAsync(1000);
        }

        await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"client_closed\"");

        await (await gateway.ConnectAsync()).DisposeAsync();
        await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"client_gone\"");

        await using (var violating = await gateway.ConnectAsync())
        {
            await violating.SendBytesAsync(WireFrame.Encode(Opcode.Text, "{}"u8, isMasked: false));
            await violating.AssertClosedAsync(1002);
        }

        await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"protocol_violation\"");

        await using (var rejected = await gateway.ConnectAsync(Handshake.WithKey(Credentials.UnknownKey)))
        {
            await rejected.NextAsync("connection_error", id: null);
            await rejected.AssertClosedAsync(1000);
        }

        var metrics = await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"rejected\"");
        Assert.Equal(4, metrics.Sum("fanfare_disconnects_total"));
        Assert.Equal(0, metrics.Sum("fanfare_connections_active"));
    }

    [Fact]
    public async Task A_connection_that_reaches_its_lifetime_counts_as_such()
    {
        var clock = new ManualTimeProvider();
        await using var gateway = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:ConnectionLifetime=01:00:00");
        await using var socket = await gateway.ConnectAsync();
        await socket.InitAsync();

        // The keep-alives on the way would be told apart from one another by nothing; one step is enough.
        clock.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(1));
        await socket.AssertClosedAsync(1001);

        var metrics = await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"lifetime_reached\"");
        Assert.Equal(1, metrics.Sum("fanfare_connection_duration_seconds_bucket", "le=\"14400\""));
        Assert.Equal(0, metrics.Sum("fanfare_connection_duration_seconds_bucket", "le=\"900\""));
    }

    [Fact]
    public async Task A_subscriber_that_does_not_read_counts_as_slow()
    {
        await using var gateway = await GatewayServer.StartAsync("--Fanfare:Limits:PendingBytesMax=100000");
        await using var slow = await RawWebSocket.ConnectAsync(gateway.EndPoint, receiveBufferBytes: 4096);
        await slow.SubscribeAsync("s", "/default/flood");
        await using var publisher = await gateway.ConnectAsync();
        var text = Messages.EventOf(90_000);
        var published = 0;

        // The kernel's buffers take some megabytes before the gateway's own begin to fill.
        while (!gateway.Log.Lines.Any(line => line.Text.StartsWith("A slow subscriber", StringComparison.Ordinal)))
        {
            Assert.True(published < 1000, "90 MB went to a subscriber that reads nothing");
            await publisher.PublishAsync("/default/flood", text);
            published++;
        }

        // It would be given up after a while; its end is seen at once where the client goes first.
        slow.Connection.Abort();
        var metrics = await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"slow_subscriber\"");
        Assert.Equal(0, metrics.Sum("fanfare_disconnects_total", "reason=\"client_gone\""));
        await publisher.AssertNothingElseAsync();
    }

    [Fact]
    public async Task A_drain_counts_the_connections_it_closed()
    {
        await using var gateway = await GatewayServer.StartAsync();
        await using var socket = await gateway.ConnectAsync();
        await using var silent = await gateway.ConnectAsync();

        var stopped = gateway.StopAsync();
        await socket.AssertClosedAsync(1001);
        await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"draining\"");
        await silent.AssertClosedAsync(1001);
        await Deadline.WaitAsync(stopped, "the end of the drain");
    }

    [Fact]
    public async Task What_comes_too_late_for_a_connection_is_no_delivery()
    {
        await using var gateway = await GatewayServer.StartAsync();
        await using var silent = await gateway.ConnectAsync();
        await silent.SubscribeAsync("s", "/default/late");
        var stopped = gateway.StopAsync();
        Assert.Equal(Opcode.Close, (await silent.NextFrameAsync("the close frame"))!.Opcode);

        var answer = await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/late", "1"));
        Assert.Equal(200, answer.Status);
        var metrics = await Metrics.WaitAsync(gateway, 1, "fanfare_delivery_duration_seconds_count");
        Assert.Equal(0, metrics.Sum("fanfare_deliveries_total"));

        await silent.SendBytesAsync(WireFrame.EncodeClose(1001));
        await Deadline.WaitAsync(stopped, "the end of the drain");
    }
}
