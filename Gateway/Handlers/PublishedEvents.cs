using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fanfare.Gateway.Backplane;

namespace Fanfare.Gateway.Handlers;

/// <summary>Raised where a handler's result is none that a handler may have; the message is for logs.</summary>
internal sealed class HandlerResultException(string message) : Exception(message);

/// <summary>Turns what a handler of publishes returned into what is broadcast and what the publisher is told (handlers, 1.4).</summary>
internal static class PublishedEvents
{
    private const string CustomError = "CustomError";
    private const int IdBytes = 36;

    private static readonly JsonWriterOptions s_writerOptions = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    /// <summary>Maps the result of a runtime: items with <c>same</c>, <c>payload</c> as a text, or <c>error</c>; see <see cref="HandlerOutput"/>.</summary>
    /// <param name="result">The result; empty counts as <c>null</c>.</param>
    /// <param name="events">The events that came; those that failed are marked so.</param>
    /// <param name="eventBytesMax">How large an event may be after the handler.</param>
    /// <returns>What is broadcast; the caller owns the reference.</returns>
    /// <exception cref="HandlerResultException">An id is unknown or comes twice. Nothing was marked then.</exception>
    public static EventBatch MapOutput(ReadOnlySpan<byte> result, EventBatch events, int eventBytesMax)
    {
        var items = new ItemList(events, eventBytesMax);
        try
        {
            if (!result.IsEmpty)
            {
                ReadOutput(result, ref items);
            }

            return items.Complete();
        }
        finally
        {
            items.Dispose();
        }
    }

