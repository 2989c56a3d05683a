using System.Diagnostics;
using System.Text;

namespace Fanfare.Bench;

/// <summary>A connection that checks that each event that is to be delivered comes once, in the order of its stream, and as it should be.</summary>
internal sealed class Subscriber : IDisposable
{
    private static readonly TimeSpan s_drainTimeout = TimeSpan.FromSeconds(30);

    private readonly ClientConnection _connection;
    private readonly Target _target;
    private readonly long[] _last;
    private readonly Action<int, long> _onEvent;
    private readonly Task _running;
    private long _count;

    private Subscriber(ClientConnection connection, Target target, int streamCount, Action<int, long> onEvent)
    {
        (_connection, _target, _last, _onEvent) = (connection, target, new long[streamCount], onEvent);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Subscribes; returns when that is confirmed.</summary>
    /// <param name="target">Where, and what is to come.</param>
    /// <param name="pattern">What to.</param>
    /// <param name="streamCount">How many streams there are.</param>
    /// <param name="onEvent">Called with each event's stream and number.</param>
    public static async Task<Subscriber> StartAsync(Target target, string pattern, int streamCount, Action<int, long>? onEvent = null)
    {
        var connection = await ClientConnection.OpenAsync(target.SubscribingPort);
        await connection.SubscribeAsync(pattern, "s");
        return new Subscriber(connection, target, streamCount, onEvent ?? ((_, _) => { }));
    }

    /// <summary>Returns when so many events have come; fails where they do not, or one was wrong.</summary>
    public async Task AwaitAsync(long count)
    {
        var began = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _count) < count)
        {
            if (_running.IsCompleted)
            {
                await _running;
            }

            if (Stopwatch.GetElapsedTime(began) > s_drainTimeout)
            {
                throw new MeasurementException($"{count - Volatile.Read(ref _count)} of {count} accepted events were not delivered.");
            }

            await Task.Delay(1);
        }

        if (Volatile.Read(ref _count) > count)
        {
            throw new MeasurementException("More events were delivered than accepted.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    private async Task RunAsync()
    {
        while (true)
        {
            await _connection.ReceiveAsync();
            while (_connection.TryRead(out var text))
            {
                if (!PublishMessage.TryReadEvent(text, out var stream, out var number))
                {
                    continue;
                }

                if (number != _last[stream] + _target.KeptEvery)
                {
                    throw new MeasurementException($"Event {number} of stream {stream} came behind {_last[stream]}.");
                }

                if (text.EndsWith("Z\\\"}\"}"u8) != _target.IsStamped)
                {
                    throw new MeasurementException($"An event is not what its handler makes of it: {Encoding.UTF8.GetString(text)}");
                }

                _last[stream] = number;
                _onEvent(stream, number);
                Volatile.Write(ref _count, _count + 1);
            }
        }
    }
}
