using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Unicode;

namespace Fanfare.Gateway.Protocol;

/// <summary>What <see cref="MessageReader.TryRead"/> found.</summary>
internal enum MessageKind
{
    /// <summary>Not yet a whole message; more bytes are needed.</summary>
    None,

    /// <summary>A whole text message, valid UTF-8.</summary>
    Text,

    /// <summary>A ping; the payload must be sent back.</summary>
    Ping,

    /// <summary>A pong, which nobody asked for.</summary>
    Pong,

    /// <summary>The peer closes; <see cref="MessageReader.CloseCode"/> is what it said.</summary>
    Close,

    /// <summary>The peer broke the protocol; <see cref="MessageReader.CloseCode"/> is what to answer.</summary>
    Violation,
}

/// <summary>Turns a client's bytes into WebSocket messages: unmasks, joins fragments, checks RFC 6455 (section 5).</summary>
/// <remarks>
/// Used by one connection's receive loop. Holds no buffer while a connection is idle; a message's buffer grows with what has arrived,
/// never with what a header announces. After <see cref="MessageKind.Violation"/> or <see cref="MessageKind.Close"/> it is not read again.
/// </remarks>
internal sealed class MessageReader(int messageBytesMax)
{
    private const int HeaderLengthMax = 14;
    private const int ControlPayloadMax = 125;
    private const int FirstBufferLength = 1024;

    // The message under assembly; Opcode.Continuation means that none is.
    private byte[] _message = [];
    private int _messageLength;
    private Opcode _messageOpcode;

    // The beginning of a header whose rest has not arrived.
    private HeaderBytes _header;
    private int _headerLength;

    // The frame under way.
    private bool _inFrame;
    private bool _fin;
    private Opcode _opcode;
    private uint _mask;
    private long _frameRemaining;

    private byte[]? _control;
    private int _controlLength;
    private bool _messageTaken;

    /// <summary>The close code to answer or that was received; <see cref="Protocol.CloseCode.None"/> where the peer's close frame had none.</summary>
    public CloseCode CloseCode { get; private set; }

    /// <summary>The payload of the message or control frame just found; valid until the next call.</summary>
    public ReadOnlyMemory<byte> Payload { get; private set; }

    /// <summary>Consumes bytes up to the end of the next message or control frame.</summary>
    /// <param name="input">What has arrived; sliced to what is left.</param>
    public MessageKind TryRead(ref ReadOnlySpan<byte> input)
    {
        if (_messageTaken)
        {
            _messageTaken = false;
            _messageLength = 0;
        }

        while (true)
        {
            if (!_inFrame)
            {
                if (!TryReadHeader(ref input, out var violation))
                {
                    return violation == CloseCode.None ? MessageKind.None : Violate(violation);
                }

                _inFrame = true;
            }

            CopyPayload(ref input);
            if (_frameRemaining > 0)
            {
                return MessageKind.None;
            }

            _inFrame = false;
            if (_opcode >= Opcode.Close)
            {
                return EndControlFrame();
            }

            if (_fin)
            {
                return EndMessage();
            }
        }
    }

    /// <summary>Hands over the memory of the text message just found, so that <see cref="Payload"/> stays valid.</summary>
    /// <returns>An array of the shared pool, which the caller gives back.</returns>
    public byte[] DetachMessage()
    {
        var message = _message;
        _message = [];
        _messageLength = 0;
        _messageTaken = false;
        return message;
    }

    /// <summary>Gives the message's buffer back where no message is under way; for when nothing more has arrived.</summary>
    public void ReleaseIdle()
    {
        if (_message.Length > 0 && _messageOpcode == Opcode.Continuation)
        {
            Release();
        }
    }

    /// <summary>Gives the buffers back; the last call.</summary>
    public void Release()
    {
        ReturnMessageBuffer();
        _message = [];
        _messageLength = 0;
        _messageTaken = false;
    }

    private bool TryReadHeader(ref ReadOnlySpan<byte> input, out CloseCode violation)
    {
        if (_headerLength == 0)
        {
            if (TryParseHeader(input, out var length, out violation))
            {
                input = input[length..];
                return true;
            }
        }
        else
        {
            Span<byte> header = stackalloc byte[HeaderLengthMax];
            var available = Math.Min(_headerLength + input.Length, HeaderLengthMax);
            ((ReadOnlySpan<byte>)_header)[.._headerLength].CopyTo(header);
            input[..(available - _headerLength)].CopyTo(header[_headerLength..]);
            if (TryParseHeader(header[..available], out var length, out violation))
            {
                input = input[(length - _headerLength)..];
                _headerLength = 0;
                return true;
            }
        }

        if (violation == CloseCode.None)
        {
            // Shorter than a header, since all of it was no header yet.
            input.CopyTo(((Span<byte>)_header)[_headerLength..]);
            _headerLength += input.Length;
            input = default;
        }

        return false;
    }

