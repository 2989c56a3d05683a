using System.Text;
using System.Text.Json;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;

namespace Fanfare.Gateway.Tests.Protocol;

/// <summary>The members of a message, as <see cref="ReferenceReader"/> found them.</summary>
internal readonly record struct ReferenceMessage(
    ClientMessageType Type, ReadOnlyMemory<byte> Id, ReadOnlyMemory<byte>? Channel, ReadOnlyMemory<byte> ChannelToken, ReadOnlyMemory<byte> Events,
    ReadOnlyMemory<byte> Authorization);

/// <summary>Reads what clients send with the framework's reader alone: the obvious second implementation.</summary>
internal static class ReferenceReader
{
    private static readonly JsonReaderOptions s_messageOptions = new() { MaxDepth = 512 };
    private static readonly JsonReaderOptions s_eventOptions = new() { MaxDepth = 1000 };
    private static readonly JsonReaderOptions s_credentialsOptions = new() { MaxDepth = 8 };

    public static bool IsValue(ReadOnlySpan<byte> json, int depthMax)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = depthMax });
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    public static bool TryParseMessage(ReadOnlyMemory<byte> json, out ReferenceMessage message)
    {
        message = default;
        try
        {
            var reader = new Utf8JsonReader(json.Span, s_messageOptions);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("type"u8))
                {
                    message = message with { Type = ReadType(ref reader) };
                }
                else if (reader.ValueTextEquals("id"u8))
                {
                    var id = ReadString(ref reader, out _) ?? [];
                    message = message with { Id = ClientMessage.IsValidId(id) ? id : default };
                }
                else if (reader.ValueTextEquals("channel"u8))
                {
                    var channel = ReadString(ref reader, out var start);
                    message = message with
                    {
                        Channel = channel is null ? (ReadOnlyMemory<byte>?)null : channel,
                        ChannelToken = channel is null ? default : json[start..(int)reader.BytesConsumed],
                    };
                }
                else if (reader.ValueTextEquals("events"u8))
                {
                    message = message with { Events = ReadRaw(ref reader, json) };
                }
                else if (reader.ValueTextEquals("authorization"u8))
                {
                    message = message with { Authorization = ReadRaw(ref reader, json) };
                }
                else
                {
                    reader.Skip();
                }
            }

            while (reader.Read())
            {
            }

            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    public static bool TryParseCredentials(ReadOnlyMemory<byte> json, out byte[] apiKey, out byte[] authorization)
    {
        (apiKey, authorization) = ([], []);
        if (json.IsEmpty)
        {
            return true;
        }

        try
        {
            var reader = new Utf8JsonReader(json.Span, s_credentialsOptions);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (Ascii.EqualsIgnoreCase(reader.ValueSpan, "x-api-key"u8))
                {
                    reader.Read();
                    apiKey = ResolveString(ref reader) ?? [];
                }
                else if (Ascii.EqualsIgnoreCase(reader.ValueSpan, "authorization"u8))
                {
                    reader.Read();
                    authorization = ResolveString(ref reader) ?? [];
                }
                else
                {
                    _ = reader.GetString();
                    reader.Read();
                    _ = ResolveString(ref reader);
                }
            }

            while (reader.Read())
            {
            }

            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    public static EventsError ReadEvents(ReadOnlySpan<byte> json, GatewayLimits limits, out List<byte[]?> tokens)
    {
        tokens = [];
        var reader = new Utf8JsonReader(json, s_eventOptions);
        if (json.IsEmpty || !reader.Read() || reader.TokenType != JsonTokenType.StartArray)
        {
            return EventsError.NotAnArray;
        }

        var totalBytes = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (tokens.Count == limits.EventsPerPublishMax)
            {
                return EventsError.TooMany;
            }

            if (reader.TokenType != JsonTokenType.String)
            {
                return EventsError.NotAString;
            }

            byte[] text;
            try
            {
                text = Encoding.UTF8.GetBytes(reader.GetString()!);
            }
            catch (InvalidOperationException)
            {
                return EventsError.NotJson;
            }

            if (!IsValue(text, s_eventOptions.MaxDepth))
            {
                return EventsError.NotJson;
            }

            totalBytes += text.Length;
            if (totalBytes > limits.PublishBytesMax)
            {
                return EventsError.TooLarge;
            }

            tokens.Add(text.Length > limits.EventBytesMax ? null : json[(int)reader.TokenStartIndex..(int)reader.BytesConsumed].ToArray());
        }

        return tokens.Count == 0 ? EventsError.Empty : EventsError.None;
    }

    private static ClientMessageType ReadType(ref Utf8JsonReader reader)
    {
        reader.Read();
        var type = ClientMessageType.Unknown;
        if (reader.TokenType == JsonTokenType.String)
        {
            type = reader.ValueTextEquals("publish"u8) ? ClientMessageType.Publish
                : reader.ValueTextEquals("subscribe"u8) ? ClientMessageType.Subscribe
                : reader.ValueTextEquals("unsubscribe"u8) ? ClientMessageType.Unsubscribe
                : reader.ValueTextEquals("connection_init"u8) ? ClientMessageType.ConnectionInit
                : ClientMessageType.Unknown;
        }

        reader.Skip();
        return type;
    }

    private static byte[]? ReadString(ref Utf8JsonReader reader, out int start)
    {
        reader.Read();
        start = (int)reader.TokenStartIndex;
        try
        {
            return ResolveString(ref reader);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static byte[]? ResolveString(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return Encoding.UTF8.GetBytes(reader.GetString()!);
        }

        reader.Skip();
        return null;
    }

    private static ReadOnlyMemory<byte> ReadRaw(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return json[start..(int)reader.BytesConsumed];
    }
}
