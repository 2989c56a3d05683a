using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Fanfare.Gateway.Channels;

namespace Fanfare.Gateway.Backplane.Redis;

/// <summary>What a publish looks like in Redis: the names it goes to, and the bytes that go there.</summary>
/// <remarks>
/// A message is the length of the channel's key in two bytes, little-endian, the key in UTF-8, and the encoded events. The key is in
/// it because the name of a wildcard does not tell the channel.
/// </remarks>
internal static class RedisMessage
{
    private const int LengthBytes = sizeof(ushort);
    private const string NamePrefix = "fanfare:";

    /// <summary>What all names of an installation begin with.</summary>
    /// <param name="channelPrefix">The connection string's <c>channelPrefix</c>, for installations that share a Redis.</param>
    public static string GetNamePrefix(string? channelPrefix) => channelPrefix + NamePrefix;

    /// <summary>The names that a publish goes to: of the channel itself, and of the wildcards above it.</summary>
    public static List<string> GetNames(string namePrefix, ChannelKey channel)
    {
        var names = new List<string>(5) { namePrefix + channel.Value };
        var position = 0;
        while (channel.TryGetNextWildcard(ref position, out var wildcard))
        {
            names.Add(string.Concat(namePrefix, wildcard));
        }

        return names;
    }

    /// <summary>Encodes a publish.</summary>
    public static byte[] Encode(ChannelKey channel, EventBatch events)
    {
        var keyLength = Encoding.UTF8.GetByteCount(channel.Value);
        var message = new byte[LengthBytes + keyLength + events.EncodedBytes];
        BinaryPrimitives.WriteUInt16LittleEndian(message, checked((ushort)keyLength));
        Encoding.UTF8.GetBytes(channel.Value, message.AsSpan(LengthBytes));
        events.Encode(message.AsSpan(LengthBytes + keyLength));
        return message;
    }

    /// <summary>Decodes what arrived for a pattern.</summary>
    /// <param name="pattern">The pattern that it arrived for.</param>
    /// <param name="message">The bytes.</param>
    /// <param name="channel">The channel on success.</param>
    /// <param name="events">The events on success, with one reference that the caller owns.</param>
    /// <returns><see langword="false"/> where this is no publish to a channel of that pattern: others may write to Redis as well.</returns>
    public static bool TryDecode(
        PatternKey pattern, ReadOnlySpan<byte> message, out ChannelKey channel, [NotNullWhen(true)] out EventBatch? events)
    {
        channel = default;
        events = null;
        if (message.Length < LengthBytes)
        {
            return false;
        }

        var keyLength = BinaryPrimitives.ReadUInt16LittleEndian(message);
        if (keyLength > message.Length - LengthBytes)
        {
            return false;
        }

        var key = message.Slice(LengthBytes, keyLength);
        if (!pattern.IsWildcard)
        {
            // The usual case; the pattern's own string serves as the channel's.
            if (!Ascii.Equals(key, pattern.Value))
            {
                return false;
            }

            channel = ChannelKey.FromValue(pattern.Value);
        }
        else
        {
            var value = Encoding.UTF8.GetString(key);
            if (value.Length <= pattern.Value.Length || !value.StartsWith(pattern.Value, StringComparison.Ordinal) || value[^1] == '/')
            {
                return false;
            }

            channel = ChannelKey.FromValue(value);
        }

        return EventBatch.TryDecode(message[(LengthBytes + keyLength)..], out events);
    }
}
