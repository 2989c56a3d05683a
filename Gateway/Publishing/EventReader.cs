using System.Buffers;
using System.Text.Json;
using Fanfare.Gateway.Backplane;

namespace Fanfare.Gateway.Publishing;

/// <summary>What is wrong with the events of a publish as a whole.</summary>
internal enum EventsError
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary><c>events</c> is missing or not an array.</summary>
    NotAnArray,

    /// <summary>There is no event.</summary>
    Empty,

    /// <summary>There are more than <see cref="GatewayLimits.EventsPerPublishMax"/>.</summary>
    TooMany,

    /// <summary>An event is not a string.</summary>
    NotAString,

    /// <summary>An event is a string that is not one JSON value in UTF-8.</summary>
    NotJson,

    /// <summary>All events together are larger than <see cref="GatewayLimits.PublishBytesMax"/>.</summary>
    TooLarge,
}

/// <summary>Reads <c>events</c>: an array of strings, each of them a JSON text, kept as the bytes that came.</summary>
internal static class EventReader
{
    /// <summary>How deep an event may nest. JSON parsers of clients give up at some thousands.</summary>
    private const int DepthMax = 1000;

    private static readonly JsonReaderOptions s_eventOptions = new() { MaxDepth = DepthMax };
    private static readonly JsonReaderOptions s_arrayOptions = new() { MaxDepth = DepthMax };

    /// <summary>Reads and checks the events.</summary>
    /// <param name="json">The JSON of <c>events</c>, known to be well formed; empty where there was none.</param>
    /// <param name="limits">How many events, and how large.</param>
    /// <param name="batch">The events on success, with one reference that the caller owns. An event over the limit is in it as failed.</param>
    public static EventsError TryRead(ReadOnlySpan<byte> json, GatewayLimits limits, out EventBatch? batch)
    {
        batch = null;
        if (json.Length == 0)
        {
            return EventsError.NotAnArray;
        }

        var reader = new Utf8JsonReader(json, s_arrayOptions);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return EventsError.NotAnArray;
        }

        // Quotes and the closing brace come on top of what stands between the array's brackets, which its own bytes pay for.
        var events = EventBatch.Rent(json.Length + limits.EventsPerPublishMax);
        var error = ReadAll(ref reader, json, limits, events);
        if (error == EventsError.None)
        {
            batch = events;
        }
        else
        {
            events.Release();
        }

        return error;
    }

    private static EventsError ReadAll(ref Utf8JsonReader reader, ReadOnlySpan<byte> json, GatewayLimits limits, EventBatch events)
    {
        long totalBytes = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (events.Count == limits.EventsPerPublishMax)
            {
                return EventsError.TooMany;
            }

            if (reader.TokenType != JsonTokenType.String)
            {
                return EventsError.NotAString;
            }

            if (!TryMeasure(ref reader, out var eventBytes))
            {
                return EventsError.NotJson;
            }

            totalBytes += eventBytes;
            if (totalBytes > limits.PublishBytesMax)
            {
                return EventsError.TooLarge;
            }

            if (eventBytes > limits.EventBytesMax)
            {
                events.AddFailed(EventFailure.TooLarge(limits.EventBytesMax));
            }
            else
            {
                events.Add(json[(int)reader.TokenStartIndex..(int)reader.BytesConsumed]);
            }
        }

        return events.Count == 0 ? EventsError.Empty : EventsError.None;
    }

    private static bool TryMeasure(ref Utf8JsonReader reader, out int eventBytes)
    {
        if (!reader.ValueIsEscaped)
        {
            eventBytes = reader.ValueSpan.Length;
            return IsJson(reader.ValueSpan);
        }

        byte[]? rented = null;
        var length = reader.ValueSpan.Length;
        var unescaped = length <= 1024 ? stackalloc byte[1024] : (rented = ArrayPool<byte>.Shared.Rent(length));
        try
        {
            eventBytes = reader.CopyString(unescaped);
            return IsJson(unescaped[..eventBytes]);
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate: the event has no UTF-8 form.
            eventBytes = 0;
            return false;
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private static bool IsJson(ReadOnlySpan<byte> text)
    {
        try
        {
            var reader = new Utf8JsonReader(text, s_eventOptions);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
