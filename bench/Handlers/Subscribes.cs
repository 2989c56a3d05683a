using System.Buffers.Text;
using System.Diagnostics;
using System.Text;

namespace Fanfare.Handlers;

/// <summary>How fast subscriptions are made and ended.</summary>
/// <param name="PerSecond">Subscribes that were confirmed, each with its unsubscribe.</param>
/// <param name="ServerMicroseconds">Processor time of the servers for each, as they are told apart.</param>
internal readonly record struct Subscribes(double PerSecond, double[] ServerMicroseconds)
{
    private static readonly TimeSpan s_leadIn = TimeSpan.FromMilliseconds(500);
    private static int s_lastRun;

    /// <summary>Measures.</summary>
    /// <param name="port">The gateway's port.</param>
    /// <param name="namespaceName">The namespace of all channels.</param>
    /// <param name="connectionCount">How many connections subscribe, each to channels of its own.</param>
    /// <param name="window">How many subscriptions each of them makes or ends at a time.</param>
    /// <param name="duration">For how long.</param>
    /// <param name="getProcessorTimes">The processor times of the servers so far.</param>
    public static async Task<Subscribes> MeasureAsync(
        int port, string namespaceName, int connectionCount, int window, TimeSpan duration, Func<TimeSpan[]> getProcessorTimes)
    {
        var run = $"/{namespaceName}/run{++s_lastRun}";
        var connections = new List<ClientConnection>();
        try
        {
            for (var i = 0; i < connectionCount; i++)
            {
                connections.Add(await ClientConnection.OpenAsync(port));
            }

            await RunAsync(connections, run, window, s_leadIn);
            var before = getProcessorTimes();
            var began = Stopwatch.GetTimestamp();
            var count = await RunAsync(connections, run, window, duration);
            var elapsed = Stopwatch.GetElapsedTime(began);
            return new Subscribes(
                count / elapsed.TotalSeconds,
                [.. getProcessorTimes().Zip(before, (after, before) => (after - before).TotalMicroseconds / count)]);
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }
    }

    private static async Task<long> RunAsync(List<ClientConnection> connections, string run, int window, TimeSpan duration)
    {
        var end = Stopwatch.GetTimestamp() + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        return (await Task.WhenAll(connections.Select((connection, i) => Task.Run(() => RunAsync(connection, $"{run}/c{i}", window, end))))).Sum();
    }

    // Each subscription is made and ended by turns until the time has come; then those that are left are ended.
    private static async Task<long> RunAsync(ClientConnection connection, string channel, int window, long end)
    {
        var subscribes = Enumerable.Range(0, window).Select(i => ClientConnection.EncodeMessage(
            $$"""{"type":"subscribe","id":"{{i}}","channel":"{{channel}}-{{i}}","authorization":{{ClientConnection.Authorization}}}""")).ToArray();
        var unsubscribes = Enumerable.Range(0, window).Select(i =>
            ClientConnection.EncodeMessage($$"""{"type":"unsubscribe","id":"{{i}}"}""")).ToArray();
        var due = new List<byte>();
        foreach (var message in subscribes)
        {
            due.AddRange(message);
        }

        var missing = window;
        var count = 0L;
        while (missing > 0)
        {
            await connection.SendAsync(due.ToArray());
            due.Clear();
            await connection.ReceiveAsync();
            while (connection.TryRead(out var text))
            {
                if (TryReadId(text, "{\"type\":\"subscribe_success\",\"id\":\""u8, out var id))
                {
                    count++;
                    due.AddRange(unsubscribes[id]);
                }
                else if (!TryReadId(text, "{\"type\":\"unsubscribe_success\",\"id\":\""u8, out id))
                {
                    throw new MeasurementException($"A subscribe was refused: {Encoding.UTF8.GetString(text)}");
                }
                else if (Stopwatch.GetTimestamp() < end)
                {
                    due.AddRange(subscribes[id]);
                }
                else
                {
                    missing--;
                }
            }
        }

        return count;
    }

    private static bool TryReadId(ReadOnlySpan<byte> text, ReadOnlySpan<byte> head, out int id)
    {
        id = 0;
        return text.StartsWith(head) && Utf8Parser.TryParse(text[head.Length..], out id, out _);
    }
}
