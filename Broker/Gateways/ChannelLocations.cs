using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Fanfare.Broker.Silos;
using Fanfare.Gateway.Channels;

namespace Fanfare.Broker.Gateways;

/// <summary>On which silos the channels are that this gateway publishes to, as far as it has heard. Safe for concurrent use.</summary>
/// <remarks>
/// A guess, which saves messages where it is right. Where it is wrong, the silo says so, and the channel's grain is called. It holds
/// <see cref="SlotCount"/> channels at most; of those that share a slot, the one that was heard of last.
/// </remarks>
internal sealed class ChannelLocations(IGrainFactory grains, BrokerMetrics metrics)
{
    private const int SlotCount = 32_768;

    private readonly Location?[] _slots = new Location?[SlotCount];
    private readonly ConcurrentDictionary<SiloAddress, SiloOutbox> _silos = new();

    /// <summary>Finds the way to a channel's silo.</summary>
    public bool TryFind(ChannelKey channel, [NotNullWhen(true)] out SiloOutbox? silo)
    {
        silo = Volatile.Read(ref GetSlot(channel)) is { } location && location.Channel.Equals(channel) && !location.Silo.HasFailed ? location.Silo : null;
        return silo is not null;
    }

    /// <summary>A channel's grain has answered from a silo.</summary>
    public void Note(ChannelKey channel, SiloAddress address)
    {
        ref var slot = ref GetSlot(channel);
        if (Volatile.Read(ref slot) is { } known && known.Channel.Equals(channel) && known.Silo.Address.Equals(address) && !known.Silo.HasFailed)
        {
            return;
        }

        if (!_silos.TryGetValue(address, out var silo) || silo.HasFailed)
        {
            silo = Add(address);
        }

        Volatile.Write(ref slot, new Location(channel, silo));
    }

    /// <summary>A channel is not to be asked for this way, unless its grain says so once more.</summary>
    public void Forget(ChannelKey channel)
    {
        ref var slot = ref GetSlot(channel);
        if (Volatile.Read(ref slot) is { } known && known.Channel.Equals(channel))
        {
            Interlocked.CompareExchange(ref slot, null, known);
        }
    }

    private SiloOutbox Add(SiloAddress address)
    {
        // Silos come rarely, and those that have gone have failed.
        foreach (var (other, outbox) in _silos)
        {
            if (outbox.HasFailed)
            {
                _silos.TryRemove(new(other, outbox));
            }
        }

        return _silos.GetOrAdd(
            address, static (silo, self) => new SiloOutbox(silo, self.Grains.GetGrain<ISiloChannelsGrain>(silo.ToParsableString()), self.Metrics),
            (Grains: grains, Metrics: metrics));
    }

    private ref Location? GetSlot(ChannelKey channel) => ref _slots[(uint)channel.GetHashCode() % SlotCount];

    private sealed record Location(ChannelKey Channel, SiloOutbox Silo);
}
