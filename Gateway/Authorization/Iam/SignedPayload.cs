using System.Security.Cryptography;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Finds the payload that a signature is for: one text over HTTP, one of several spellings over WebSocket.</summary>
/// <remarks>
/// A WebSocket message carries channel and events beside other members, so what the client signed has to be put together again.
/// Nearly all clients sign with the JSON writer that they send with, and the slices as received are it. The others signed the same
/// values written by another writer: all that is left to its choice is white space and which characters it escapes.
/// </remarks>
internal static class SignedPayload
{
    private const int StackLength = 2048;

    private static ReadOnlySpan<byte> BeforeChannel => "{\"channel\":"u8;

    private static ReadOnlySpan<byte> BeforeEvents => ",\"events\":"u8;

    private static ReadOnlySpan<byte> End => "}"u8;

    /// <summary>Whether the signature is for this content.</summary>
    public static bool IsSigned(in SignedContent content, in SignatureCheck check)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        if (content.Channel.IsEmpty)
        {
            SHA256.HashData(content.Body.Span, hash);
            return check.Matches(hash);
        }

        HashAsReceived(content, hash);
        return check.Matches(hash) || IsSignedSpelledAnew(content, check);
    }

    private static void HashAsReceived(in SignedContent content, Span<byte> hash)
    {
        var channel = content.Channel.Span;
        var events = content.Events.Span;
        var length = BeforeChannel.Length + channel.Length + BeforeEvents.Length + events.Length + End.Length;
        if (length <= StackLength)
        {
            // One call on a copy costs less than an incremental hash on the slices.
            Span<byte> payload = stackalloc byte[StackLength];
            length = Append(payload, 0, BeforeChannel);
            length = Append(payload, length, channel);
            if (!events.IsEmpty)
            {
                length = Append(payload, length, BeforeEvents);
                length = Append(payload, length, events);
            }

            length = Append(payload, length, End);
            SHA256.HashData(payload[..length], hash);
            return;
        }

        using var incremental = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        incremental.AppendData(BeforeChannel);
        incremental.AppendData(channel);
        if (!events.IsEmpty)
        {
            incremental.AppendData(BeforeEvents);
            incremental.AppendData(events);
        }

        incremental.AppendData(End);
        incremental.GetHashAndReset(hash);
    }

    private static int Append(Span<byte> payload, int length, ReadOnlySpan<byte> part)
    {
        part.CopyTo(payload[length..]);
        return length + part.Length;
    }

    private static bool IsSignedSpelledAnew(in SignedContent content, in SignatureCheck check)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        using var incremental = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (!TryHash(content, JsonEscapes.None, incremental, hash, out var found))
        {
            return false;
        }

        if (check.Matches(hash))
        {
            return true;
        }

        // Every combination of the escapes that make a difference here: seven at most.
        for (var escapes = JsonEscapes.None + 1; escapes <= JsonEscapes.All; escapes++)
        {
            if ((escapes & ~found) == 0 && TryHash(content, escapes, incremental, hash, out _) && check.Matches(hash))
            {
                return true;
            }
        }

        return false;
    }

    private static bool TryHash(
        in SignedContent content, JsonEscapes escapes, IncrementalHash incremental, Span<byte> hash, out JsonEscapes found)
    {
        Span<byte> chunk = stackalloc byte[StackLength];
        var writer = new JsonRespeller(escapes, incremental, chunk);
        writer.Write(BeforeChannel);
        writer.WriteString(content.Channel.Span[1..^1]);
        var isComplete = content.Events.IsEmpty || TryWriteEvents(content.Events.Span, ref writer);
        writer.Write(End);
        writer.Flush();
        incremental.GetHashAndReset(hash);
        found = writer.Found;
        return isComplete;
    }

    private static bool TryWriteEvents(ReadOnlySpan<byte> events, ref JsonRespeller writer)
    {
        var reader = new Utf8JsonReader(events);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }

        writer.Write(BeforeEvents);
        var separator = "["u8;
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
        {
            writer.Write(separator);
            writer.WriteString(reader.ValueSpan);
            separator = ","u8;
        }

        writer.Write(separator[0] == '[' ? "[]"u8 : "]"u8);

        // Other values than strings are no events; such a message is refused whoever signed it.
        return reader.TokenType == JsonTokenType.EndArray;
    }
}
