using System.Globalization;
using System.Text;

namespace Fanfare.Gateway.Apis.Templates;

/// <content>The functions that make values.</content>
internal sealed partial class TemplateEvaluator
{
    private const string LanguageExtensions = "AWS::LanguageExtensions";

    private TemplateNode? Call(MapNode call, MapEntry entry, TemplateSite site)
    {
        var argument = entry.Value;
        switch (entry.Key)
        {
            case "Ref": return Ref(Name(argument, site), argument, site);
            case "Fn::GetAtt": return GetAtt(argument, site);
            case "Fn::Sub": return Sub(argument, site);
            case "Fn::Join": return Join(call, Arguments(entry, 2, 2, "[delimiter, list]", site), site);
            case "Fn::Select": return Select(Arguments(entry, 2, 2, "[index, list]", site), site);
            case "Fn::Split": return Split(call, Arguments(entry, 2, 2, "[delimiter, text]", site), site);
            case "Fn::If": return If(Arguments(entry, 3, 3, "[condition, value if true, value if false]", site), site);
            case "Fn::FindInMap": return FindInMap(Arguments(entry, 3, 4, "[map, first key, second key]", site), site);
            case "Fn::ImportValue": return ImportValue(argument, site);
            case "Fn::Base64":
                var plain = Text(argument, site);
                CheckLength(plain.Text.Length, argument, site);
                return Produce(Convert.ToBase64String(Encoding.UTF8.GetBytes(plain.Text)), call, site, plain.Sensitivity);
            case "Fn::ToJsonString":
                WarnWithoutLanguageExtensions(entry, site);
                var value = Evaluate(argument, site);
                if (value is not (MapNode or ListNode)) throw Fault(argument, site, $"{entry.Key} takes a map or a list");

                // Before the text is built: a list may hold one long text many times.
                CheckLength(value.TextLength, argument, site);
                return Produce(value.ToJson(), call, site, value.Sensitivity);
            case "Fn::Length":
                WarnWithoutLanguageExtensions(entry, site);
                var count = Items(argument, entry.Key, site).Count;
                return new ScalarNode(count.ToString(CultureInfo.InvariantCulture), call.Line, ScalarKind.Plain);
            case "Fn::GetAZs" or "Fn::Cidr" or "Fn::Transform":
                throw Fault(entry.KeyLine, site, $"{entry.Key} cannot be evaluated here", isUnsupported: true);
            case "Fn::Equals" or "Fn::Not" or "Fn::And" or "Fn::Or" or "Fn::Condition":
                throw Fault(entry.KeyLine, site, $"{entry.Key} may stand only in Conditions; name a condition in Fn::If instead");
            default:
                throw Fault(entry.KeyLine, site, $"there is no function '{ScalarNode.Shorten(entry.Key)}'", isUnsupported: true);
        }
    }

    private TemplateNode GetAtt(TemplateNode argument, TemplateSite site)
    {
        switch (argument)
        {
            case ListNode { Items: [var resource, var attribute] }:
                return GetAttribute(Name(resource, site), Name(attribute, site), argument, site);
            case ScalarNode { Text: var text } when text.IndexOf('.', StringComparison.Ordinal) is > 0 and var dot
                && dot < text.Length - 1:
                return GetAttribute(text[..dot], text[(dot + 1)..], argument, site);
            default:
                throw Fault(argument, site, $"Fn::GetAtt takes a resource and an attribute, found {argument.Describe()}");
        }
    }

    /// <summary>Replaces <c>${Name}</c>, <c>${Resource.Attribute}</c> and <c>${!Literal}</c> in a text.</summary>
    private ScalarNode Sub(TemplateNode argument, TemplateSite site)
    {
        var (template, variables) = argument switch
        {
            ScalarNode { Kind: not ScalarKind.Null } text => (text, null),
            ListNode { Items: [ScalarNode { Kind: not ScalarKind.Null } text, MapNode map] } => (text, map),
            _ => throw Fault(argument, site, $"Fn::Sub takes a text, or [text, map of variables], found {argument.Describe()}"),
        };

        var result = new StringBuilder();
        var sensitivity = template.Sensitivity;
        var rest = template.Text;
        var position = 0;
        while (rest.IndexOf("${", position, StringComparison.Ordinal) is >= 0 and var open
            && rest.IndexOf('}', open) is >= 0 and var close)
        {
            result.Append(rest, position, open - position);
            var name = rest[(open + 2)..close];
            if (name.StartsWith('!')) result.Append("${").Append(name, 1, name.Length - 1).Append('}');
            else
            {
                var value = Variable(name);
                CheckLength(result.Length + value.Text.Length, argument, site);
                result.Append(value.Text);
                sensitivity = Max(sensitivity, value.Sensitivity);
            }

            position = close + 1;
        }

        result.Append(rest, position, rest.Length - position);
        return Produce(result.ToString(), template, site, sensitivity);

        ScalarNode Variable(string name)
        {
            TemplateNode? value;
            if (variables?.Find(name) is { } own) value = Reduce(own, site);
            else if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or ':'))
            {
                throw Fault(template, site,
                    $"'${{{ScalarNode.Shorten(name)}}}' is no variable; "
                    + $"write '${{!{ScalarNode.Shorten(name)}}}' to keep it as text");
            }
            else if (name.IndexOf('.', StringComparison.Ordinal) is >= 0 and var dot)
                value = GetAttribute(name[..dot], name[(dot + 1)..], template, site);
            else value = Ref(name, template, site);

