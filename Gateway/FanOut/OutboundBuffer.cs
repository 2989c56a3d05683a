using System.Buffers;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <summary>Frames on their way to one connection: those being written, and those that wait. Owned by the connection's shard.</summary>
/// <remarks>
/// What waits are whole frames only, so it can be dropped without harm to the stream. An idle connection holds no memory here.
/// </remarks>
internal struct OutboundBuffer
{
    private const int FirstLength = 512;

    private byte[]? _pending;
    private int _pendingLength;
    private byte[]? _writing;
    private int _writingLength;
    private int _written;

    /// <summary>Bytes that wait.</summary>
    public readonly int PendingLength => _pendingLength;

    /// <summary>Bytes that wait or are being written.</summary>
    public readonly int Length => _pendingLength + _writingLength;

    /// <summary>Whether a write is under way.</summary>
    public readonly bool IsWriting => _writing is not null;

    /// <summary>What is left to write of the write under way.</summary>
    public readonly ReadOnlySpan<byte> Unwritten => _writing.AsSpan(_written, _writingLength - _written);

    /// <summary>Appends whole frames.</summary>
    public void Append(ReadOnlySpan<byte> frames)
    {
        frames.CopyTo(GetSpan(frames.Length));
        _pendingLength += frames.Length;
    }

    /// <summary>Appends one text frame whose payload comes in two parts; returns the frame's length.</summary>
    public int AppendText(ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail)
    {
        var payloadLength = head.Length + tail.Length;
        var target = GetSpan(FrameHeader.LengthMax + payloadLength);
        var headerLength = FrameHeader.Write(target, Opcode.Text, payloadLength);
        head.CopyTo(target[headerLength..]);
        tail.CopyTo(target[(headerLength + head.Length)..]);
        _pendingLength += headerLength + payloadLength;
        return headerLength + payloadLength;
    }

    /// <summary>Makes what waits the part being written. Not while a write is under way.</summary>
    public ReadOnlyMemory<byte> BeginWrite()
    {
        _writing = _pending;
        _writingLength = _pendingLength;
        _written = 0;
        _pending = null;
        _pendingLength = 0;
        return _writing.AsMemory(0, _writingLength);
    }

    /// <summary>Begins a write with a copy of bytes that go before all else; they may begin inside a frame. Not while a write is under way.</summary>
    public void BeginWrite(ReadOnlySpan<byte> bytes)
    {
        _writing = ArrayPool<byte>.Shared.Rent(bytes.Length);
        bytes.CopyTo(_writing);
        _writingLength = bytes.Length;
        _written = 0;
    }

    /// <summary>Counts bytes of the write under way as written.</summary>
    public void Advance(int length) => _written += length;

    /// <summary>Ends the write under way and returns how many bytes it had.</summary>
    public int EndWrite()
    {
        var length = _writingLength;
        ArrayPool<byte>.Shared.Return(_writing!);
        _writing = null;
        _writingLength = 0;
        return length;
    }

    /// <summary>Drops what waits and returns how many bytes it was.</summary>
    public int DropPending()
    {
        var length = _pendingLength;
        if (_pending is not null)
        {
            ArrayPool<byte>.Shared.Return(_pending);
            _pending = null;
            _pendingLength = 0;
        }

        return length;
    }

    /// <summary>Drops the write under way, where there is one, and returns how many bytes it had. Not while others read them.</summary>
    public int DropWrite() => IsWriting ? EndWrite() : 0;

    private Span<byte> GetSpan(int length)
    {
        var needed = _pendingLength + length;
        if (_pending is null || needed > _pending.Length)
        {
            var grown = ArrayPool<byte>.Shared.Rent(Math.Max(needed, _pending is null ? FirstLength : _pending.Length * 2));
            if (_pending is not null)
            {
                _pending.AsSpan(0, _pendingLength).CopyTo(grown);
                ArrayPool<byte>.Shared.Return(_pending);
            }

            _pending = grown;
        }

        return _pending.AsSpan(_pendingLength);
    }
}
