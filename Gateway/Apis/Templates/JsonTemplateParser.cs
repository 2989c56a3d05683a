using System.Text;
using System.Text.Json;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads JSON into <see cref="TemplateNode"/>s, every scalar as text.</summary>
internal ref struct JsonTemplateParser
{
    private readonly ReadOnlySpan<byte> _json;
    private readonly string _file;
    private readonly TemplateDiagnostics _diagnostics;
    private Utf8JsonReader _reader;
    private int _nodeCount;
    private int _countedTo;
    private int _line;

    private JsonTemplateParser(ReadOnlySpan<byte> json, string file, TemplateDiagnostics diagnostics)
    {
        _json = json;
        _file = file;
        _diagnostics = diagnostics;
        _reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = TemplateLimits.DepthMax });
        _line = 1;
    }

    /// <summary>Reads one JSON text.</summary>
    /// <exception cref="TemplateFault">The text is not JSON, or costs too much. Repeated keys are only noted.</exception>
    public static TemplateNode Parse(string text, string file, TemplateDiagnostics diagnostics)
    {
        var parser = new JsonTemplateParser(Encoding.UTF8.GetBytes(text), file, diagnostics);
        try
        {
            parser._reader.Read();
            var root = parser.ParseValue();
            parser._reader.Read(); // Throws where something follows the value.
            return root;
        }
        catch (JsonException exception)
        {
            // The message ends in a position counted from 0; the error has its own.
            var message = exception.Message.Split(" LineNumber:", 2)[0];
            throw parser.Fault((int)(exception.LineNumber ?? 0) + 1, $"is not valid JSON: {ScalarNode.Shorten(message)}");
        }
        catch (InvalidOperationException)
        {
            // A \u escape that names half a surrogate pair.
            throw parser.Fault(parser.Line(), "is not valid JSON: a text holds half a surrogate pair");
        }
    }

    private TemplateNode ParseValue()
    {
        var line = Line();
        if (++_nodeCount > TemplateLimits.NodeCountMax)
            throw Fault(line, $"holds more than {TemplateLimits.NodeCountMax:N0} values");
        return _reader.TokenType switch
        {
            JsonTokenType.StartObject => ParseMap(line),
            JsonTokenType.StartArray => ParseList(line),
            JsonTokenType.String => new ScalarNode(_reader.GetString()!, line),
            JsonTokenType.Null => new ScalarNode("null", line, ScalarKind.Null),
            _ => new ScalarNode(Encoding.UTF8.GetString(_reader.ValueSpan), line, ScalarKind.Plain), // number, true, false
        };
    }

    private ListNode ParseList(int line)
    {
        var items = new List<TemplateNode>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray) items.Add(ParseValue());
        return new ListNode(items, line);
    }

    private MapNode ParseMap(int line)
    {
        var entries = new List<MapEntry>();
        var lines = new Dictionary<string, int>(StringComparer.Ordinal);
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndObject)
        {
            var keyLine = Line();
            var key = _reader.GetString()!;
            _reader.Read();
            var value = ParseValue();
            if (lines.TryAdd(key, keyLine)) entries.Add(new MapEntry(key, keyLine, value));
            else _diagnostics.Error(_file, keyLine, default, $"key '{ScalarNode.Shorten(key)}' is already on line {lines[key]}");
        }

        return new MapNode(entries, line);
    }

    /// <summary>The line of the current token; tokens come in order, so lines are counted once over the whole text.</summary>
    private int Line()
    {
        var start = (int)_reader.TokenStartIndex;
        if (start > _countedTo)
        {
            _line += _json[_countedTo..start].Count((byte)'\n');
            _countedTo = start;
        }

        return _line;
    }

    private readonly TemplateFault Fault(int line, string message) => new(new TemplateError(_file, line, null, null, message));
}
