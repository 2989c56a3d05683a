using System.Globalization;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Scale;

/// <summary>Ten thousand connections that wait cost little, and all of them work when an event comes.</summary>
[Collection(nameof(HeavyLoad))]
public sealed class IdleConnectionsTests
{
    private const int ConnectionCount = 10_000;
    private const int WarmUpCount = 200;
    private const int OpenAtOnce = 16;

    // Some 3 KB are measured. The bound is there to catch a mistake, such as a buffer held per connection; the figure itself is in the output.
    private const int BytesPerConnectionMax = 10 * 1024;

    [Fact]
    public async Task Ten_thousand_idle_connections_are_held_and_each_receives_an_event()
    {
        RequireOpenFiles(ConnectionCount + 1000);
        await using var gateway = await GatewayProcess.StartAsync();
        await using var publisher = await gateway.ConnectAsync();
        await CloseAllAsync(await OpenAsync(gateway, WarmUpCount));
        await publisher.PublishAsync("/default/warm", "1");
        var before = gateway.ResidentBytes;

        var sockets = await OpenAsync(gateway, ConnectionCount);
        var each = (gateway.ResidentBytes - before) / ConnectionCount;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{each} resident bytes per idle connection ({before / 1024} KiB before, {gateway.ResidentBytes / 1024} KiB with all)");

        await publisher.PublishAsync("/default/idle/all", "\"everyone\"");
        foreach (var socket in sockets)
        {
            Assert.Equal("\"everyone\"", await socket.NextEventAsync("s"));
        }

        // One in ten has a channel to itself: nobody else hears it.
        for (var index = 0; index < ConnectionCount; index += 10)
        {
            await publisher.PublishAsync($"/default/idle-{index}", $"{index}");
            Assert.Equal($"{index}", await sockets[index].NextEventAsync("own"));
        }

        await publisher.PublishAsync("/default/idle/all", "\"last\"");
        foreach (var socket in sockets)
        {
            Assert.Equal("\"last\"", await socket.NextEventAsync("s"));
        }

        await CloseAllAsync(sockets);
        await publisher.PublishAsync("/default/idle/all", "\"nobody\"");
        Assert.False(gateway.HasExited);
        Assert.InRange(each, 0, BytesPerConnectionMax);
    }

    private static async Task<RawWebSocket[]> OpenAsync(GatewayProcess gateway, int count)
    {
        var sockets = new RawWebSocket[count];
        var options = new ParallelOptions
        {
            MaxDegreeOfParallelism = OpenAtOnce,
            CancellationToken = TestContext.Current.CancellationToken,
        };
        await Parallel.ForAsync(0, count, options, async (index, _) =>
        {
            var socket = await gateway.ConnectAsync();
            await socket.InitAsync();
            await socket.SubscribeAsync("s", "/default/idle/*");
            if (index % 10 == 0)
            {
                await socket.SubscribeAsync("own", $"/default/idle-{index}");
            }

            sockets[index] = socket;
        });
        return sockets;
    }

    private static async Task CloseAllAsync(RawWebSocket[] sockets)
    {
        foreach (var socket in sockets)
        {
            await socket.DisposeAsync();
        }
    }

    /// <summary>The runtime raises its own soft limit to the hard one, so only the hard one can be in the way.</summary>
    private static void RequireOpenFiles(int count)
    {
        const string Limits = "/proc/self/limits";
        var line = File.Exists(Limits)
            ? File.ReadLines(Limits).FirstOrDefault(line => line.StartsWith("Max open files", StringComparison.Ordinal))
            : null;
        if (line is not null)
        {
            var soft = line["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
            Assert.SkipWhen(
                long.TryParse(soft, CultureInfo.InvariantCulture, out var limit) && limit < count,
                $"A process may open {soft} files here; {count} are needed.");
        }
    }
}
