using System.Collections.Concurrent;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>What clients and operators see of a backplane that fails.</summary>
public sealed class FailingBackplaneTests
{
    [Fact]
    public async Task A_withdrawal_that_fails_leaves_nothing_of_the_connection_behind()
    {
        var backplane = new FailingBackplane { FailsToRemove = true };
        await using var gateway = await GatewayServer.StartWithAsync(services => services.AddSingleton<IBackplane>(backplane));
        await using (var socket = await gateway.ConnectAsync())
        {
            await socket.SubscribeAsync("1", "/default/a");
            await socket.SubscribeAsync("2", "/default/b");
        }

        await Metrics.WaitAsync(gateway, 1, "fanfare_disconnects_total", "reason=\"client_gone\"");
        await Metrics.WaitAsync(gateway, 0, "fanfare_connections_active");
        Assert.Equal(["/default/a", "/default/b"], backplane.Removed);
    }

    [Fact]
    public async Task A_subscribe_that_the_backplane_fails_is_refused_and_the_connection_lives_on()
    {
        var backplane = new FailingBackplane { FailsToAdd = true };
        await using var gateway = await GatewayServer.StartWithAsync(services => services.AddSingleton<IBackplane>(backplane));
        await using var socket = await gateway.ConnectAsync();

        await socket.SendAsync(Messages.Subscribe("1", "/default/a"));

        await socket.NextAsync("subscribe_error", "1");
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task A_publish_that_the_backplane_fails_is_refused_and_the_connection_lives_on()
    {
        var backplane = new FailingBackplane { FailsToPublish = true };
        await using var gateway = await GatewayServer.StartWithAsync(services => services.AddSingleton<IBackplane>(backplane));
        await using var socket = await gateway.ConnectAsync();

        await socket.SendAsync(Messages.Publish("1", "/default/a", "1"));

        await socket.NextAsync("publish_error", "1");
        await socket.AssertNothingElseAsync();
        Assert.Equal(500, (await HttpPublisher.PostAsync(gateway, Messages.HttpBody("/default/a", "1"))).Status);
    }

    private sealed class FailingBackplane : IBackplane
    {
        private readonly ConcurrentQueue<string> _removed = [];

        public bool FailsToAdd { get; init; }

        public bool FailsToRemove { get; init; }

        public bool FailsToPublish { get; init; }

        public IEnumerable<string> Removed => _removed;

        public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken)
        {
            isPlaced = true;
            return FailsToPublish ? throw new IOException("The backplane is gone.") : new(PublishStatus.Accepted);
        }

        public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken) =>
            FailsToAdd ? ValueTask.FromException(new IOException("The backplane is gone.")) : default;

        public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
        {
            _removed.Enqueue(pattern.ToString());
            return FailsToRemove ? ValueTask.FromException(new IOException("The backplane is gone.")) : default;
        }
    }
}
