using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Fanfare.Gateway.Tests.TestKit;
using Fanfare.Gateway.Transport;

namespace Fanfare.Gateway.Tests.Transport;

/// <summary>The loop that waits for sockets and for queued work.</summary>
public sealed class EventLoopTests
{
    private const string NotSupported = "This system has no event loop.";

    [Fact]
    public async Task No_wake_up_is_lost_however_many_threads_wake()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        const int Threads = 8, Items = 20_000;
        var work = new Work();
        using var loop = new EventLoop("test", work);
        work.Loop = loop;

        // Each waits for its own item before it queues the next, so that the loop falls asleep again and again.
        await Deadline.WaitAsync(
            Task.WhenAll(Enumerable.Range(0, Threads).Select(_ => Task.Run(async () =>
            {
                for (var i = 0; i < Items / Threads; i++)
                {
                    await work.RunAsync(static () => { });
                }
            }))),
            "all items");

        Assert.Equal(Items, work.Done);
        Assert.Empty(work.Failures);
    }

    [Fact]
    public async Task No_signal_is_lost_and_each_is_taken_in_its_order()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        const int Signals = 5_000;
        var work = new Work();
        using var loop = new EventLoop("test", work);
        work.Loop = loop;
        var (one, client) = await ConnectAsync(loop);
        using var end = client;
        var (resumed, done) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        one.Resumed = () =>
        {
            if (++resumed == 4 * Signals)
            {
                done.SetResult();
            }
        };
        loop.Signal(one, LoopSignal.Add);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < Signals; i++)
            {
                loop.Signal(one, LoopSignal.Resume);
            }
        })));

        await Deadline.WaitAsync(done.Task, "all signals");
        Assert.Equal(4 * Signals, resumed);
    }

    [Fact]
    public async Task A_socket_that_looks_again_does_so_once_in_each_turn_until_it_is_closed()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        var work = new Work();
        using var loop = new EventLoop("test", work);
        work.Loop = loop;
        var (one, client) = await ConnectAsync(loop);
        using var end = client;
        var looks = 0;
        one.Readable = () =>
        {
            if (++looks == 100)
            {
                one.Close();
            }

            loop.LookAgain(one);
            loop.LookAgain(one);
        };
        loop.Signal(one, LoopSignal.Add);
        await client.SendAsync(new byte[1], TestContext.Current.CancellationToken);

        await Deadline.WaitAsync(one.Closed.Task, "the close");
        await work.RunAsync(static () => { });
        Assert.Equal(100, looks);
        Assert.Empty(work.Failures);
    }

    [Fact]
    public async Task A_tick_reaches_whoever_asked_for_it_once_and_a_failure_in_it_ends_one_socket_only()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        var work = new Work();
        using var loop = new EventLoop("test", work);
        work.Loop = loop;
        var (bad, badClient) = await ConnectAsync(loop);
        using var badEnd = badClient;
        var (good, goodClient) = await ConnectAsync(loop);
        using var goodEnd = goodClient;
        var ticks = 0;
        bad.Ticked = () => throw new InvalidOperationException("on purpose");
        good.Ticked = () => ticks++;
        loop.Signal(bad, LoopSignal.Add);
        loop.Signal(good, LoopSignal.Add);

        await work.RunAsync(() =>
        {
            loop.TickOnce(bad);
            loop.TickOnce(good);
            loop.TickOnce(good);
            loop.Tick();
            loop.Tick();
        });

        Assert.Equal(1, ticks);
        Assert.Equal("on purpose", Assert.Single(work.Failures).Message);
        await Deadline.WaitAsync(bad.Closed.Task, "the end of the socket that failed");
        Assert.False(good.Closed.Task.IsCompleted);
    }

    [Fact]
    public async Task Sockets_may_close_themselves_and_each_other_inside_callbacks()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        var work = new Work();
        using var loop = new EventLoop("test", work);
        work.Loop = loop;
        for (var round = 0; round < 50; round++)
        {
            var (first, firstClient) = await ConnectAsync(loop);
            using var firstEnd = firstClient;
            var (second, secondClient) = await ConnectAsync(loop);
            using var secondEnd = secondClient;
            first.Readable = second.Readable = () =>
            {
                first.Close();
                second.Close();
                second.Abort();
            };
            loop.Signal(first, LoopSignal.Add);
            loop.Signal(second, LoopSignal.Add);
            // Signals come before work, so both are watched by now.
            await work.RunAsync(static () => { });
            await firstClient.SendAsync(new byte[1], TestContext.Current.CancellationToken);

            await Deadline.WaitAsync(Task.WhenAll(first.Closed.Task, second.Closed.Task), "both closes");
        }

        Assert.Empty(work.Failures);
    }

    [Fact]
    public async Task A_failure_in_a_callback_ends_one_socket_and_not_the_loop()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        var work = new Work();
        using var loop = new EventLoop("test", work);
        work.Loop = loop;
        var (one, client) = await ConnectAsync(loop);
        using var end = client;
        one.Readable = () => throw new InvalidOperationException("on purpose");
        loop.Signal(one, LoopSignal.Add);
        await client.SendAsync(new byte[1], TestContext.Current.CancellationToken);

        await Deadline.WaitAsync(one.Closed.Task, "the end of the socket that failed");
        await work.RunAsync(static () => { });
        Assert.Single(work.Failures);
    }

    [Fact]
    public async Task Ending_the_loop_closes_what_is_left_and_what_is_signalled_to_it_then()
    {
        Assert.SkipUnless(EventLoop.IsSupported, NotSupported);
        var work = new Work();
        var loop = new EventLoop("test", work);
        work.Loop = loop;
        var sockets = new List<(TestSocket Socket, Socket Client)>();
        for (var i = 0; i < 20; i++)
        {
            var pair = await ConnectAsync(loop);
            loop.Signal(pair.Socket, LoopSignal.Add);
            sockets.Add(pair);
        }

        loop.Dispose();
        loop.Dispose();

        Assert.All(sockets, pair => Assert.True(pair.Socket.Closed.Task.IsCompleted));
        foreach (var (socket, client) in sockets)
        {
            // Late, as from whatever was under way: nothing happens.
            loop.Signal(socket, LoopSignal.Resume);
            loop.Wake();
            Assert.Equal(0, await client.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken));
            client.Dispose();
        }
    }

    private static async Task<(TestSocket Socket, Socket Client)> ConnectAsync(EventLoop loop)
    {
        var token = TestContext.Current.CancellationToken;
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!, token);
        // The descriptor becomes the loop's; a socket without one is not disposed of.
        var handle = (await listener.AcceptAsync(token)).SafeHandle;
        var descriptor = (int)handle.DangerousGetHandle();
        handle.SetHandleAsInvalid();
        return (new TestSocket(loop, descriptor), client);
    }

    private sealed class Work : IEventLoopWork
    {
        private readonly ConcurrentQueue<(Action Action, TaskCompletionSource Done)> _queue = [];
        private int _done;

        public EventLoop? Loop { get; set; }

        public ConcurrentQueue<Exception> Failures { get; } = [];

        public int Done => Volatile.Read(ref _done);

        public Task RunAsync(Action action)
        {
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _queue.Enqueue((action, done));
            Loop!.Wake();
            return done.Task;
        }

        public void LoopWoke()
        {
        }

        public bool RunQueued()
        {
            while (_queue.TryDequeue(out var item))
            {
                item.Action();
                _done++;
                item.Done.SetResult();
            }

            return false;
        }

        public void SocketRead()
        {
        }

        public void LoopFailed(Exception exception) => Failures.Enqueue(exception);
    }

    private sealed class TestSocket(EventLoop loop, int descriptor) : LoopSocket(loop, descriptor)
    {
        public TaskCompletionSource Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Action Readable { get; set; } = static () => { };

        public Action Ticked { get; set; } = static () => { };

        public Action Resumed { get; set; } = static () => { };

        public override void OnReadable(bool isEndNear) => Readable();

        public override void OnWritable()
        {
        }

        public override void OnTick() => Ticked();

        public override void WritingEnded()
        {
        }

        protected override void OnResumed() => Resumed();

        protected override void OnClosed() => Closed.SetResult();
    }
}
