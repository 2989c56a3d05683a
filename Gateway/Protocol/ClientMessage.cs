using System.Buffers;
using System.Text.Json;

namespace Fanfare.Gateway.Protocol;

/// <summary>What a client's message asks for; its <c>type</c>.</summary>
internal enum ClientMessageType
{
    /// <summary>No type, or one that clients do not send.</summary>
    Unknown,

    /// <summary><c>connection_init</c></summary>
    ConnectionInit,

    /// <summary><c>subscribe</c></summary>
    Subscribe,

    /// <summary><c>unsubscribe</c></summary>
    Unsubscribe,

    /// <summary><c>publish</c></summary>
    Publish,
}

/// <summary>One message of a client, or the body of an HTTP publish, taken apart but not judged.</summary>
/// <remarks>
/// Members are slices of the message where it had no escapes, so an instance is valid as long as the message's memory. Unknown
/// members are ignored; where a member comes twice, the last one counts. A member of the wrong JSON type counts as absent, with
/// <see cref="Events"/> and <see cref="Authorization"/> as exceptions that are judged later.
/// </remarks>
internal readonly struct ClientMessage
{
    private const int IdLengthMax = 128;

    // Deeper nesting than this in members that nobody reads is refused with the message.
    private const int DepthMax = 512;

    private static readonly JsonReaderOptions s_readerOptions = new() { MaxDepth = DepthMax };

    private static readonly SearchValues<byte> s_idBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+"u8);

    /// <summary>What is asked for.</summary>
    public ClientMessageType Type { get; private init; }

    /// <summary>The client's id, or empty where there is none that follows the rules.</summary>
    public ReadOnlyMemory<byte> Id { get; private init; }

    /// <summary>The channel or pattern, escapes resolved; <see langword="null"/> where there is none.</summary>
    public ReadOnlyMemory<byte>? Channel { get; private init; }

    /// <summary>The JSON string token that <see cref="Channel"/> was read from, quotes and escapes as sent; empty where there is none.</summary>
    public ReadOnlyMemory<byte> ChannelToken { get; private init; }

    /// <summary>The JSON of <c>events</c>, whatever its type; empty where there is none.</summary>
    public ReadOnlyMemory<byte> Events { get; private init; }

    /// <summary>The JSON of <c>authorization</c>, whatever its type; empty where there is none.</summary>
    public ReadOnlyMemory<byte> Authorization { get; private init; }

    /// <summary>Whether an id follows the rules: 1 to 128 letters, digits, <c>-</c>, <c>_</c> or <c>+</c>.</summary>
    public static bool IsValidId(ReadOnlySpan<byte> id) =>
        id.Length is > 0 and <= IdLengthMax && !id.ContainsAnyExcept(s_idBytes);

    /// <summary>Takes a message apart.</summary>
    /// <param name="json">The whole message: valid UTF-8.</param>
    /// <param name="message">The message on success.</param>
    /// <returns><see langword="false"/> where the text is not one JSON object.</returns>
    public static bool TryParse(ReadOnlyMemory<byte> json, out ClientMessage message)
    {
        try
        {
            return TryParseCore(json, out message);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a member's name holds a lone surrogate, which has no UTF-8 form.
            message = default;
            return false;
        }
    }

    private static bool TryParseCore(ReadOnlyMemory<byte> json, out ClientMessage message)
    {
        message = default;
        var reader = new Utf8JsonReader(json.Span, s_readerOptions);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        var type = ClientMessageType.Unknown;
        ReadOnlyMemory<byte> id = default, channelToken = default, events = default, authorization = default;
        ReadOnlyMemory<byte>? channel = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                type = ReadType(ref reader);
                reader.Skip();
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                id = ReadString(ref reader, json) ?? default;
            }
            else if (reader.ValueTextEquals("channel"u8))
            {
                channel = ReadString(ref reader, json);
                channelToken = channel is null ? default : json[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];
            }
            else if (reader.ValueTextEquals("events"u8))
            {
                events = ReadRaw(ref reader, json);
            }
            else if (reader.ValueTextEquals("authorization"u8))
            {
                authorization = ReadRaw(ref reader, json);
            }
            else
            {
                reader.Skip();
            }
        }

        // What follows the object must be white space; the reader throws where it is not.
        while (reader.Read())
        {
        }

        message = new ClientMessage
        {
            Type = type,
            Id = IsValidId(id.Span) ? id : default,
            Channel = channel,
            ChannelToken = channelToken,
            Events = events,
            Authorization = authorization,
        };
        return true;
    }

    private static ClientMessageType ReadType(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            return ClientMessageType.Unknown;
        }

        return reader.ValueTextEquals("publish"u8) ? ClientMessageType.Publish
            : reader.ValueTextEquals("subscribe"u8) ? ClientMessageType.Subscribe
            : reader.ValueTextEquals("unsubscribe"u8) ? ClientMessageType.Unsubscribe
            : reader.ValueTextEquals("connection_init"u8) ? ClientMessageType.ConnectionInit
            : ClientMessageType.Unknown;
    }

    private static ReadOnlyMemory<byte>? ReadString(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonText.ReadString(ref reader, json);
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate has no UTF-8 form, so it is in no channel and in no id.
            return null;
        }
    }

    private static ReadOnlyMemory<byte> ReadRaw(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return json[start..(int)reader.BytesConsumed];
    }
}
