using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Lambda;

/// <summary>What an authorizer function said of a request: a map of texts.</summary>
/// <remarks>Shown as <c>handlerContext</c>, and again as <c>resolverContext</c>, the name in the published type of the context.</remarks>
internal sealed record LambdaIdentity : Identity
{
    private static readonly JsonWriterOptions s_writerOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly byte[] _context;

    /// <param name="context">The map.</param>
    public LambdaIdentity(IEnumerable<KeyValuePair<string, string>> context)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, s_writerOptions))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in context)
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
        }

        _context = buffer.WrittenSpan.ToArray();
    }

    /// <summary>How many bytes the map takes.</summary>
    public int Size => _context.Length;

    /// <inheritdoc/>
    public override string AuthType => "Lambda Authorization";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WritePropertyName("handlerContext"u8);
        writer.WriteRawValue(_context, skipInputValidation: true);
        writer.WritePropertyName("resolverContext"u8);
        writer.WriteRawValue(_context, skipInputValidation: true);
        writer.WriteEndObject();
    }

    /// <summary>Describes the identity without the map, which is the function's business.</summary>
    public override string ToString() => $"LambdaIdentity {{ Size = {Size} }}";
}
