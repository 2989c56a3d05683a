using System.Buffers;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.FanOut;

/// <summary>The <c>data</c> frames of some batches, made once and then changed from subscriber to subscriber. Owned by a shard.</summary>
/// <remarks>
/// Two subscribers' frames differ in the subscription's id alone, and ids nearly always have the same length. So the frames of the one
/// before become those of the next by overwriting the ids: a tenth of the bytes, in memory that stays in the processor's cache.
/// </remarks>
internal sealed class DataFrames
{
    // Larger ones are given back after use.
    private const int KeptLengthMax = 512 * 1024;

    private byte[] _buffer = new byte[64 * 1024];
    private int _length;
    private int _idLength = -1;
    private int[] _idOffsets = new int[256];
    private int _count;
    private EventBatch[] _batches = [];
    private int _batchCount;

    /// <summary>How many frames there are.</summary>
    public int Count => _count;

    /// <summary>Begins with further batches.</summary>
    public void Begin(EventBatch[] batches, int batchCount)
    {
        (_batches, _batchCount) = (batches, batchCount);
        _idLength = -1;
    }

    /// <summary>The frames for one subscription; valid until the next call.</summary>
    /// <param name="head">What the subscription's messages begin with.</param>
    public ReadOnlySpan<byte> Get(ReadOnlySpan<byte> head)
    {
        var id = ServerMessages.GetDataHeadId(head);
        if (id.Length == _idLength)
        {
            foreach (var offset in _idOffsets.AsSpan(0, _count))
            {
                id.CopyTo(_buffer.AsSpan(offset));
            }
        }
        else
        {
            Encode(head);
            _idLength = id.Length;
        }

        return _buffer.AsSpan(0, _length);
    }

    /// <summary>Ends the use of the batches.</summary>
    public void End()
    {
        _batches = [];
        if (_buffer.Length > KeptLengthMax)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        }
    }

    private void Encode(ReadOnlySpan<byte> head)
    {
        _length = 0;
        _count = 0;
        foreach (var batch in _batches.AsSpan(0, _batchCount))
        {
            for (var i = 0; i < batch.Count; i++)
            {
                // Empty where the event failed; it goes to nobody.
                var tail = batch.GetTail(i);
                if (!tail.IsEmpty)
                {
                    Encode(head, tail);
                }
            }
        }
    }

    private void Encode(ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail)
    {
        var payloadLength = head.Length + tail.Length;
        Reserve(FrameHeader.LengthMax + payloadLength);
        if (_count == _idOffsets.Length)
        {
            Array.Resize(ref _idOffsets, _count * 2);
        }

        var target = _buffer.AsSpan(_length);
        var headerLength = FrameHeader.Write(target, Opcode.Text, payloadLength);
        head.CopyTo(target[headerLength..]);
        tail.CopyTo(target[(headerLength + head.Length)..]);
        _idOffsets[_count++] = _length + headerLength + ServerMessages.DataHeadIdOffset;
        _length += headerLength + payloadLength;
    }

    private void Reserve(int length)
    {
        if (_buffer.Length - _length < length)
        {
            var grown = ArrayPool<byte>.Shared.Rent(Math.Max(_length + length, _buffer.Length * 2));
            _buffer.AsSpan(0, _length).CopyTo(grown);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = grown;
        }
    }
}
