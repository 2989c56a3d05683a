using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Fanfare.Gateway.Protocol;
using Microsoft.Extensions.ObjectPool;

namespace Fanfare.Gateway.Backplane;

/// <summary>The events of one publish, as the bytes that came, with what became of each.</summary>
/// <remarks>
/// <para>
/// An event is kept as a JSON string token, quotes and escapes as the publisher wrote them, followed by the brace that ends a
/// <c>data</c> message: the part of that message which all subscribers share, encoded once. See <see cref="GetTail"/>.
/// </para>
/// <para>
/// Pooled and counted by references: whoever creates a batch holds one, whoever keeps it longer than a call takes one with
/// <see cref="AddReference"/>, and each is given back with <see cref="Release"/> exactly once. Filled by one thread, then only read.
/// </para>
/// </remarks>
public sealed class EventBatch
{
    private static readonly ObjectPool<EventBatch> s_pool =
        new DefaultObjectPool<EventBatch>(new DefaultPooledObjectPolicy<EventBatch>(), maximumRetained: 1024);

    private const int LengthBytes = sizeof(int);

    private byte[] _buffer = [];
    private int _length;
    private Entry[] _entries = new Entry[5];
    private int _references;

    /// <summary>Creates an empty batch. Use <see cref="Rent"/>, which reuses batches.</summary>
    public EventBatch()
    {
    }

    /// <summary>How many events were published, failed ones included.</summary>
    public int Count { get; private set; }

    /// <summary>How many of them go to subscribers.</summary>
    public int AcceptedCount { get; private set; }

    /// <summary>The size of all accepted events in bytes, as they travel: escaped, with quotes and the closing brace.</summary>
    public int AcceptedBytes { get; private set; }

    /// <summary>Takes an empty batch with one reference.</summary>
    /// <param name="capacityBytes">About how many bytes its events will take.</param>
    public static EventBatch Rent(int capacityBytes)
    {
        var batch = s_pool.Get();
        batch._buffer = ArrayPool<byte>.Shared.Rent(capacityBytes);
        batch._references = 1;
        return batch;
    }

    /// <summary>Adds an event that goes to subscribers.</summary>
    /// <param name="jsonString">The event as a JSON string token, with its quotes.</param>
    public void Add(ReadOnlySpan<byte> jsonString) => Add(jsonString, RandomUuid.Create());

    /// <summary>How many bytes <see cref="Encode"/> needs.</summary>
    /// <remarks>Instead of the closing brace, an event has its length before it.</remarks>
    public int EncodedBytes => AcceptedBytes + (AcceptedCount * (LengthBytes - 1));

    /// <summary>Writes the accepted events for another process: of each, its length in four bytes, little-endian, and its JSON string token.</summary>
    /// <param name="destination">Exactly <see cref="EncodedBytes"/> long.</param>
    /// <remarks>Nothing precedes or follows the events, so encoded batches make one batch when they are joined.</remarks>
    public void Encode(Span<byte> destination)
    {
        for (var i = 0; i < Count; i++)
        {
            var tail = GetTail(i);
            if (tail.Length > 0)
            {
                var length = tail.Length - 1;
                BinaryPrimitives.WriteInt32LittleEndian(destination, length);
                tail[..length].CopyTo(destination[LengthBytes..]);
                destination = destination[(LengthBytes + length)..];
            }
        }
    }

    /// <summary>Makes a batch of what <see cref="Encode"/> wrote; its events have no identifiers of their own.</summary>
    /// <param name="encoded">One encoded batch, or several joined.</param>
    /// <param name="batch">The batch on success, with one reference that the caller owns.</param>
    /// <returns><see langword="false"/> where the bytes are no such thing.</returns>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, [NotNullWhen(true)] out EventBatch? batch)
    {
        batch = Rent(encoded.Length);
        while (encoded.Length >= LengthBytes)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(encoded);
            if (length < 2 || length > encoded.Length - LengthBytes)
            {
                break;
            }

            batch.Add(encoded.Slice(LengthBytes, length), Guid.Empty);
            encoded = encoded[(LengthBytes + length)..];
        }

