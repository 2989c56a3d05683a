using System.Globalization;
using Fanfare.Gateway.Tests.Backplane;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Broker.Tests;

/// <summary>What clients see of silos that come and go in order: nothing.</summary>
public sealed class HandOverTests
{
    private const int End = -1;

    [Fact]
    public async Task A_silo_that_stops_hands_its_channels_over_without_a_failed_publish_or_a_missing_event()
    {
        const int Channels = 8;
        await using var cluster = await RedisCluster.StartAsync(silos: 2);
        await using var fleet = await TestFleet.StartAsync(2, null, BrokerProgram.Node, _ => cluster.GatewayArguments);
        await using var exact = await fleet[0].ConnectAsync();
        await using var wild = await fleet[1].ConnectAsync();
        for (var i = 0; i < Channels; i++)
        {
            await exact.SubscribeAsync($"{i}", $"/default/{i}");
        }

        await wild.SubscribeAsync("w", "/default/*");
        using var stop = new CancellationTokenSource();
        var published = new int[Channels];
        var readings = new[] { ReadAsync(exact, Channels), ReadAsync(wild, Channels) };
        var publishing = Task.WhenAll(Enumerable.Range(0, Channels).Select(async channel =>
        {
            await using var publisher = await fleet[channel % 2].ConnectAsync();
            var count = 0;
            for (; !stop.IsCancellationRequested; count++)
            {
                await publisher.PublishAsync($"/default/{channel}", $"[{channel},{count}]");
                Volatile.Write(ref published[channel], count + 1);
            }

            await publisher.PublishAsync($"/default/{channel}", $"[{channel},{End}]");
            return count;
        }));

        for (var round = 0; round < 2; round++)
        {
            await cluster.AddSiloAsync();
            await AwaitProgressAsync(published);
            await cluster.StopSiloAsync(0);
            await AwaitProgressAsync(published);
        }

        await stop.CancelAsync();
        var counts = await Deadline.WaitAsync(publishing, "the answer to each publish", TimeSpan.FromSeconds(60));

        foreach (var reading in readings)
        {
            Assert.Equal(counts, await Deadline.WaitAsync(reading, "the last event of each channel", TimeSpan.FromSeconds(60)));
        }

        await exact.AssertNothingElseAsync();
        await wild.AssertNothingElseAsync();
    }

    private static Task AwaitProgressAsync(int[] published)
    {
        var before = (int[])published.Clone();
        return Deadline.WaitAsync(
            async token =>
            {
                while (Enumerable.Range(0, published.Length).Any(channel => Volatile.Read(ref published[channel]) < before[channel] + 20))
                {
                    await Task.Delay(10, token); // the publishers themselves tell nobody
                }
            },
            "20 further publishes to each channel");
    }

    // Reads all the time, or the gateway would drop a slow subscriber. Returns how many events of each channel came, each in its place.
    private static async Task<int[]> ReadAsync(RawWebSocket socket, int channels)
    {
        var next = new int[channels];
        for (var ended = 0; ended < channels;)
        {
            var text = (string)(await socket.NextAsync("an event"))["event"]!;
            var parts = text.Trim('[', ']').Split(',').Select(part => int.Parse(part, CultureInfo.InvariantCulture)).ToList();
            if (parts[1] == End)
            {
                ended++;
            }
            else
            {
                Assert.Equal(next[parts[0]]++, parts[1]);
            }
        }

        return next;
    }
}
