using System.Buffers.Binary;

namespace Fanfare.Gateway.Protocol;

/// <summary>Encodes what the gateway says over a WebSocket (AppSync Events protocol, "message types"), each as one frame.</summary>
/// <remarks>Ids consist of characters that JSON never escapes (<see cref="ClientMessage.IsValidId"/>), so they are copied as they are.</remarks>
internal static class ServerMessages
{
    private static readonly byte[] s_keepAlive = EncodeShared(Opcode.Text, """{"type":"ka"}"""u8);

    /// <summary><c>{"type":"ka"}</c></summary>
    public static PooledFrame KeepAlive => PooledFrame.FromShared(s_keepAlive);

    /// <summary>Encodes <c>connection_ack</c> with the first <c>ka</c> directly behind it.</summary>
    /// <remarks>
    /// Amplify measures silence from the last <c>ka</c> it ever saw and does not restart that clock when it connects; without
    /// a <c>ka</c> in the first five seconds a page that was asleep reconnects for ever.
    /// </remarks>
    public static byte[] EncodeConnectionAck(TimeSpan connectionTimeout)
    {
        var payload = System.Text.Encoding.UTF8.GetBytes(
            $$"""{"type":"connection_ack","connectionTimeoutMs":{{(long)connectionTimeout.TotalMilliseconds}}}""");
        return [.. EncodeShared(Opcode.Text, payload), .. s_keepAlive];
    }

    /// <summary>Encodes <c>connection_error</c>.</summary>
    public static PooledFrame ConnectionError(ProtocolError error)
    {
        var builder = new FrameBuilder(256);
        builder.Append("""{"type":"connection_error","errors":["""u8);
        builder.Append(error.EncodeWithCode());
        builder.Append("]}"u8);
        return builder.Complete(Opcode.Text);
    }

    /// <summary>Encodes <c>subscribe_success</c>.</summary>
    public static PooledFrame SubscribeSuccess(ReadOnlySpan<byte> id) => WithId("{\"type\":\"subscribe_success\",\"id\":\""u8, id);

    /// <summary>Encodes <c>subscribe_error</c>.</summary>
    public static PooledFrame SubscribeError(ReadOnlySpan<byte> id, ProtocolError error) =>
        WithError("{\"type\":\"subscribe_error\",\"id\":\""u8, id, error);

    /// <summary>Encodes <c>unsubscribe_success</c>.</summary>
    public static PooledFrame UnsubscribeSuccess(ReadOnlySpan<byte> id) => WithId("{\"type\":\"unsubscribe_success\",\"id\":\""u8, id);

    /// <summary>Encodes the <c>unsubscribe_error</c> for an id that names no subscription.</summary>
    public static PooledFrame UnsubscribeUnknown(ReadOnlySpan<byte> id)
    {
        var builder = new FrameBuilder(160 + (2 * id.Length));
        builder.Append("{\"type\":\"unsubscribe_error\",\"id\":\""u8);
        builder.Append(id);
        builder.Append("\",\"errors\":[{\"errorType\":\"UnknownOperationError\",\"message\":\"Unknown operation id "u8);
        builder.Append(id);
        builder.Append("\"}]}"u8);
        return builder.Complete(Opcode.Text);
    }

    /// <summary>Encodes <c>publish_error</c>.</summary>
    public static PooledFrame PublishError(ReadOnlySpan<byte> id, ProtocolError error) =>
        WithError("{\"type\":\"publish_error\",\"id\":\""u8, id, error);

    /// <summary>Encodes <c>error</c>, with the id of the message that caused it if it had a valid one.</summary>
    public static PooledFrame Error(ReadOnlySpan<byte> id, ProtocolError error)
    {
        if (id.Length > 0)
        {
            return WithError("{\"type\":\"error\",\"id\":\""u8, id, error);
        }

        var builder = new FrameBuilder(64 + error.Json.Length);
        builder.Append("""{"type":"error","errors":["""u8);
        builder.Append(error.Json);
        builder.Append("]}"u8);
        return builder.Complete(Opcode.Text);
    }

    /// <summary>Encodes a pong with the ping's payload.</summary>
    public static PooledFrame Pong(ReadOnlySpan<byte> payload)
    {
        var builder = new FrameBuilder(payload.Length);
        builder.Append(payload);
        return builder.Complete(Opcode.Pong);
    }

    /// <summary>Encodes a close frame; <see cref="CloseCode.None"/> gives one without a code.</summary>
    public static PooledFrame Close(CloseCode code)
    {
        var builder = new FrameBuilder(2);
        if (code != CloseCode.None)
        {
            Span<byte> payload = stackalloc byte[2];
            BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)code);
            builder.Append(payload);
        }

        return builder.Complete(Opcode.Close);
    }

    /// <summary>Makes what all <c>data</c> messages of a subscription begin with, up to the event's string.</summary>
    public static byte[] EncodeDataHead(ReadOnlySpan<byte> id) =>
        [.. DataHeadStart, .. id, .. DataHeadEnd];

    /// <summary>The id inside what <see cref="EncodeDataHead"/> made.</summary>
    public static ReadOnlySpan<byte> GetDataHeadId(ReadOnlySpan<byte> head) => head[DataHeadStart.Length..^DataHeadEnd.Length];

    /// <summary>Where the id begins in what <see cref="EncodeDataHead"/> made.</summary>
    public static int DataHeadIdOffset => DataHeadStart.Length;

    private static ReadOnlySpan<byte> DataHeadStart => "{\"type\":\"data\",\"id\":\""u8;

    private static ReadOnlySpan<byte> DataHeadEnd => "\",\"event\":"u8;

    private static PooledFrame WithId(ReadOnlySpan<byte> start, ReadOnlySpan<byte> id)
    {
        var builder = new FrameBuilder(start.Length + id.Length + 2);
        builder.Append(start);
        builder.Append(id);
        builder.Append("\"}"u8);
        return builder.Complete(Opcode.Text);
    }

    private static PooledFrame WithError(ReadOnlySpan<byte> start, ReadOnlySpan<byte> id, ProtocolError error)
    {
        var builder = new FrameBuilder(start.Length + id.Length + 16 + error.Json.Length);
        builder.Append(start);
        builder.Append(id);
        builder.Append("\",\"errors\":["u8);
        builder.Append(error.Json);
        builder.Append("]}"u8);
        return builder.Complete(Opcode.Text);
    }

    private static byte[] EncodeShared(Opcode opcode, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[FrameHeader.GetLength(payload.Length) + payload.Length];
        var headerLength = FrameHeader.Write(frame, opcode, payload.Length);
        payload.CopyTo(frame.AsSpan(headerLength));
        return frame;
    }
}