        if (encoded.IsEmpty)
        {
            return true;
        }

        batch.Release();
        batch = null;
        return false;
    }

    private void Add(ReadOnlySpan<byte> jsonString, Guid identifier)
    {
        var needed = _length + jsonString.Length + 1;
        if (needed > _buffer.Length)
        {
            var grown = ArrayPool<byte>.Shared.Rent(Math.Max(needed, _buffer.Length * 2));
            _buffer.AsSpan(0, _length).CopyTo(grown);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = grown;
        }

        jsonString.CopyTo(_buffer.AsSpan(_length));
        _buffer[needed - 1] = (byte)'}';
        AddEntry(new Entry(identifier, _length, needed - _length, null));
        AcceptedBytes += needed - _length;
        _length = needed;
        AcceptedCount++;
    }

    /// <summary>Adds an event that failed and goes nowhere.</summary>
    internal void AddFailed(EventFailure failure) => AddEntry(new Entry(RandomUuid.Create(), _length, 0, failure));

    /// <summary>Adds an accepted event of another batch, with its identifier.</summary>
    internal void AddCopy(EventBatch source, int index) => Add(source.GetTail(index)[..^1], source.GetIdentifier(index));

    /// <summary>Makes an accepted event one that failed and goes nowhere. Only while nobody else reads the batch.</summary>
    internal void Fail(int index, EventFailure failure)
    {
        ref var entry = ref _entries[index];
        Debug.Assert(entry.Failure is null, "An event failed twice.");
        AcceptedCount--;
        AcceptedBytes -= entry.Length;
        entry = entry with { Length = 0, Failure = failure };
    }

    /// <summary>The identifier of an event: a version 4 UUID, minted when it was added.</summary>
    public Guid GetIdentifier(int index) => _entries[index].Identifier;

    /// <summary>What ends the <c>data</c> messages of an event: its JSON string token and the closing brace; empty where it failed.</summary>
    public ReadOnlySpan<byte> GetTail(int index)
    {
        ref readonly var entry = ref _entries[index];
        return _buffer.AsSpan(entry.Start, entry.Length);
    }

    /// <summary>Why an event failed, or <see langword="null"/>.</summary>
    internal EventFailure? GetFailure(int index) => _entries[index].Failure;

    /// <summary>Takes a further reference. The caller must hold one.</summary>
    public void AddReference()
    {
        var references = Interlocked.Increment(ref _references);
        Debug.Assert(references > 1, "A batch was revived after its last release.");
    }

    /// <summary>Gives a reference back; the last one returns the memory.</summary>
    public void Release()
    {
        var references = Interlocked.Decrement(ref _references);
        Debug.Assert(references >= 0, "A batch was released twice.");
        if (references > 0)
        {
            return;
        }

        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _length = 0;
        Array.Clear(_entries, 0, Count);
        Count = AcceptedCount = AcceptedBytes = 0;
        s_pool.Return(this);
    }

    private void AddEntry(Entry entry)
    {
        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, Count * 2);
        }

        _entries[Count++] = entry;
    }

    private readonly record struct Entry(Guid Identifier, int Start, int Length, EventFailure? Failure);
}

/// <summary>Why one event of a publish failed while the publish succeeded; an item of <c>failed</c>.</summary>
/// <param name="Code">The code that clients branch on.</param>
/// <param name="Message">A text for people.</param>
internal sealed record EventFailure(string Code, string Message)
{
    /// <summary>The event is larger than <see cref="GatewayLimits.EventBytesMax"/>.</summary>
    public static EventFailure TooLarge(int eventBytesMax) =>
        eventBytesMax == 240 * 1024 ? s_tooLargeByDefault : new(TooLargeCode, $"Transformed event is larger than {eventBytesMax} bytes");

    private const string TooLargeCode = "EventTooLargeException";

    // AppSync's own text.
    private static readonly EventFailure s_tooLargeByDefault = new(TooLargeCode, "Transformed event is larger than 240KB");
}
