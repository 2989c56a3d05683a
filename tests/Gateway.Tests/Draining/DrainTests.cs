using System.Net;
using System.Text;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

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
        await using (var late = await RawWebSocket.OpenAsync(gateway.EndPoint, Handshake.WithKey()))
        {
            Assert.Equal(503, late.Response.Status);
            Assert.Equal("ServiceUnavailableException", late.Response.Header("x-amzn-errortype"));
        }

        await silent.SendBytesAsync(WireFrame.EncodeClose(1001));
        await silent.Connection.ReadToEndAsync();
        await AssertEndedAsync(gateway.Run);
    }

    [Fact]
    public async Task Closes_are_spread_over_the_drain_time_and_those_still_open_are_served()
    {
        const int Sockets = 40, Seconds = 10;
        var clock = new ManualTimeProvider();
        await using var gateway = await GatewayServer.StartAsync(clock, $"--Fanfare:DrainTime=00:00:{Seconds}");
        var (closed, delivered) = (0, 0);
        var clients = new List<Task>();
        for (var i = 0; i < Sockets; i++)
        {
            var socket = await gateway.ConnectAsync();
            await socket.SubscribeAsync("s", "/default/drain");
            clients.Add(ServeAsync(socket));
        }

        async Task ServeAsync(RawWebSocket socket)
        {
            await using var end = socket;
            while (await socket.NextFrameAsync("an event or the close", TimeSpan.FromMinutes(1)) is { } frame)
            {
                if (frame.Opcode == Opcode.Close)
                {
                    Assert.Equal(1001, frame.CloseCode);
                    Interlocked.Increment(ref closed);
                    await socket.SendBytesAsync(WireFrame.EncodeClose(1001));
                    await socket.Connection.ReadToEndAsync();
                    return;
                }

                Interlocked.Increment(ref delivered);
            }
        }

        var fanOut = gateway.Services.GetRequiredService<LocalFanOut>();
        var stop = gateway.StopAsync();
        await WaitAsync(() => fanOut.IsDraining, "the begin of the drain");
        var expected = 0;
        for (var second = 1; second <= Seconds; second++)
        {
            var open = Sockets - (Sockets / Seconds * (second - 1));
            Assert.Equal(200, (await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/drain", "1"))).Status);
            expected += open;
            await WaitAsync(() => Volatile.Read(ref delivered) == expected, $"{open} deliveries in second {second}, {expected} in all");
            clock.Advance(TimeSpan.FromSeconds(1));
            await WaitAsync(() => Volatile.Read(ref closed) == Sockets / Seconds * second, $"the closes of second {second}");
        }

        await Deadline.WaitAsync(Task.WhenAll(clients), "the end of the clients");
        await stop;
        Assert.Equal(0, fanOut.Interests.Count);
    }

    [Fact]
    public async Task A_publish_under_way_is_answered_before_the_close()
    {
        var backplane = new HeldPublishes();
        await using var gateway = await GatewayServer.StartWithAsync(services => services.AddSingleton<IBackplane>(backplane));
        await using var publisher = await gateway.ConnectAsync();
        // One on each shard, so that one of them is closed along with the publisher's connection.
        var idle = new List<RawWebSocket>();
        while (idle.Count < Environment.ProcessorCount)
        {
            idle.Add(await gateway.ConnectAsync());
        }

        await publisher.SendAsync(Messages.Publish("1", "/default/a", "1"));
        await Deadline.WaitAsync(backplane.Begun, "the publish");
        await publisher.SendAsync(Messages.Publish("2", "/default/a", "2"));

        var stop = gateway.StopAsync();
        foreach (var socket in idle)
        {
            await socket.AssertClosedAsync(1001);
            await socket.DisposeAsync();
        }

        backplane.Accept();

        await publisher.NextAsync("publish_success", "1");
        await publisher.AssertClosedAsync(1001);
        await stop;
        Assert.Equal(1, backplane.Count);
    }

    [Fact]
    public async Task A_drain_that_takes_time_ends_with_it()
    {
        await using var gateway = await StartAsync("--Fanfare:DrainTime=00:00:02", "--Fanfare:ShutdownTimeout=00:00:20");
        var sockets = new List<RawWebSocket>();
        for (var i = 0; i < 10; i++)
        {
            sockets.Add(await gateway.ConnectAsync());
        }

        await gateway.Run.SignalAsync("TERM");

        await Task.WhenAll(sockets.Select(async socket =>
        {
            await socket.AssertClosedAsync(1001);
            await socket.DisposeAsync();
        }));
        await AssertEndedAsync(gateway.Run, TimeSpan.FromSeconds(10));
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

    private static Task WaitAsync(Func<bool> condition, string missing) => Deadline.WaitAsync(
        async token =>
        {
            while (!condition())
            {
                token.ThrowIfCancellationRequested();
                await Task.Yield();
            }
        },
        missing);

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

    private sealed class HeldPublishes : IBackplane
    {
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<PublishStatus> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _count;

        public Task Begun => _begun.Task;

        public int Count => Volatile.Read(ref _count);

        public void Accept() => _outcome.SetResult(PublishStatus.Accepted);

        public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken)
        {
            isPlaced = false;
            Interlocked.Increment(ref _count);
            _begun.TrySetResult();
            return new(_outcome.Task);
        }

        public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => default;

        public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => default;
    }
}
