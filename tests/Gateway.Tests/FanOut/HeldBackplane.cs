using System.Collections.Concurrent;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Tests.FanOut;

/// <summary>A backplane whose calls about interest end when the test says so, and which notices when two of one pattern overlap.</summary>
internal sealed class HeldBackplane : IBackplane
{
    private readonly ConcurrentDictionary<PatternKey, int> _underWay = new();
    private readonly ConcurrentDictionary<PatternKey, bool> _interests = new();
    private readonly System.Threading.Channels.Channel<Call> _calls = System.Threading.Channels.Channel.CreateUnbounded<Call>();

    /// <summary>Answers calls by itself where it is set.</summary>
    public Func<Call, Task>? Answer { get; init; }

    /// <summary>What was announced and not withdrawn.</summary>
    public IReadOnlyCollection<PatternKey> Interests => [.. _interests.Keys];

    /// <summary>Patterns about which two calls were under way at once.</summary>
    public ConcurrentQueue<PatternKey> Overlaps { get; } = [];

    public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken) =>
        throw new NotSupportedException("These tests publish nothing.");

    public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => RunAsync(new Call(pattern, IsAdd: true));

    public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => RunAsync(new Call(pattern, IsAdd: false));

    /// <summary>The next call, in the order in which they were made.</summary>
    public async Task<Call> NextAsync(bool isAdd)
    {
        var call = await TestKit.Deadline.WaitAsync(token => _calls.Reader.ReadAsync(token), isAdd ? "an announcement" : "a withdrawal");
        Assert.Equal(isAdd, call.IsAdd);
        return call;
    }

    /// <summary>Asserts that no call waits to be taken by <see cref="NextAsync"/>.</summary>
    public void AssertNoCall() => Assert.False(_calls.Reader.TryRead(out var call), $"an unexpected call: {call}");

    private async ValueTask RunAsync(Call call)
    {
        if (_underWay.AddOrUpdate(call.Pattern, 1, static (_, count) => count + 1) > 1)
        {
            Overlaps.Enqueue(call.Pattern);
        }

        try
        {
            if (Answer is not null)
            {
                await Answer(call);
            }
            else
            {
                _calls.Writer.TryWrite(call);
                await call.Ended;
            }

            if (call.IsAdd)
            {
                _interests[call.Pattern] = true;
            }
            else
            {
                _interests.TryRemove(call.Pattern, out _);
            }
        }
        finally
        {
            _underWay.AddOrUpdate(call.Pattern, 0, static (_, count) => count - 1);
        }
    }

    /// <summary>One call, which stays under way until it is completed or failed.</summary>
    internal sealed record Call(PatternKey Pattern, bool IsAdd)
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        public void Complete() => _ended.SetResult();

        public void Fail(Exception exception) => _ended.SetException(exception);
    }
}
