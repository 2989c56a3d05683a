using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads YAML into <see cref="TemplateNode"/>s, every scalar as text and every short tag as its long form.</summary>
/// <remarks>
/// Works on parse events rather than a deserializer: CloudFormation reads <c>off</c>, <c>012345678901</c> and <c>1:30</c> as
/// text, messages need lines, and an alias must be weighed before it is followed.
/// </remarks>
internal sealed class YamlTemplateParser
{
    private readonly Dictionary<string, (TemplateNode Node, int Count)> _anchors = new(StringComparer.Ordinal);
    private readonly Parser _events;
    private readonly string _file;
    private readonly TemplateDiagnostics _diagnostics;
    private int _nodeCount;
    private int _line = 1;

    private YamlTemplateParser(string text, string file, TemplateDiagnostics diagnostics)
    {
        _events = new Parser(new StringReader(text));
        _file = file;
        _diagnostics = diagnostics;
    }

    /// <summary>Reads one YAML document, or returns <see langword="null"/> where there is none.</summary>
    /// <exception cref="TemplateFault">The text is not YAML, or costs too much. Repeated keys are only noted.</exception>
    public static TemplateNode? Parse(string text, string file, TemplateDiagnostics diagnostics)
    {
        var parser = new YamlTemplateParser(text, file, diagnostics);
        try
        {
            return parser.ParseStream();
        }
        catch (YamlException exception)
        {
            throw parser.Fault((int)exception.Start.Line, $"is not valid YAML: {ScalarNode.Shorten(exception.Message)}");
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException
            or InvalidOperationException or IndexOutOfRangeException or InvalidCastException or NullReferenceException)
        {
            // The scanner was written for well-meant text; some malformed ones (escapes, directives) end in these instead.
            throw parser.Fault(parser._line, "is not valid YAML on this line or one after it");
        }
    }

    private TemplateNode? ParseStream()
    {
        Next<StreamStart>();
        if (Peek() is StreamEnd) return null;
        Next<DocumentStart>();
        var root = ParseNode(depth: 0);
        Next<DocumentEnd>();
        if (Peek() is not StreamEnd)
            throw Fault((int)Peek().Start.Line, "holds a second YAML document; a template is one document");
        return root;
    }

    private TemplateNode ParseNode(int depth)
    {
        var current = Peek();
        var line = (int)current.Start.Line;
        if (depth > TemplateLimits.DepthMax) throw Fault(line, $"is nested deeper than {TemplateLimits.DepthMax} levels");
        if (++_nodeCount > TemplateLimits.NodeCountMax)
            throw Fault(line, $"holds more than {TemplateLimits.NodeCountMax:N0} values, aliases counted as what they stand for");

        var countBefore = _nodeCount;
        if (current is AnchorAlias alias)
        {
            Next<AnchorAlias>();
            // An anchor is known once its node is complete, so a node that contains itself ends here too.
            if (!_anchors.TryGetValue(alias.Value.Value, out var target))
                throw Fault(line, $"alias '*{ScalarNode.Shorten(alias.Value.Value)}' has no anchor before it");
            _nodeCount += target.Count;
            return target.Node;
        }

        (TemplateNode node, var tag, var anchor) = current switch
        {
            Scalar scalar => ((TemplateNode)ParseScalar(scalar), scalar.Tag, scalar.Anchor),
            SequenceStart start => (ParseList(start, depth), start.Tag, start.Anchor),
            MappingStart start => (ParseMap(start, depth), start.Tag, start.Anchor),
            _ => throw Fault(line, "is not valid YAML"),
        };
        var result = ApplyTag(node, tag);
        if (!anchor.IsEmpty) _anchors[anchor.Value] = (result, _nodeCount - countBefore + 1);
        return result;
    }

    private ScalarNode ParseScalar(Scalar scalar)
    {
        Next<Scalar>();
        var kind = scalar.Style != ScalarStyle.Plain ? ScalarKind.Text
            : scalar.Value is "" or "~" or "null" or "Null" or "NULL" && scalar.Tag.IsEmpty ? ScalarKind.Null
            : ScalarKind.Plain;
        return new ScalarNode(scalar.Value, (int)scalar.Start.Line, kind);
    }

    private ListNode ParseList(SequenceStart start, int depth)
    {
        Next<SequenceStart>();
        var items = new List<TemplateNode>();
        while (Peek() is not SequenceEnd) items.Add(ParseNode(depth + 1));
        Next<SequenceEnd>();
        return new ListNode(items, (int)start.Start.Line);
    }

    private MapNode ParseMap(MappingStart start, int depth)
    {
        Next<MappingStart>();
        var entries = new List<MapEntry>();
        var lines = new Dictionary<string, int>(StringComparer.Ordinal);
        while (Peek() is not MappingEnd)
        {
            var keyLine = (int)Peek().Start.Line;
            if (ParseNode(depth + 1) is not ScalarNode { Text: var key }) throw Fault(keyLine, "a key must be text");
            var value = ParseNode(depth + 1);
            if (key == "<<")
                throw Fault(keyLine, "merge keys (<<) are not part of CloudFormation; repeat the entries instead");
            if (lines.TryAdd(key, keyLine)) entries.Add(new MapEntry(key, keyLine, value));
            else _diagnostics.Error(_file, keyLine, default, $"key '{ScalarNode.Shorten(key)}' is already on line {lines[key]}");
        }

        Next<MappingEnd>();
        return new MapNode(entries, (int)start.Start.Line);
    }

    /// <summary>
    /// Turns <c>!Name value</c> into <c>{Fn::Name: value}</c>. An unknown name is a mistake only where it is evaluated.
    /// </summary>
    private static TemplateNode ApplyTag(TemplateNode node, TagName tag)
    {
        // "!!str" and its kin arrive as tag:yaml.org,2002:… and change nothing, since every scalar is text.
        if (tag.IsEmpty || tag.IsNonSpecific || !tag.Value.StartsWith('!') || tag.Value.Length == 1) return node;
        var name = tag.Value[1..];
        var key = name is "Ref" or "Condition" ? name : $"Fn::{name}";
        return new MapNode([new MapEntry(key, node.Line, node)], node.Line);
    }

    private ParsingEvent Peek()
    {
        if (_events.Current is null && !_events.MoveNext()) throw Fault(_line, "ends too early");
        _line = (int)_events.Current!.Start.Line;
        return _events.Current;
    }

    private void Next<T>()
        where T : ParsingEvent
    {
        var current = Peek();
        if (current is not T) throw Fault((int)current.Start.Line, "is not valid YAML");
        _events.MoveNext();
    }

    private TemplateFault Fault(int? line, string message) => new(new TemplateError(_file, line, null, null, message));
}
