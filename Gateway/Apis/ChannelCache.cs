using System.Numerics;
using System.Runtime.InteropServices;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Apis;

/// <summary>A channel that is published to, and the namespace it is in.</summary>
/// <param name="Key">The channel.</param>
/// <param name="Namespace">The namespace; <see langword="null"/> where the API has none of that name.</param>
internal readonly record struct ServedChannel(ChannelKey Key, ServedNamespace? Namespace);

/// <summary>The channels of one API that are published to again and again, by the bytes that clients write them with.</summary>
/// <remarks>
/// Saves checking, copying and hashing a channel's text for each publish. It holds <see cref="SlotCount"/> channels at most, in sets of two
/// that a text's hash chooses between. Where both are taken, a channel gets in when it comes twice with no other newcomer to the same
/// set between, so a client that makes up channels pushes nothing out and has nothing allocated here; what it publishes costs as much as
/// without the cache. Safe for concurrent use: entries never change, and whichever of two writers comes last is right.
/// </remarks>
internal sealed class ChannelCache(ServedApi api, GatewayLimits limits)
{
    /// <summary>How many channels are held at most: some 200 bytes each.</summary>
    public const int SlotCount = 4096;

    private const int SetCount = SlotCount / 2;

    // As long as anything that comes often; longer ones are parsed each time.
    private const int TextLengthMax = 128;

    // Odd, so that every bit of a word counts; and drawn at random, so that nobody can aim at a set.
    private static readonly ulong s_seed = (ulong)Random.Shared.NextInt64() | 1;

    // Made at the first publish: many APIs have none.
    private Sets? _sets;

    /// <summary>Finds a channel as a client wrote it; see <see cref="ChannelKey.TryParse"/>.</summary>
    public bool TryFind(ReadOnlySpan<byte> text, out ServedChannel channel)
    {
        var sets = Volatile.Read(ref _sets) ?? (_sets = new Sets());
        var hash = GetHash(text);
        var first = (int)(hash % SetCount) * 2;
        if (Volatile.Read(ref sets.Entries[first]) is { } entry && entry.Is(text))
        {
            channel = entry.Channel;
            return true;
        }

        if (Volatile.Read(ref sets.Entries[first + 1]) is { } second && second.Is(text))
        {
            channel = second.Channel;
            return true;
        }

        if (!ChannelKey.TryParse(api.Model.Id, text, limits, out var key))
        {
            channel = default;
            return false;
        }

        channel = new ServedChannel(key, api.FindNamespace(key.Namespace));
        if (text.Length <= TextLengthMax && channel.Namespace is not null)
        {
            Offer(sets, first, (uint)(hash >> 32), text, channel);
        }

        return true;
    }

    private static void Offer(Sets sets, int first, uint mark, ReadOnlySpan<byte> text, ServedChannel channel)
    {
        ref var newcomer = ref sets.Newcomers[first / 2];
        var isFull = sets.Entries[first] is not null && sets.Entries[first + 1] is not null;
        if (isFull && newcomer != mark)
        {
            newcomer = mark;
            return;
        }

        // The older of the two goes.
        Volatile.Write(ref sets.Entries[first + 1], sets.Entries[first]);
        Volatile.Write(ref sets.Entries[first], new Entry(text.ToArray(), channel));
    }

    private static ulong GetHash(ReadOnlySpan<byte> text)
    {
        var hash = s_seed ^ (uint)text.Length;
        if (text.Length < sizeof(ulong))
        {
            foreach (var value in text)
            {
                hash = Mix(hash, value);
            }
        }
        else
        {
            foreach (var word in MemoryMarshal.Cast<byte, ulong>(text))
            {
                hash = Mix(hash, word);
            }

            // The last word may overlap the one before; of a text of whole words it is that one once more.
            hash = Mix(hash, MemoryMarshal.Read<ulong>(text[^sizeof(ulong)..]));
        }

        // Channels differ in their last characters, which are the upper bits of a word; these must reach all bits that count.
        hash = (hash ^ (hash >> 32)) * s_seed;
        hash = (hash ^ (hash >> 29)) * s_seed;
        return hash ^ (hash >> 32);
    }

    private static ulong Mix(ulong hash, ulong value) => BitOperations.RotateLeft((hash ^ value) * s_seed, 29);

    private sealed class Sets
    {
        public readonly Entry?[] Entries = new Entry?[SlotCount];
        public readonly uint[] Newcomers = new uint[SetCount];
    }

    private sealed class Entry(byte[] text, ServedChannel channel)
    {
        public ServedChannel Channel { get; } = channel;

        public bool Is(ReadOnlySpan<byte> other) => other.SequenceEqual(text);
    }
}
