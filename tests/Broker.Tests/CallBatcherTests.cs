using System.Collections.Concurrent;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Broker.Tests;

/// <summary>How requests to one target share calls.</summary>
public sealed class CallBatcherTests
{
    private readonly Target _target = new();

    [Fact]
    public async Task A_request_leaves_at_once_while_few_calls_are_under_way()
    {
        var first = _target.SendAsync(1);
        var one = await _target.NextAsync();
        var second = _target.SendAsync(2);
        var two = await _target.NextAsync();

        Assert.Equal([1], one.Requests);
        Assert.Equal([2], two.Requests);
        two.Answer();
        Assert.Equal(20, await Deadline.WaitAsync(second, "the second answer"));
        Assert.False(first.IsCompleted);
        one.Answer();
        Assert.Equal(10, await Deadline.WaitAsync(first, "the first answer"));
    }

    [Fact]
    public async Task What_comes_while_calls_are_under_way_leaves_together_and_in_order()
    {
        var (one, two) = await FillAsync();
        var waiting = Enumerable.Range(3, 100).Select(_target.SendAsync).ToArray();
        _target.AssertNothingElse();

        one.Answer();
        var next = await _target.NextAsync();
        two.Answer();
        next.Answer();

        Assert.Equal(Enumerable.Range(3, 100), next.Requests);
        Assert.Equal(Enumerable.Range(3, 100).Select(number => number * 10), await Deadline.WaitAsync(Task.WhenAll(waiting), "the answers"));
        _target.AssertNothingElse();
    }

    [Fact]
    public async Task What_the_answered_send_next_leaves_together()
    {
        var (one, two) = await FillAsync();
        var waiting = Enumerable.Range(3, 10).Select(_target.SendAsync).ToArray();
        one.Answer();
        var next = await _target.NextAsync();
        var following = waiting.Select(async (answer, index) =>
        {
            await answer.ConfigureAwait(false);
            return await _target.SendAsync(100 + index);
        }).ToArray();

        next.Answer();
        var after = await _target.NextAsync();

        Assert.Equal(Enumerable.Range(100, 10), after.Requests);
        after.Answer();
        two.Answer();
        await Deadline.WaitAsync(Task.WhenAll(following), "the answers");
    }

    [Fact]
    public async Task A_call_carries_so_many_requests_and_bytes_and_the_rest_leaves_with_the_next()
    {
        var (one, two) = await FillAsync();
        _target.Bytes = request => request < 2_000 ? 1 : 600_000;
        foreach (var request in Enumerable.Range(3, 1_500).Concat([2_000, 2_001, 2_002]))
        {
            _ = _target.SendAsync(request);
        }

        one.Answer();

        var calls = new List<int[]>();
        for (var i = 0; i < 4; i++)
        {
            var call = await _target.NextAsync();
            calls.Add(call.Requests);
            call.Answer();
        }

        two.Answer();
        Assert.Equal([1_024, 477, 1, 1], calls.Select(call => call.Length));
        Assert.Equal(Enumerable.Range(3, 1_500).Concat([2_000, 2_001, 2_002]), calls.SelectMany(call => call));
    }

    [Fact]
    public async Task A_call_that_fails_fails_what_waits_behind_it_and_the_next_request_is_sent_again()
    {
        var (one, two) = await FillAsync();
        var waiting = Enumerable.Range(3, 10).Select(_target.SendAsync).ToArray();

        one.Fail();
        await Assert.ThrowsAsync<InvalidOperationException>(() => Deadline.WaitAsync(Task.WhenAll(waiting), "the failures"));
        Assert.All(waiting, answer => Assert.IsType<InvalidOperationException>(answer.Exception?.InnerException));
        var after = _target.SendAsync(100);
        var next = await _target.NextAsync();
        Assert.Equal([100], next.Requests);
        next.Answer();
        two.Answer();

        Assert.Equal(1_000, await Deadline.WaitAsync(after, "the answer"));
    }

