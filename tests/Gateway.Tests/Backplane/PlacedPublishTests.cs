using System.Collections.Concurrent;
using System.Diagnostics;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>Which publishes of a connection wait for the one before.</summary>
public sealed class PlacedPublishTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Publishes_to_a_channel_do_not_wait_for_those_whose_place_is_certain(bool isTraced)
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => isTraced && source.Name == GatewayActivity.SourceName,
            Sample = (ref _) => ActivitySamplingResult.AllData,
        };
        ActivitySource.AddActivityListener(listener);
        var backplane = new WaitingBackplane();
        await using var gateway = await GatewayServer.StartWithAsync(services => services.AddSingleton<IBackplane>(backplane));
        await using var socket = await gateway.ConnectAsync();

        await socket.SendAsync(Messages.Publish("1", "/default/a", "1"));
        await socket.SendAsync(Messages.Publish("2", "/default/a", "2"));
        await socket.SendAsync(Messages.Publish("3", "/default/a/", "3"));
        var publishes = new[] { await backplane.NextAsync(), await backplane.NextAsync(), await backplane.NextAsync() };

        foreach (var (publish, id) in publishes.Zip(["1", "2", "3"]).Reverse())
        {
            publish.SetResult(PublishStatus.Accepted);
            await socket.NextAsync("publish_success", id);
        }
    }

    [Fact]
    public async Task A_publish_without_a_place_holds_up_those_to_its_channel_and_no_others()
    {
        var backplane = new WaitingBackplane();
        backplane.Unplaced["/default/a"] = true;
        await using var gateway = await GatewayServer.StartWithAsync(services => services.AddSingleton<IBackplane>(backplane));
        await using var socket = await gateway.ConnectAsync();

        await socket.SendAsync(Messages.Publish("1", "/default/b", "1"));
        await socket.SendAsync(Messages.Publish("2", "/default/a", "2"));
        await socket.SendAsync(Messages.Publish("3", "/default/b", "3"));
        await socket.SendAsync(Messages.Publish("4", "/default/a", "4"));
        var (one, two, three) = (await backplane.NextAsync(), await backplane.NextAsync(), await backplane.NextAsync());
        three.SetResult(PublishStatus.Accepted);
        await socket.NextAsync("publish_success", "3");
        one.SetResult(PublishStatus.Unavailable);
        await socket.NextAsync("publish_error", "1");
        backplane.AssertNothingElse();

        two.SetResult(PublishStatus.Accepted);
        await socket.NextAsync("publish_success", "2");
        (await backplane.NextAsync()).SetResult(PublishStatus.Accepted);
        await socket.NextAsync("publish_success", "4");
    }

    /// <summary>A backplane whose publishes end when the test says so.</summary>
    private sealed class WaitingBackplane : IBackplane
    {
        private readonly System.Threading.Channels.Channel<TaskCompletionSource<PublishStatus>> _publishes =
            System.Threading.Channels.Channel.CreateUnbounded<TaskCompletionSource<PublishStatus>>();

        /// <summary>Channels whose publishes may still be overtaken.</summary>
        public ConcurrentDictionary<string, bool> Unplaced { get; } = [];

        public Task<TaskCompletionSource<PublishStatus>> NextAsync() =>
            Deadline.WaitAsync(token => _publishes.Reader.ReadAsync(token), "a publish");

        public void AssertNothingElse() => Assert.False(_publishes.Reader.TryRead(out _), "There is a publish that the test did not expect.");

        public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken)
        {
            isPlaced = !Unplaced.ContainsKey(channel.Path.ToString());
            var outcome = new TaskCompletionSource<PublishStatus>(TaskCreationOptions.RunContinuationsAsynchronously);
            _publishes.Writer.TryWrite(outcome);
            return new(outcome.Task);
        }

        public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => default;

        public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken) => default;
    }
}
