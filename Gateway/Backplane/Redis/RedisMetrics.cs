using System.Diagnostics.Metrics;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>What is measured of the Redis backplane (docs/operations.md has the table).</summary>
internal sealed class RedisMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Fanfare.Gateway.Redis";

    private readonly Meter _meter;
    private long _received;

    public RedisMetrics(IMeterFactory meterFactory)
    {
        _meter = meterFactory.Create(MeterName);
        Disconnects = _meter.CreateCounter<long>(
            "fanfare.backplane.disconnects", "{connection}", "Times that the backplane was lost, by reason.");
        Malformed = _meter.CreateCounter<long>(
            "fanfare.backplane.malformed", "{message}", "Messages in the backplane that are no publishes.");
        _meter.CreateObservableCounter(
            "fanfare.backplane.received", () => Volatile.Read(ref _received), "{message}", "Messages that arrived for a pattern.");
        _meter.CreateObservableUpDownCounter(
            "fanfare.backplane.connected", () => IsConnected ? 1 : 0, "{connection}", "Whether publishes are taken and interests in place.");
        _meter.CreateObservableUpDownCounter(
            "fanfare.backplane.pending", () => ReadPendingBytes(), "By", "Bytes that arrived and wait for the fan-out.");
    }

    /// <summary>Times that the backplane was lost; tag <c>reason</c>.</summary>
    public Counter<long> Disconnects { get; }

    /// <summary>Messages that could not be decoded.</summary>
    public Counter<long> Malformed { get; }

    /// <summary>Whether the backplane works.</summary>
    public bool IsConnected { get; set; }

    /// <summary>Reads how many bytes wait.</summary>
    public Func<long> ReadPendingBytes { get; set; } = static () => 0;

    /// <summary>Counts a message. Called by one thread at a time.</summary>
    public void CountReceived() => Volatile.Write(ref _received, _received + 1);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
