using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Backplane;

namespace Fanfare.Gateway.Handlers;

/// <summary>Writes the context of a request: as runtimes take it, and as functions do.</summary>
/// <remarks>
/// Both have <c>identity</c>, <c>request</c>, <c>info</c>, <c>stash</c>, <c>result</c>, <c>error</c>, <c>outErrors</c> of the context object
/// (handlers, section 2). A function gets <c>events</c> as that object has them. A runtime gets each event as a pair of its id and its
/// text, a JSON string as the publisher wrote it, so that nothing is taken apart twice; and besides <c>authType</c> and <c>logLevel</c>.
/// </remarks>
internal static class HandlerContext
{
    // Larger buffers are made anew, not kept.
    private const int KeptBytesMax = 256 * 1024;

    private static readonly JsonWriterOptions s_writerOptions = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Writer)? t_writer;

    /// <summary>Writes what a runtime takes of a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="logLevel">What the API keeps of the handler's log.</param>
    /// <param name="carried">What comes from the data source and from <c>request</c>; nothing before that.</param>
    public static RentedBytes WriteForRuntime(in HandlerRequest request, ApiLogLevel logLevel, in CarriedContext carried = default)
    {
        var (buffer, writer) = Begin();
        writer.WriteStartObject();
        WriteCommon(writer, request);
        writer.WriteString("authType"u8, request.Identity?.AuthType ?? ApiKeyAuthType);
        writer.WriteNumber("logLevel"u8, (int)logLevel);
        writer.WritePropertyName("events"u8);
        if (request.Events is { } events)
        {
            writer.WriteStartArray();
            for (var i = 0; i < events.Count; i++)
            {
                var tail = events.GetTail(i);
                if (tail.Length > 0)
                {
                    writer.WriteStartArray();
                    writer.WriteStringValue(events.GetIdentifier(i));
                    writer.WriteRawValue(tail[..^1], skipInputValidation: true);
                    writer.WriteEndArray();
                }
            }

            writer.WriteEndArray();
        }
        else
        {
            writer.WriteNullValue();
        }

        WriteRaw(writer, "stash"u8, carried.Stash, "{}"u8);
        WriteRaw(writer, "outErrors"u8, carried.OutErrors, "[]"u8);
        WriteRaw(writer, "result"u8, carried.Result, "null"u8);
        WriteRaw(writer, "error"u8, carried.Error, "null"u8);
        writer.WriteEndObject();
        return Complete(buffer, writer);
    }

    /// <summary>Writes the context object that a function gets as its event.</summary>
    public static RentedBytes WriteForFunction(in HandlerRequest request)
    {
        var (buffer, writer) = Begin();
        writer.WriteStartObject();
        WriteCommon(writer, request);
        WriteRaw(writer, "result"u8, default, "null"u8);
        WriteRaw(writer, "error"u8, default, "null"u8);
        WriteRaw(writer, "prev"u8, default, "null"u8);
        WriteRaw(writer, "stash"u8, default, "{}"u8);
        WriteRaw(writer, "outErrors"u8, default, "[]"u8);
        writer.WritePropertyName("events"u8);
        if (request.Events is { } events)
        {
            writer.WriteStartArray();
            for (var i = 0; i < events.Count; i++)
            {
                WriteEvent(writer, events, i);
            }

            writer.WriteEndArray();
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WriteEndObject();
        return Complete(buffer, writer);
    }

    private const string ApiKeyAuthType = "API Key Authorization";

    private static void WriteEvent(Utf8JsonWriter writer, EventBatch events, int index)
    {
        var tail = events.GetTail(index);
        if (tail.Length == 0)
        {
            return;
        }

        writer.WriteStartObject();
        writer.WriteString("id"u8, events.GetIdentifier(index));
        writer.WritePropertyName("payload"u8);
        var reader = new Utf8JsonReader(tail[..^1]);
        reader.Read();
        if (reader.ValueIsEscaped)
        {
            var rented = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
            var length = reader.CopyString(rented);
            writer.WriteRawValue(rented.AsSpan(0, length), skipInputValidation: true);
            ArrayPool<byte>.Shared.Return(rented);
        }
        else
        {
            writer.WriteRawValue(reader.ValueSpan, skipInputValidation: true);
        }

        writer.WriteEndObject();
    }

    private static void WriteCommon(Utf8JsonWriter writer, in HandlerRequest request)
    {
        writer.WritePropertyName("identity"u8);
        if (request.Identity is { } identity)
        {
            identity.WriteTo(writer);
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WriteStartObject("request"u8);
        writer.WriteStartObject("headers"u8);
        WriteHeaders(writer, request);
        writer.WriteEndObject();
        writer.WriteString("domainName"u8, FindDomainName(request));
        writer.WriteEndObject();

        writer.WriteStartObject("info"u8);
        writer.WriteStartObject("channel"u8);
        writer.WriteString("path"u8, request.Path);
        writer.WriteStartArray("segments"u8);
        var rest = request.Path.AsSpan(1);
        foreach (var segment in rest.Split('/'))
        {
            writer.WriteStringValue(rest[segment]);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteStartObject("channelNamespace"u8);
        writer.WriteString("name"u8, request.Namespace.Name);
        writer.WriteEndObject();
        writer.WriteString("operation"u8, request.Kind == HandlerKind.OnPublish ? "PUBLISH"u8 : "SUBSCRIBE"u8);
        writer.WriteEndObject();
    }

    // Lower-case names; a list where a header came more than once. A message of a WebSocket has the headers of the upgrade, and over
    // them the members of its own authorization. Cookies belong to the browser and not to handlers.
    private static void WriteHeaders(Utf8JsonWriter writer, in HandlerRequest request)
    {
        Dictionary<string, string>? over = null;
        if (!request.Credentials.Json.IsEmpty)
        {
            over = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            foreach (var (name, value) in request.Credentials.EnumerateHeaders())
            {
                over[name] = value;
            }
        }

        foreach (var (name, values) in request.Origin.Headers)
        {
            if (over?.ContainsKey(name) == true || IsHidden(name))
            {
                continue;
            }

            WriteName(writer, name);
            if (values.Count == 1)
            {
                writer.WriteStringValue(values[0]);
            }
            else
            {
                writer.WriteStartArray();
                foreach (var value in values)
                {
                    writer.WriteStringValue(value);
                }

                writer.WriteEndArray();
            }
        }

        foreach (var (name, value) in over ?? [])
        {
            if (!IsHidden(name))
            {
                WriteName(writer, name);
                writer.WriteStringValue(value);
            }
        }
    }

    private static bool IsHidden(string name) =>
        name.StartsWith(':') || name.Equals("cookie", StringComparison.OrdinalIgnoreCase)
        || name.Equals("sec-websocket-protocol", StringComparison.OrdinalIgnoreCase);

    private static void WriteName(Utf8JsonWriter writer, string name)
    {
        if (name.Length <= 256)
        {
            Span<char> lower = stackalloc char[256];
            writer.WritePropertyName(lower[..name.AsSpan().ToLowerInvariant(lower)]);
        }
        else
        {
            writer.WritePropertyName(name.ToLowerInvariant());
        }
    }

    private static string? FindDomainName(in HandlerRequest request)
    {
        var host = HostNames.WithoutPort(request.Origin.Headers.Host);
        foreach (var name in request.Api.Model.DomainNames)
        {
            if (host.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return name;
            }
        }

        return null;
    }

    private static void WriteRaw(Utf8JsonWriter writer, ReadOnlySpan<byte> name, ReadOnlyMemory<byte> json, ReadOnlySpan<byte> otherwise)
    {
        writer.WritePropertyName(name);
        writer.WriteRawValue(json.IsEmpty ? otherwise : json.Span, skipInputValidation: true);
    }

    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Writer) Begin()
    {
        if (t_writer is { } kept)
        {
            t_writer = null;
            return kept;
        }

        var buffer = new ArrayBufferWriter<byte>(4096);
        return (buffer, new Utf8JsonWriter(buffer, s_writerOptions));
    }

    private static RentedBytes Complete(ArrayBufferWriter<byte> buffer, Utf8JsonWriter writer)
    {
        writer.Flush();
        var bytes = RentedBytes.Copy(buffer.WrittenSpan);
        if (buffer.Capacity <= KeptBytesMax)
        {
            buffer.ResetWrittenCount();
            writer.Reset(buffer);
            t_writer = (buffer, writer);
        }

        return bytes;
    }
}

/// <summary>What a context carries into <c>response</c>, each part JSON; empty where there is nothing.</summary>
/// <param name="Stash">What <c>request</c> left there.</param>
/// <param name="OutErrors">The errors that it appended.</param>
/// <param name="Result">The data source's answer.</param>
/// <param name="Error">The data source's error.</param>
internal readonly record struct CarriedContext(
    ReadOnlyMemory<byte> Stash, ReadOnlyMemory<byte> OutErrors, ReadOnlyMemory<byte> Result, ReadOnlyMemory<byte> Error);

/// <summary>Bytes in memory of the shared pool; given back once, by whoever got them.</summary>
internal readonly struct RentedBytes : IDisposable
{
    private readonly byte[] _array;
    private readonly int _length;

    private RentedBytes(byte[] array, int length) => (_array, _length) = (array, length);

    /// <summary>The bytes.</summary>
    public ReadOnlyMemory<byte> Memory => _array.AsMemory(0, _length);

    /// <summary>Takes a copy.</summary>
    public static RentedBytes Copy(ReadOnlySpan<byte> bytes)
    {
        var array = ArrayPool<byte>.Shared.Rent(bytes.Length);
        bytes.CopyTo(array);
        return new RentedBytes(array, bytes.Length);
    }

    /// <inheritdoc/>
    public void Dispose() => ArrayPool<byte>.Shared.Return(_array, clearArray: true);
}
