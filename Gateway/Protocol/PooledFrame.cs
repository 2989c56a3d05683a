using System.Buffers;

namespace Fanfare.Gateway.Protocol;

/// <summary>One or more encoded frames on their way to a connection, in pooled memory.</summary>
/// <remarks>Has one owner, who calls <see cref="Return"/> once.</remarks>
internal readonly struct PooledFrame(byte[] array, int offset, int length, bool isPooled)
{
    /// <summary>The array; shared and never written where the frame is not pooled.</summary>
    public byte[] Array => array;

    /// <summary>Where the first frame begins.</summary>
    public int Offset => offset;

    /// <summary>The length of all frames in bytes.</summary>
    public int Length => length;

    /// <summary>The frames' bytes.</summary>
    public ReadOnlySpan<byte> Span => array.AsSpan(offset, length);

    /// <summary>Wraps frames that live as long as the process.</summary>
    public static PooledFrame FromShared(byte[] frames) => new(frames, 0, frames.Length, isPooled: false);

    /// <summary>Gives pooled memory back.</summary>
    public void Return()
    {
        if (isPooled)
        {
            ArrayPool<byte>.Shared.Return(array);
        }
    }
}

/// <summary>Builds one frame: a payload is appended, then <see cref="Complete"/> puts the header before it.</summary>
internal ref struct FrameBuilder
{
    private byte[] _array;
    private int _length;

    /// <summary>Rents room for a payload of about this many bytes.</summary>
    public FrameBuilder(int payloadLengthHint)
    {
        _array = ArrayPool<byte>.Shared.Rent(FrameHeader.LengthMax + payloadLengthHint);
        _length = FrameHeader.LengthMax;
    }

    /// <summary>Appends bytes to the payload.</summary>
    public void Append(scoped ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        _length += bytes.Length;
    }

    /// <summary>Appends a number in decimal digits.</summary>
    public void Append(int value)
    {
        value.TryFormat(GetSpan(11), out var written);
        _length += written;
    }

    /// <summary>Appends a UUID in its 36-character form.</summary>
    public void Append(Guid value)
    {
        value.TryFormat(GetSpan(36), out var written);
        _length += written;
    }

    /// <summary>Ends the payload and returns the frame, whose owner the caller becomes.</summary>
    public readonly PooledFrame Complete(Opcode opcode)
    {
        var payloadLength = _length - FrameHeader.LengthMax;
        var offset = FrameHeader.LengthMax - FrameHeader.GetLength(payloadLength);
        FrameHeader.Write(_array.AsSpan(offset), opcode, payloadLength);
        return new PooledFrame(_array, offset, _length - offset, isPooled: true);
    }

    /// <summary>Ends the payload and returns it without a frame header, for an HTTP body.</summary>
    public readonly PooledFrame CompletePayload() =>
        new(_array, FrameHeader.LengthMax, _length - FrameHeader.LengthMax, isPooled: true);

    private Span<byte> GetSpan(int length)
    {
        if (_array.Length - _length < length)
        {
            var grown = ArrayPool<byte>.Shared.Rent(Math.Max(_length + length, _array.Length * 2));
            _array.AsSpan(0, _length).CopyTo(grown);
            ArrayPool<byte>.Shared.Return(_array);
            _array = grown;
        }

        return _array.AsSpan(_length);
    }
}
