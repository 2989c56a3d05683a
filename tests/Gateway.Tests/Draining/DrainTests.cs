using System.Net;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Draining;

/// <summary>What clients see of a gateway that is asked to stop.</summary>
public sealed class DrainTests : IDisposable
{
    // A close frame that nobody answers is waited for this long (Shard), and the machine may be slow.
    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(40);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_signal_closes_every_connection_with_1001_and_the_process_ends_with_0()
    {
        await using var gateway = await StartAsync();
        var sockets = new List<RawWebSocket>();
        for (var i = 0; i < 20; i++)
        {
            sockets.Add(await gateway.ConnectAsync());
            await sockets[i].SubscribeAsync("s", $"/default/{i}");
        }

        await gateway.Run.SignalAsync("TERM");

        foreach (var socket in sockets)
        {
            await socket.AssertClosedAsync(1001);
            await socket.DisposeAsync();
        }

        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task A_gateway_without_connections_ends_at_once()
    {
        await using var gateway = await StartAsync();

        await gateway.Run.SignalAsync("TERM");

        await AssertEndedAsync(gateway.Run, TimeSpan.FromSeconds(8));
    }

    [Fact]
    public async Task An_interrupt_from_the_keyboard_ends_it_as_a_signal_to_terminate_does()
    {
        await using var gateway = await StartAsync();
        await using var socket = await gateway.ConnectAsync();

        await gateway.Run.SignalAsync("INT");

        await socket.AssertClosedAsync(1001);
        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task While_a_client_holds_the_drain_up_the_gateway_is_unready_but_alive_and_refuses_new_connections()
    {
        await using var gateway = await StartAsync();
        Assert.Equal(200, await gateway.GetStatusAsync("/health"));
        await using var silent = await gateway.ConnectAsync();

        await gateway.Run.SignalAsync("TERM");
        Assert.Equal(1001, await ReadCloseCodeAsync(silent)); // and does not answer it

        Assert.Equal(503, await gateway.GetStatusAsync("/health"));
        Assert.Equal(200, await gateway.GetStatusAsync("/alive"));
        await using (var late = await gateway.ConnectAsync())
        {
            await late.AssertClosedAsync(1001);
        }

        await silent.SendBytesAsync(WireFrame.EncodeClose(1001));
        await silent.Connection.ReadToEndAsync();
        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task A_client_that_never_answers_does_not_keep_the_process()
    {
        await using var gateway = await StartAsync();
        await using var silent = await gateway.ConnectAsync();

        await gateway.Run.SignalAsync("TERM");
        Assert.Equal(1001, await ReadCloseCodeAsync(silent));

        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task The_shutdown_time_bounds_the_drain()
    {
        await using var gateway = await StartAsync("--Fanfare:ShutdownTimeout=00:00:02");
        await using var silent = await gateway.ConnectAsync();

        await gateway.Run.SignalAsync("TERM");
        Assert.Equal(1001, await ReadCloseCodeAsync(silent));

        // Less than the ten seconds that the close frame alone would be waited for.
        await AssertEndedAsync(gateway.Run, TimeSpan.FromSeconds(8));
    }

    [Fact]
    public async Task A_client_that_reads_nothing_does_not_keep_the_process()
    {
        await using var gateway = await StartAsync();
        await using var stuck = await RawWebSocket.ConnectAsync(gateway.EndPoint, receiveBufferBytes: 4096);
        await stuck.SubscribeAsync("s", "/default/full");
        await using var publisher = await gateway.ConnectAsync();
        var text = Messages.EventOf(200_000);
        for (var i = 0; i < 15; i++)
        {
            await publisher.PublishAsync("/default/full", text);
        }

        await gateway.Run.SignalAsync("TERM");
        await publisher.AssertClosedAsync(1001);

        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task What_was_published_before_the_close_arrives_before_it()
    {
        const int Publishes = 200;
        await using var gateway = await StartAsync();
        await using var subscriber = await gateway.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/last");
        await using var publisher = await gateway.ConnectAsync();
        for (var i = 0; i < Publishes; i++)
        {
            await publisher.PublishAsync("/default/last", $"{i}");
        }

        await gateway.Run.SignalAsync("TERM");

        for (var i = 0; i < Publishes; i++)
        {
            Assert.Equal($"{i}", await subscriber.NextEventAsync("s"));
        }

        await subscriber.AssertClosedAsync(1001);
        await publisher.AssertClosedAsync(1001);
        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task A_publish_over_HTTP_that_is_under_way_completes()
    {
        await using var gateway = await StartAsync();
        await using var silent = await gateway.ConnectAsync();
        await using var publisher = await RawConnection.OpenAsync(gateway.EndPoint);
        var body = Messages.HttpBody("/default/late", "1");
        await publisher.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /event HTTP/1.1\r\nHost: {gateway.EndPoint}\r\nx-api-key: {Credentials.ApiKey}\r\nExpect: 100-continue\r\n"
            + $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n"));
        // The interim answer shows that the request has reached the gateway's own code, which waits for the body.
        Assert.Equal(100, (await publisher.ReadHeadAsync("100 Continue")).Status);

        await gateway.Run.SignalAsync("TERM");
        Assert.Equal(1001, await ReadCloseCodeAsync(silent));
        await silent.SendBytesAsync(WireFrame.EncodeClose(1001));
        await silent.Connection.ReadToEndAsync();
        await publisher.SendAsync(Encoding.ASCII.GetBytes(body));

        Assert.Equal(200, (await publisher.ReadHeadAsync("the answer to the publish")).Status);
        await AssertEndedAsync(gateway.Run);
    }

    private static async Task<int> ReadCloseCodeAsync(RawWebSocket socket)
    {
        WireFrame? frame;
        do
        {
            frame = await socket.NextFrameAsync("the close frame");
            Assert.NotNull(frame);
        }
        while (frame.Opcode != Opcode.Close);

        return frame.CloseCode;
    }

    private static async Task AssertEndedAsync(GatewayRun run, TimeSpan? limit = null)
    {
        var result = await run.ExitAsync(limit ?? s_drainLimit);
        Assert.Equal(0, result.ExitCode);
        Assert.Empty(result.Errors);
    }

    private async Task<Gateway> StartAsync(params string[] arguments)
    {
        var run = GatewayRun.Start(_folder.Path, ["--urls", "http://127.0.0.1:0", "--api-key", Credentials.ApiKey, .. arguments]);
        try
        {
            return new Gateway(run, await run.WaitUntilListeningAsync());
        }
        catch
        {
            await run.DisposeAsync();
            throw;
        }
    }

    private sealed class Gateway(GatewayRun run, Uri address) : IAsyncDisposable
    {
        public GatewayRun Run { get; } = run;

        public IPEndPoint EndPoint { get; } = new(IPAddress.Loopback, address.Port);

        public Task<RawWebSocket> ConnectAsync() => RawWebSocket.ConnectAsync(EndPoint);

        public async Task<int> GetStatusAsync(string path)
        {
            await using var connection = await RawConnection.OpenAsync(EndPoint);
            await connection.SendAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {EndPoint}\r\nConnection: close\r\n\r\n"));
            return (await connection.ReadHeadAsync($"an answer to {path}")).Status;
        }

        public ValueTask DisposeAsync() => Run.DisposeAsync();
    }
}
