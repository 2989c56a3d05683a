using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>A node of a template, from YAML or JSON alike, or a value that a function evaluated to. Immutable.</summary>
/// <remarks>
/// Short YAML tags are gone here: <c>!Ref X</c> is the map <c>{Ref: X}</c> and <c>!Join</c> the map <c>{Fn::Join: …}</c>, so that
/// everything after parsing knows one form of each function.
/// </remarks>
internal abstract class TemplateNode(int line)
{
    private static readonly JsonWriterOptions s_jsonOptions =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>The line of the file the node begins on, counted from 1.</summary>
    public int Line { get; } = line;

    /// <summary>Describes the node for a message: short, on one line, without secrets.</summary>
    public abstract string Describe();

    /// <summary>The most sensitive part of the node.</summary>
    public abstract Sensitivity Sensitivity { get; }

    /// <summary>How much text the node holds, keys included: about what its JSON is long.</summary>
    public abstract long TextLength { get; }

    /// <summary>Formats the node as compact JSON; plain scalars that look like JSON numbers or booleans become that.</summary>
    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, s_jsonOptions)) WriteJson(writer);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Writes the node as JSON.</summary>
    protected internal abstract void WriteJson(Utf8JsonWriter writer);
}

/// <summary>How a scalar was written, which matters to <c>Fn::ToJsonString</c> alone.</summary>
internal enum ScalarKind
{
    /// <summary>Quoted, or made by a function.</summary>
    Text,

    /// <summary>Unquoted: text all the same, but <c>1</c> and <c>true</c> keep their look in JSON.</summary>
    Plain,

    /// <summary>JSON's <c>null</c>, or YAML's empty value, <c>~</c> and <c>null</c>.</summary>
    Null,
}

/// <summary>Who may see a value, from everybody to nobody.</summary>
internal enum Sensitivity
{
    /// <summary>Everybody.</summary>
    Open,

    /// <summary>An API key or what holds one: outputs may show it, messages may not.</summary>
    Key,

    /// <summary>A <c>NoEcho</c> parameter or what holds one: nothing shows it.</summary>
    NoEcho,
}

/// <summary>A text. CloudFormation turns texts into what the property wants, so no other scalar type is needed.</summary>
internal sealed class ScalarNode(
    string text, int line, ScalarKind kind = ScalarKind.Text, Sensitivity sensitivity = Sensitivity.Open)
    : TemplateNode(line)
{
    /// <summary>What is shown in place of a secret.</summary>
    public const string Mask = "****";

    private const int DescriptionLengthMax = 80;

    /// <summary>The text as written, or the function's result.</summary>
    public string Text { get; } = text;

    /// <summary>How the scalar was written.</summary>
    public ScalarKind Kind { get; } = kind;

    /// <inheritdoc/>
    public override Sensitivity Sensitivity { get; } = sensitivity;

    /// <inheritdoc/>
    public override long TextLength => Text.Length;

    /// <inheritdoc/>
    public override string Describe()
    {
        if (Kind == ScalarKind.Null) return "null";
        return Sensitivity == Sensitivity.Open ? $"'{Shorten(Text)}'" : Mask;
    }

    /// <summary>Makes any text fit for a message: one line of printable characters, cut where it is long.</summary>
    public static string Shorten(string text)
    {
        var builder = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (builder.Length >= DescriptionLengthMax) return builder.Append('…').ToString();
            if (Rune.IsControl(rune) || rune.Value is 0x2028 or 0x2029) builder.Append(' ');
            else builder.Append(rune);
        }

        return builder.ToString();
    }

    /// <inheritdoc/>
    protected internal override void WriteJson(Utf8JsonWriter writer)
    {
        if (Kind == ScalarKind.Null) writer.WriteNullValue();
        else if (Kind == ScalarKind.Plain && Text is "true" or "false") writer.WriteBooleanValue(Text == "true");
        else if (Kind == ScalarKind.Plain && IsJsonNumber(Text)) writer.WriteRawValue(Text);
        else writer.WriteStringValue(Text);
    }

    private static bool IsJsonNumber(string text)
    {
        if (text.Length is 0 or > 32 || !(char.IsAsciiDigit(text[0]) || text[0] == '-')) return false;
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
        try
        {
            return reader.Read() && reader.TokenType == JsonTokenType.Number && !reader.Read();
        }
        catch (JsonException)
        {
            // 012345678901 and 1:30 are texts, whatever YAML 1.1 thinks of them.
            return false;
        }
    }
}

/// <summary>A list.</summary>
internal sealed class ListNode(IReadOnlyList<TemplateNode> items, int line) : TemplateNode(line)
{
    /// <summary>The items.</summary>
    public IReadOnlyList<TemplateNode> Items { get; } = items;

    /// <inheritdoc/>
    public override Sensitivity Sensitivity => Items.Count == 0 ? Sensitivity.Open : Items.Max(item => item.Sensitivity);

    /// <inheritdoc/>
    public override string Describe() => "a list";

    /// <inheritdoc/>
    public override long TextLength => Items.Sum(item => item.TextLength);

    /// <inheritdoc/>
    protected internal override void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach (var item in Items) item.WriteJson(writer);
        writer.WriteEndArray();
    }
}

/// <summary>One entry of a <see cref="MapNode"/>.</summary>
/// <param name="Key">The key; keys are unique and compared by ordinal.</param>
/// <param name="KeyLine">The key's line.</param>
/// <param name="Value">The value.</param>
internal readonly record struct MapEntry(string Key, int KeyLine, TemplateNode Value);

/// <summary>A map that keeps the order of its entries.</summary>
internal sealed class MapNode : TemplateNode
{
    private readonly Dictionary<string, MapEntry> _byKey;

    /// <summary>Creates a map; the caller has refused repeated keys.</summary>
    public MapNode(IReadOnlyList<MapEntry> entries, int line)
        : base(line)
    {
        Entries = entries;
        _byKey = entries.ToDictionary(entry => entry.Key, StringComparer.Ordinal);
    }

    /// <summary>The entries, in the file's order.</summary>
    public IReadOnlyList<MapEntry> Entries { get; }

    /// <inheritdoc/>
    public override Sensitivity Sensitivity => Entries.Count == 0
        ? Sensitivity.Open
        : Entries.Max(entry => entry.Value.Sensitivity);

    /// <inheritdoc/>
    public override long TextLength => Entries.Sum(entry => entry.Key.Length + entry.Value.TextLength);

    /// <summary>Finds an entry.</summary>
    public bool TryGet(string key, out MapEntry entry) => _byKey.TryGetValue(key, out entry);

    /// <summary>Finds a value, or returns <see langword="null"/>.</summary>
    public TemplateNode? Find(string key) => _byKey.TryGetValue(key, out var entry) ? entry.Value : null;

    /// <inheritdoc/>
    public override string Describe() => Entries.Count == 1 && Entries[0].Key.StartsWith("Fn::", StringComparison.Ordinal)
        ? ScalarNode.Shorten(Entries[0].Key)
        : "a map";

    /// <inheritdoc/>
    protected internal override void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach (var entry in Entries)
        {
            writer.WritePropertyName(entry.Key);
            entry.Value.WriteJson(writer);
        }

        writer.WriteEndObject();
    }
}
