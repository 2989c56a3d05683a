using System.Buffers;

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
    private const int MemberDepthMax = DepthMax - 1;

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
        catch (InvalidOperationException)
        {
            // A member's name holds a lone surrogate, which has no UTF-8 form.
            message = default;
            return false;
        }
    }

    private static bool TryParseCore(ReadOnlyMemory<byte> json, out ClientMessage message)
    {
        message = default;
        var scanner = new JsonScanner(json.Span);
        if (!scanner.TryPass((byte)'{'))
        {
            return false;
        }

        var type = ClientMessageType.Unknown;
        ReadOnlyMemory<byte> channelToken = default, events = default, authorization = default;
        ReadOnlyMemory<byte>? id = null, channel = null;
        var isEnd = scanner.TryPass((byte)'}');
        while (!isEnd)
        {
            if (!scanner.TryReadName(out var name, out var isEscaped))
            {
                return false;
            }

            var isRead = FindMember(name, isEscaped) switch
            {
                Member.Type => TryReadType(ref scanner, out type),
                Member.Id => TryReadString(ref scanner, json, out id, out _),
                Member.Channel => TryReadString(ref scanner, json, out channel, out channelToken),
                Member.Events => TryReadRaw(ref scanner, json, out events),
                Member.Authorization => TryReadRaw(ref scanner, json, out authorization),
                _ => scanner.TrySkipValue(MemberDepthMax),
            };
            if (!isRead || !scanner.TryPassSeparator((byte)'}', out isEnd))
            {
                return false;
            }
        }

        if (!scanner.IsAtEnd())
        {
            return false;
        }

        var givenId = id ?? default;
        message = new ClientMessage
        {
            Type = type,
            Id = IsValidId(givenId.Span) ? givenId : default,
            Channel = channel,
            ChannelToken = channelToken,
            Events = events,
            Authorization = authorization,
        };
        return true;
    }

    private static Member FindMember(ReadOnlySpan<byte> token, bool isEscaped)
    {
        if (isEscaped)
        {
            return JsonText.UnescapedEquals(token, "type"u8) ? Member.Type
                : JsonText.UnescapedEquals(token, "id"u8) ? Member.Id
                : JsonText.UnescapedEquals(token, "channel"u8) ? Member.Channel
                : JsonText.UnescapedEquals(token, "events"u8) ? Member.Events
                : JsonText.UnescapedEquals(token, "authorization"u8) ? Member.Authorization
                : Member.Unknown;
        }

        var name = token[1..^1];
        return name.SequenceEqual("type"u8) ? Member.Type
            : name.SequenceEqual("id"u8) ? Member.Id
            : name.SequenceEqual("channel"u8) ? Member.Channel
            : name.SequenceEqual("events"u8) ? Member.Events
            : name.SequenceEqual("authorization"u8) ? Member.Authorization
            : Member.Unknown;
    }

    private static bool TryReadType(ref JsonScanner scanner, out ClientMessageType type)
    {
        type = ClientMessageType.Unknown;
        if (scanner.Peek() != (byte)'"')
        {
            return scanner.TrySkipValue(MemberDepthMax);
        }

        if (!scanner.TryReadString(out var token, out var isEscaped))
        {
            return false;
        }

        type = Is(token, isEscaped, "publish"u8) ? ClientMessageType.Publish
            : Is(token, isEscaped, "subscribe"u8) ? ClientMessageType.Subscribe
            : Is(token, isEscaped, "unsubscribe"u8) ? ClientMessageType.Unsubscribe
            : Is(token, isEscaped, "connection_init"u8) ? ClientMessageType.ConnectionInit
            : ClientMessageType.Unknown;
        return true;
    }

    private static bool Is(ReadOnlySpan<byte> token, bool isEscaped, ReadOnlySpan<byte> text) =>
        isEscaped ? JsonText.UnescapedEquals(token, text) : token[1..^1].SequenceEqual(text);

    private static bool TryReadString(
        ref JsonScanner scanner, ReadOnlyMemory<byte> json, out ReadOnlyMemory<byte>? text, out ReadOnlyMemory<byte> token)
    {
        scanner.Peek();
        var start = scanner.Position;
        token = default;
        try
        {
            if (!JsonText.TryReadString(ref scanner, json, MemberDepthMax, out text))
            {
                return false;
            }
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate has no UTF-8 form, so it is in no channel and in no id.
            text = null;
        }

        token = text is null ? default : json[start..scanner.Position];
        return true;
    }

    private static bool TryReadRaw(ref JsonScanner scanner, ReadOnlyMemory<byte> json, out ReadOnlyMemory<byte> value)
    {
        scanner.Peek();
        var start = scanner.Position;
        if (!scanner.TrySkipValue(MemberDepthMax))
        {
            value = default;
            return false;
        }

        value = json[start..scanner.Position];
        return true;
    }

    private enum Member
    {
        Unknown,
        Type,
        Id,
        Channel,
        Events,
        Authorization,
    }
}
