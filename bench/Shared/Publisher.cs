using System.Diagnostics;

namespace Fanfare.Bench;

/// <summary>A connection that publishes as fast as it is answered, a number of publishes at a time.</summary>
internal sealed class Publisher(ClientConnection connection, PublishMessage[] messages, int window) : IDisposable
{
    private readonly byte[] _buffer = new byte[window * messages.Max(message => message.Length)];
    private long _sent;

    /// <summary>How many publishes were accepted.</summary>
    public long AcceptedCount { get; private set; }

    /// <summary>Returns how many of its events are delivered where all its publishes are answered.</summary>
    public long CountDelivered(Target target) => messages.Sum(message => message.EventCount / target.KeptEvery);

    /// <summary>Publishes until the time has come, in turn to each channel; returns when all are answered.</summary>
    /// <param name="end">When, as a time stamp.</param>
    /// <param name="countMax">How many at most.</param>
    public async Task RunAsync(long end, long countMax = long.MaxValue)
    {
        var missing = 0;
        var due = (int)Math.Min(window, countMax);
        var left = countMax - due;
        while (true)
        {
            var length = 0;
            for (var i = 0; i < due; i++)
            {
                length += messages[_sent % messages.Length].WriteNext(_buffer.AsSpan(length), _sent);
                _sent++;
            }

            await connection.SendAsync(_buffer.AsMemory(0, length));
            missing += due;
            if (missing == 0)
            {
                return;
            }

            await connection.ReceiveAsync();
            var accepted = 0;
            while (connection.TryRead(out var text))
            {
                accepted += PublishMessage.TryReadAccepted(text, out _) ? 1 : 0;
            }

            AcceptedCount += accepted;
            missing -= accepted;
            due = Stopwatch.GetTimestamp() < end ? (int)Math.Min(accepted, left) : 0;
            left -= due;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => connection.Dispose();
}