            return value as ScalarNode is { Kind: not ScalarKind.Null } scalar
                ? scalar
                : throw Fault(
                    template,
                    site,
                    $"'${{{ScalarNode.Shorten(name)}}}' must be a text, found {value?.Describe() ?? "AWS::NoValue"}");
        }
    }

    private ScalarNode Join(MapNode call, IReadOnlyList<TemplateNode> arguments, TemplateSite site)
    {
        var delimiter = Text(arguments[0], site);
        var texts = Items(arguments[1], "Fn::Join", site).Select(item => Text(item, site)).ToList();
        CheckLength(texts.Sum(text => (long)text.Text.Length + delimiter.Text.Length), call, site);
        var sensitivity = texts.Aggregate(delimiter.Sensitivity, (most, text) => Max(most, text.Sensitivity));
        return new ScalarNode(
            string.Join(delimiter.Text, texts.Select(text => text.Text)), call.Line, ScalarKind.Text, sensitivity);
    }

    private TemplateNode? Select(IReadOnlyList<TemplateNode> arguments, TemplateSite site)
    {
        var index = Text(arguments[0], site);
        if (Reduce(arguments[1], site) is not ListNode { Items: var items })
            throw Fault(arguments[1], site, $"Fn::Select takes a list, found {arguments[1].Describe()}");
        if (!int.TryParse(index.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var position))
            throw Fault(arguments[0], site, $"Fn::Select takes an index, found {index.Describe()}");
        if (position >= items.Count)
            throw Fault(arguments[0], site, $"Fn::Select has no item {position} in a list of {items.Count}");
        return Reduce(items[position], site);
    }

    private ListNode Split(MapNode call, IReadOnlyList<TemplateNode> arguments, TemplateSite site)
    {
        var delimiter = Text(arguments[0], site);
        if (delimiter.Text.Length == 0) throw Fault(arguments[0], site, "Fn::Split needs a delimiter");
        var source = Text(arguments[1], site);
        CheckLength(source.Text.Length, arguments[1], site);
        var parts = source.Text.Split(delimiter.Text)
            .Select(part => new ScalarNode(part, call.Line, ScalarKind.Text, source.Sensitivity));
        return new ListNode([.. parts], call.Line);
    }

    private TemplateNode? If(IReadOnlyList<TemplateNode> arguments, TemplateSite site)
    {
        if (arguments[0] is not ScalarNode { Kind: not ScalarKind.Null } condition)
            throw Fault(arguments[0], site, $"Fn::If takes a condition's name, found {arguments[0].Describe()}");
        return Reduce(arguments[IsTrue(condition.Text, condition, site) ? 1 : 2], site);
    }

    private TemplateNode? FindInMap(IReadOnlyList<TemplateNode> arguments, TemplateSite site)
    {
        var names = arguments.Take(3).Select(argument => Text(argument, site)).ToList();
        TemplateNode? value = Stack.Mappings;
        foreach (var name in names) value = (value as MapNode)?.Find(name.Text);
        if (value is ScalarNode or ListNode) return value;
        if (arguments is [.., MapNode last] && arguments.Count == 4 && last.Find("DefaultValue") is { } fallback)
            return Reduce(fallback, site);
        throw Fault(
            arguments[0], site, $"Fn::FindInMap finds nothing under {string.Join(", ", names.Select(name => name.Describe()))}");
    }

    private ScalarNode ImportValue(TemplateNode argument, TemplateSite site)
    {
        var name = Name(argument, site);
        if (_set.Exports is not { } exports) throw Fault(argument, site, "Fn::ImportValue cannot be part of an export's name");
        if (exports.TryGetValue(name, out var export))
        {
            Enter($"export {ScalarNode.Shorten(name)}", argument, site);
            try
            {
                return export.Evaluate();
            }
            finally
            {
                _set.Budget.Leave();
            }
        }

        return _set.Options.Exports.TryGetValue(name, out var configured)
            ? new ScalarNode(configured, argument.Line)
            : throw Fault(
                argument,
                site,
                $"nothing exports '{ScalarNode.Shorten(name)}': load the template that does, or configure the export's value");
    }

    /// <summary>The items of a list-valued argument, each reduced, without those that are <c>AWS::NoValue</c>.</summary>
    private IReadOnlyList<TemplateNode> Items(TemplateNode argument, string function, TemplateSite site)
    {
        if (Reduce(argument, site) is not ListNode list)
            throw Fault(argument, site, $"{function} takes a list, found {argument.Describe()}");
        return [.. list.Items.Select(item => Reduce(item, site)).OfType<TemplateNode>()];
    }

    /// <summary>A text that names something, and so appears in messages.</summary>
    private string Name(TemplateNode argument, TemplateSite site) =>
        Text(argument, site) is { Sensitivity: Sensitivity.Open } name
        ? name.Text
        : throw Fault(argument, site, "a name must not come from a secret");

    private IReadOnlyList<TemplateNode> Arguments(MapEntry call, int min, int max, string shape, TemplateSite site) =>
        call.Value is ListNode list && list.Items.Count >= min && list.Items.Count <= max
            ? list.Items
            : throw Fault(call.Value, site, $"{call.Key} takes {shape}");

    private void WarnWithoutLanguageExtensions(MapEntry call, TemplateSite site)
    {
        if (!Stack.HasLanguageExtensions)
            _set.Diagnostics.Warn(Stack.File, call.KeyLine, site, $"on AWS {call.Key} needs 'Transform: {LanguageExtensions}'");
    }

    private static Sensitivity Max(Sensitivity a, Sensitivity b) => a > b ? a : b;
}
