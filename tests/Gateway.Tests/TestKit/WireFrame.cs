using System.Buffers.Binary;
using System.Text;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>The opcodes of RFC 6455 §5.2.</summary>
public enum Opcode
{
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// <summary>One WebSocket frame as it was on the wire.</summary>
/// <param name="IsFinal">The FIN bit.</param>
/// <param name="Reserved">The three reserved bits, RSV1 the highest.</param>
/// <param name="Opcode">What the frame is.</param>
/// <param name="Payload">The payload, unmasked.</param>
public sealed record WireFrame(bool IsFinal, int Reserved, Opcode Opcode, byte[] Payload)
{
    private static ReadOnlySpan<byte> MaskingKey => [0x37, 0xfa, 0x21, 0x3d];

    /// <summary>The payload as text.</summary>
    public string Text => Encoding.UTF8.GetString(Payload);

    /// <summary>The code of a close frame, 1005 where it has none (RFC 6455 §7.1.5).</summary>
    public int CloseCode => Payload.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(Payload) : 1005;

    /// <summary>Describes the frame for a failure message.</summary>
    public override string ToString() => Opcode switch
    {
        Opcode.Close => $"close {CloseCode} \"{Encoding.UTF8.GetString(Payload.AsSpan(Math.Min(2, Payload.Length)))}\"",
        _ => $"{Opcode} of {Payload.Length} bytes: {(Payload.Length <= 300 ? Text : Text[..200] + "...")}",
    };

    /// <summary>Encodes a text frame as a client must send it: final and masked.</summary>
    public static byte[] EncodeText(string text) => Encode(Opcode.Text, Encoding.UTF8.GetBytes(text));

    /// <summary>Encodes a close frame with a code and an optional reason.</summary>
    public static byte[] EncodeClose(int code, string reason = "")
    {
        var payload = new byte[2 + Encoding.UTF8.GetByteCount(reason)];
        BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)code);
        Encoding.UTF8.GetBytes(reason, payload.AsSpan(2));
        return Encode(Opcode.Close, payload);
    }

    /// <summary>Encodes any frame, well-formed or not.</summary>
    public static byte[] Encode(
        Opcode opcode, ReadOnlySpan<byte> payload, bool isFinal = true, int reserved = 0, bool isMasked = true)
    {
        var extended = payload.Length switch { <= 125 => 0, <= ushort.MaxValue => 2, _ => 8 };
        var head = 2 + extended + (isMasked ? 4 : 0);
        var frame = new byte[head + payload.Length];
        frame[0] = (byte)((isFinal ? 0x80 : 0) | (reserved << 4) | (int)opcode);
        frame[1] = (byte)((isMasked ? 0x80 : 0) | (extended switch { 0 => payload.Length, 2 => 126, _ => 127 }));
        if (extended == 2)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(2), (ushort)payload.Length);
        }
        else if (extended == 8)
        {
            BinaryPrimitives.WriteUInt64BigEndian(frame.AsSpan(2), (ulong)payload.Length);
        }

        payload.CopyTo(frame.AsSpan(head));
        if (isMasked)
        {
            MaskingKey.CopyTo(frame.AsSpan(head - 4));
            for (var index = 0; index < payload.Length; index++)
            {
                frame[head + index] ^= MaskingKey[index & 3];
            }
        }

        return frame;
    }
}