    [Fact]
    public async Task A_call_that_cannot_be_made_fails_its_requests_alone()
    {
        _target.ThrowsAtOnce = true;
        await Assert.ThrowsAsync<InvalidOperationException>(() => Deadline.WaitAsync(_target.SendAsync(1), "the failure"));
        _target.ThrowsAtOnce = false;

        var answer = _target.SendAsync(2);
        (await _target.NextAsync()).Answer();
        Assert.Equal(20, await Deadline.WaitAsync(answer, "the answer"));
    }

    [Fact]
    public async Task Every_request_of_many_threads_is_answered_by_its_own_answer()
    {
        const int Senders = 8;
        const int Count = 20_000;
        var served = new ConcurrentDictionary<int, int>();
        var target = new AnsweringTarget(served);

        await Deadline.WaitAsync(
            Task.WhenAll(Enumerable.Range(0, Senders).Select(sender => Task.Run(async () =>
            {
                for (var i = 0; i < Count; i++)
                {
                    var request = (i * Senders) + sender;
                    Assert.Equal(request * 10, await target.SendAsync(request));
                }
            }))),
            "all answers", TimeSpan.FromSeconds(60));

        Assert.Equal(Senders * Count, served.Count);
        Assert.All(served.Values, count => Assert.Equal(1, count));
        Assert.InRange(target.CallsAtOnceMax, 1, 2);
    }

    private async Task<(Call One, Call Two)> FillAsync()
    {
        _ = _target.SendAsync(1);
        var one = await _target.NextAsync();
        _ = _target.SendAsync(2);
        return (one, await _target.NextAsync());
    }

    private sealed class Call(int[] requests)
    {
        private readonly TaskCompletionSource<int[]> _answers = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int[] Requests => requests;

        public Task<int[]> Answers => _answers.Task;

        public void Answer() => _answers.SetResult(Array.ConvertAll(requests, request => request * 10));

        public void Fail() => _answers.SetException(new InvalidOperationException("It fails."));
    }

    /// <summary>A target whose calls the test answers.</summary>
    private sealed class Target : CallBatcher<int, int>
    {
        private readonly System.Threading.Channels.Channel<Call> _calls = System.Threading.Channels.Channel.CreateUnbounded<Call>();

        public Func<int, int> Bytes { get; set; } = _ => 1;

        public bool ThrowsAtOnce { get; set; }

        public Task<Call> NextAsync() => Deadline.WaitAsync(token => _calls.Reader.ReadAsync(token), "a call");

        public void AssertNothingElse() => Assert.False(_calls.Reader.TryRead(out _), "There is a call that the test did not expect.");

        protected override int GetBytes(int request) => Bytes(request);

        protected override Task<int[]> CallAsync(int[] requests)
        {
            if (ThrowsAtOnce)
            {
                throw new InvalidOperationException("It fails.");
            }

            var call = new Call(requests);
            _calls.Writer.TryWrite(call);
            return call.Answers;
        }
    }

    private sealed class AnsweringTarget(ConcurrentDictionary<int, int> served) : CallBatcher<int, int>
    {
        private int _callCount;
        private int _callsAtOnceMax;

        public int CallsAtOnceMax => _callsAtOnceMax;

        protected override int GetBytes(int request) => 1;

        protected override async Task<int[]> CallAsync(int[] requests)
        {
            InterlockedMax(ref _callsAtOnceMax, Interlocked.Increment(ref _callCount));
            await Task.Yield();
            foreach (var request in requests)
            {
                served.AddOrUpdate(request, 1, static (_, count) => count + 1);
            }

            Interlocked.Decrement(ref _callCount);
            return Array.ConvertAll(requests, request => request * 10);
        }

        private static void InterlockedMax(ref int max, int value)
        {
            int seen;
            while ((seen = Volatile.Read(ref max)) < value)
            {
                Interlocked.CompareExchange(ref max, value, seen);
            }
        }
    }
}
