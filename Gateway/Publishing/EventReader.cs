using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Protocol;

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

    // Of events up to about this size the escapes are resolved on the stack.
    private const int ScratchLength = 1024;

    /// <summary>Reads and checks the events.</summary>
    /// <param name="json">The JSON of <c>events</c>, known to be well formed; empty where there was none.</param>
    /// <param name="limits">How many events, and how large.</param>
    /// <param name="batch">The events on success, with one reference that the caller owns. An event over the limit is in it as failed.</param>
    public static EventsError TryRead(ReadOnlySpan<byte> json, GatewayLimits limits, out EventBatch? batch)
    {
        batch = null;
        var scanner = new JsonScanner(json);
        if (!scanner.TryPass((byte)'['))
        {
            return EventsError.NotAnArray;
        }

        // Quotes and the closing brace come on top of what stands between the array's brackets, which its own bytes pay for.
        var events = EventBatch.Rent(json.Length + limits.EventsPerPublishMax);
        var error = ReadAll(ref scanner, limits, events);
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

    private static EventsError ReadAll(ref JsonScanner scanner, GatewayLimits limits, EventBatch events)
    {
        if (scanner.TryPass((byte)']'))
        {
            return EventsError.Empty;
        }

        long totalBytes = 0;
        bool isEnd;
        do
        {
            if (events.Count == limits.EventsPerPublishMax)
            {
                return EventsError.TooMany;
            }

            if (!scanner.TryReadString(out var token, out var isEscaped))
            {
                return EventsError.NotAString;
            }

            if (!TryMeasure(token, isEscaped, out var eventBytes))
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
                events.Add(token);
            }
        }
        while (scanner.TryPassSeparator((byte)']', out isEnd) && !isEnd);

        Debug.Assert(isEnd, "The array was not well formed.");
        return EventsError.None;
    }

    [SkipLocalsInit]
    private static bool TryMeasure(ReadOnlySpan<byte> token, bool isEscaped, out int eventBytes)
    {
        if (!isEscaped)
        {
            eventBytes = token.Length - 2;
            return JsonScanner.IsValue(token[1..^1], DepthMax);
        }

        byte[]? rented = null;
        var unescaped = token.Length <= ScratchLength
            ? stackalloc byte[ScratchLength]
            : (rented = ArrayPool<byte>.Shared.Rent(token.Length));
        try
        {
            eventBytes = JsonText.Unescape(token, unescaped);
            return JsonScanner.IsValue(unescaped[..eventBytes], DepthMax);
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
}