    private bool TryParseHeader(ReadOnlySpan<byte> header, out int headerLength, out CloseCode violation)
    {
        headerLength = 0;
        violation = CloseCode.None;
        if (header.Length < 2)
        {
            return false;
        }

        var first = header[0];
        var second = header[1];
        var opcode = (Opcode)(first & 0x0F);
        var fin = (first & 0x80) != 0;
        // No extension is ever negotiated, so the reserved bits must be 0 (5.2); clients must mask (5.1).
        if ((first & 0x70) != 0 || (second & 0x80) == 0 || !IsExpected(opcode, fin))
        {
            violation = CloseCode.ProtocolError;
            return false;
        }

        var shortLength = second & 0x7F;
        var lengthBytes = shortLength switch { 126 => 2, 127 => 8, _ => 0 };
        if (opcode >= Opcode.Close && shortLength > ControlPayloadMax)
        {
            violation = CloseCode.ProtocolError;
            return false;
        }

        headerLength = 2 + lengthBytes + 4;
        if (header.Length < headerLength)
        {
            return false;
        }

        var length = shortLength switch
        {
            126 => BinaryPrimitives.ReadUInt16BigEndian(header[2..]),
            127 => BinaryPrimitives.ReadUInt64BigEndian(header[2..]),
            _ => (ulong)shortLength,
        };
        if (opcode < Opcode.Close && length > (ulong)(messageBytesMax - _messageLength))
        {
            // A length over 63 bits is malformed rather than big (5.2).
            violation = length > long.MaxValue ? CloseCode.ProtocolError : CloseCode.MessageTooBig;
            return false;
        }

        _mask = MemoryMarshal.Read<uint>(header.Slice(2 + lengthBytes, 4));
        _frameRemaining = (long)length;
        _opcode = opcode;
        _fin = fin;
        if (opcode is Opcode.Text or Opcode.Binary)
        {
            _messageOpcode = opcode;
        }
        else if (opcode >= Opcode.Close)
        {
            _controlLength = 0;
        }

        return true;
    }

    private bool IsExpected(Opcode opcode, bool fin) => opcode switch
    {
        Opcode.Continuation => _messageOpcode != Opcode.Continuation,
        Opcode.Text or Opcode.Binary => _messageOpcode == Opcode.Continuation,
        Opcode.Close or Opcode.Ping or Opcode.Pong => fin,
        _ => false,
    };

    private void CopyPayload(ref ReadOnlySpan<byte> input)
    {
        var length = (int)Math.Min(input.Length, _frameRemaining);
        if (length == 0)
        {
            return;
        }

        Unmask(input[..length], GetPayloadTarget(length));
        // The next byte's key octet moves to the front (5.3).
        _mask = BitConverter.IsLittleEndian
            ? BitOperations.RotateRight(_mask, 8 * (length & 3))
            : BitOperations.RotateLeft(_mask, 8 * (length & 3));
        _frameRemaining -= length;
        input = input[length..];
    }

    private Span<byte> GetPayloadTarget(int length)
    {
        if (_opcode >= Opcode.Close)
        {
            _control ??= new byte[ControlPayloadMax];
            var control = _control.AsSpan(_controlLength, length);
            _controlLength += length;
            return control;
        }

        var needed = _messageLength + length;
        if (needed > _message.Length)
        {
            var grown = ArrayPool<byte>.Shared.Rent(Math.Max(Math.Max(needed, FirstBufferLength), Math.Min(_messageLength * 2, messageBytesMax)));
            _message.AsSpan(0, _messageLength).CopyTo(grown);
            ReturnMessageBuffer();
            _message = grown;
        }

        var target = _message.AsSpan(_messageLength, length);
        _messageLength = needed;
        return target;
    }

    private void Unmask(ReadOnlySpan<byte> source, Span<byte> target)
    {
        var i = 0;
        if (Vector.IsHardwareAccelerated && source.Length >= Vector<byte>.Count)
        {
            var mask = Vector.AsVectorByte(new Vector<uint>(_mask));
            for (; i <= source.Length - Vector<byte>.Count; i += Vector<byte>.Count)
            {
                (new Vector<byte>(source[i..]) ^ mask).CopyTo(target[i..]);
            }
        }

        Span<byte> key = stackalloc byte[4];
        MemoryMarshal.Write(key, _mask);
        for (; i < source.Length; i++)
        {
            target[i] = (byte)(source[i] ^ key[i & 3]);
        }
    }

    private MessageKind EndMessage()
    {
        var isText = _messageOpcode == Opcode.Text;
        _messageOpcode = Opcode.Continuation;
        _messageTaken = true;
        Payload = _message.AsMemory(0, _messageLength);
        if (!isText)
        {
            return Violate(CloseCode.UnsupportedData);
        }

        return Utf8.IsValid(Payload.Span) ? MessageKind.Text : Violate(CloseCode.InvalidPayload);
    }

    private MessageKind EndControlFrame()
    {
        Payload = _control.AsMemory(0, _controlLength);
        switch (_opcode)
        {
            case Opcode.Ping:
                return MessageKind.Ping;
            case Opcode.Pong:
                return MessageKind.Pong;
            default:
                return EndCloseFrame(Payload.Span);
        }
    }

    private MessageKind EndCloseFrame(ReadOnlySpan<byte> payload)
    {
        if (payload.Length == 0)
        {
            CloseCode = CloseCode.None;
            return MessageKind.Close;
        }

        if (payload.Length == 1)
        {
            return Violate(CloseCode.ProtocolError);
        }

        var code = BinaryPrimitives.ReadUInt16BigEndian(payload);
        // 7.4.1 and 7.4.2: codes that may be on the wire. 1004 to 1006 and 1015 may not.
        var isValid = code is (>= 1000 and <= 1003) or (>= 1007 and <= 1014) or (>= 3000 and <= 4999);
        if (!isValid)
        {
            return Violate(CloseCode.ProtocolError);
        }

        if (!Utf8.IsValid(payload[2..]))
        {
            return Violate(CloseCode.InvalidPayload);
        }

        CloseCode = (CloseCode)code;
        return MessageKind.Close;
    }

    private MessageKind Violate(CloseCode code)
    {
        CloseCode = code;
        return MessageKind.Violation;
    }

    private void ReturnMessageBuffer()
    {
        if (_message.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_message);
        }
    }

    [InlineArray(HeaderLengthMax)]
    private struct HeaderBytes
    {
        private byte _first;
    }
}