    /// <summary>Maps the list that a function returned: items with <c>payload</c> or <c>error</c> as any JSON.</summary>
    /// <param name="list">The list; <c>null</c> and undefined count as an empty one.</param>
    /// <param name="events">The events that came; those that failed are marked so.</param>
    /// <param name="eventBytesMax">How large an event may be after the handler.</param>
    /// <returns>What is broadcast; the caller owns the reference.</returns>
    /// <exception cref="HandlerResultException">It breaks a rule. Nothing was marked then.</exception>
    public static EventBatch MapList(JsonElement list, EventBatch events, int eventBytesMax)
    {
        var items = new ItemList(events, eventBytesMax);
        try
        {
            if (list.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
            {
                ReadList(list, ref items);
            }

            return items.Complete();
        }
        finally
        {
            items.Dispose();
        }
    }

    private static void ReadOutput(ReadOnlySpan<byte> result, ref ItemList items)
    {
        var reader = new Utf8JsonReader(result);
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadOnlySpan<byte> id = default, payload = default;
            string? error = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.ValueSpan;
                if (name.SequenceEqual("id"u8))
                {
                    reader.Read();
                    id = reader.ValueSpan;
                }
                else if (name.SequenceEqual("payload"u8))
                {
                    reader.Read();
                    payload = result[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];
                }
                else if (name.SequenceEqual("error"u8))
                {
                    reader.Read();
                    error = HandlerText.Read(result[(int)reader.TokenStartIndex..(int)reader.BytesConsumed]);
                }
                else
                {
                    reader.Skip();
                }
            }

            if (error is not null)
            {
                items.Fail(id, error);
            }
            else if (payload.IsEmpty)
            {
                items.Keep(id);
            }
            else
            {
                items.Change(id, payload);
            }
        }
    }

    private static void ReadList(JsonElement list, ref ItemList items)
    {
        if (list.ValueKind != JsonValueKind.Array)
        {
            throw new HandlerResultException("The result must be a list of events.");
        }

        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.Null)
            {
                continue;
            }

            if (item.ValueKind != JsonValueKind.Object
                || !item.TryGetProperty("id"u8, out var id) || id.ValueKind != JsonValueKind.String)
            {
                throw new HandlerResultException("Every item of the result must be an object with the id of an event.");
            }

            var idBytes = Encoding.UTF8.GetBytes(id.GetString()!);
            if (item.TryGetProperty("error"u8, out var error) && error.ValueKind != JsonValueKind.Null)
            {
                items.Fail(idBytes, HandlerText.ReadOrCompact(error));
            }
            else
            {
                items.Change(idBytes, ToToken(item.TryGetProperty("payload"u8, out var payload) ? payload : default));
            }
        }
    }

    // The payload's compact text as a JSON string.
    private static byte[] ToToken(JsonElement payload)
    {
        var token = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(token, s_writerOptions))
        {
            writer.WriteStringValue(payload.ValueKind == JsonValueKind.Undefined ? "null"u8 : HandlerText.Compact(payload));
        }

        return token.WrittenSpan.ToArray();
    }

    /// <summary>The items of a result, in its order. Nothing is marked before all are known to be good.</summary>
    private ref struct ItemList(EventBatch events, int eventBytesMax)
    {
        private EventBatch? _broadcast;
        private List<(int Index, EventFailure Failure)>? _failures;
        private ulong _seenFew;
        private HashSet<int>? _seenMany;
        private int _kept;

        public void Keep(ReadOnlySpan<byte> id)
        {
            var index = Take(id);

            // As long as the events come back untouched and in their order, the batch that came is the one that goes.
            if (_broadcast is null && index == NextAccepted(_kept))
            {
                _kept = index + 1;
                return;
            }

            GetBroadcast().AddCopy(events, index);
        }

        public void Change(ReadOnlySpan<byte> id, ReadOnlySpan<byte> token)
        {
            var index = Take(id);
            if (IsTooLarge(token))
            {
                (_failures ??= []).Add((index, EventFailure.TooLarge(eventBytesMax)));
                GetBroadcast();
            }
            else
            {
                GetBroadcast().Add(token);
            }
        }

        public void Fail(ReadOnlySpan<byte> id, string text)
        {
            (_failures ??= []).Add((Take(id), new EventFailure(CustomError, text)));
            GetBroadcast();
        }

        public EventBatch Complete()
        {
            EventBatch broadcast;
            if (_broadcast is null && NextAccepted(_kept) == events.Count)
            {
                broadcast = events;
                broadcast.AddReference();
            }
            else
            {
                broadcast = GetBroadcast();
                _broadcast = null;
            }

            foreach (var (index, failure) in _failures ?? [])
            {
                events.Fail(index, failure);
            }

            return broadcast;
        }

        /// <summary>Gives back what was not handed out.</summary>
        public readonly void Dispose() => _broadcast?.Release();

        private EventBatch GetBroadcast()
        {
            if (_broadcast is null)
            {
                _broadcast = EventBatch.Rent(events.AcceptedBytes + 1024);
                for (var i = NextAccepted(0); i < _kept; i = NextAccepted(i + 1))
                {
                    _broadcast.AddCopy(events, i);
                }
            }

            return _broadcast;
        }

        private readonly int NextAccepted(int from)
        {
            while (from < events.Count && events.GetTail(from).IsEmpty)
            {
                from++;
            }

            return from;
        }

        private int Take(ReadOnlySpan<byte> id)
        {
            Span<byte> text = stackalloc byte[IdBytes];
            for (var i = 0; i < events.Count; i++)
            {
                if (id.Length == IdBytes && !events.GetTail(i).IsEmpty
                    && Utf8Formatter.TryFormat(events.GetIdentifier(i), text, out _) && id.SequenceEqual(text))
                {
                    return TryMark(i) ? i : throw new HandlerResultException("The result has an event twice.");
                }
            }

            throw new HandlerResultException("The result has an id that no event of the publish has.");
        }

        private bool TryMark(int index)
        {
            if (index >= 64)
            {
                return (_seenMany ??= []).Add(index);
            }

            var isNew = (_seenFew & (1UL << index)) == 0;
            _seenFew |= 1UL << index;
            return isNew;
        }

        // The limit counts the id as well.
        private readonly bool IsTooLarge(ReadOnlySpan<byte> token) =>
            token.Length - 2 + IdBytes > eventBytesMax && Measure(token) + IdBytes > eventBytesMax;

        private static int Measure(ReadOnlySpan<byte> token)
        {
            var reader = new Utf8JsonReader(token);
            reader.Read();
            if (!reader.ValueIsEscaped)
            {
                return reader.ValueSpan.Length;
            }

            var rented = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
            var length = reader.CopyString(rented);
            ArrayPool<byte>.Shared.Return(rented);
            return length;
        }
    }
}
