using System.Buffers.Binary;

namespace Fanfare.Gateway.Protocol;

/// <summary>Frame types of RFC 6455, section 5.2.</summary>
internal enum Opcode : byte
{
    /// <summary>A further part of a fragmented message.</summary>
    Continuation = 0,

    /// <summary>UTF-8 text.</summary>
    Text = 1,

    /// <summary>Binary data, which the protocol does not use.</summary>
    Binary = 2,

    /// <summary>The last frame of one direction.</summary>
    Close = 8,

    /// <summary>Asks for a <see cref="Pong"/>.</summary>
    Ping = 9,

    /// <summary>Answers a <see cref="Ping"/>.</summary>
    Pong = 10,
}

/// <summary>Writes the header of an unfragmented, unmasked frame, which is all a server sends (RFC 6455, sections 5.1 and 5.2).</summary>
internal static class FrameHeader
{
    /// <summary>The most bytes a server's header takes: 2 and an 8-byte length.</summary>
    public const int LengthMax = 10;

    /// <summary>How many bytes the header of a payload of this length takes.</summary>
    public static int GetLength(int payloadLength) => payloadLength < 126 ? 2 : payloadLength <= ushort.MaxValue ? 4 : 10;

    /// <summary>Writes the header and returns its length.</summary>
    public static int Write(Span<byte> target, Opcode opcode, int payloadLength)
    {
        target[0] = (byte)(0x80 | (byte)opcode);
        if (payloadLength < 126)
        {
            target[1] = (byte)payloadLength;
            return 2;
        }

        if (payloadLength <= ushort.MaxValue)
        {
            target[1] = 126;
            BinaryPrimitives.WriteUInt16BigEndian(target[2..], (ushort)payloadLength);
            return 4;
        }

        target[1] = 127;
        BinaryPrimitives.WriteUInt64BigEndian(target[2..], (ulong)payloadLength);
        return 10;
    }
}
