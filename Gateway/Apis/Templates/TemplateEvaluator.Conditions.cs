namespace Fanfare.Gateway.Apis.Templates;

/// <content>The section <c>Conditions</c>.</content>
internal sealed partial class TemplateEvaluator
{
    /// <summary>Whether a named condition holds.</summary>
    /// <exception cref="TemplateFault">There is no such condition, or it cannot be evaluated.</exception>
    public bool IsTrue(string name, TemplateNode at, TemplateSite site)
    {
        if (_conditions.TryGetValue(name, out var known)) return known;
        if (!Stack.Conditions.TryGet(name, out var entry))
            throw Fault(at, site, $"there is no condition '{ScalarNode.Shorten(name)}'");
        Enter($"condition {name}", at, site);
        try
        {
            return _conditions[name] = IsTrue(entry.Value, new TemplateSite(null, $"Conditions.{ScalarNode.Shorten(name)}"));
        }
        finally
        {
            _set.Budget.Leave();
        }
    }

    private bool IsTrue(TemplateNode node, TemplateSite site)
    {
        if (node is not MapNode { Entries: [var call] })
        {
            throw Fault(node, site,
                $"a condition is Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition, found {node.Describe()}");
        }

        try
        {
            if (_set.Budget.BeginCall() is { } refusal) throw Fault(node, site, refusal);
            switch (call.Key)
            {
                case "Condition" or "Fn::Condition":
                    return call.Value is ScalarNode { Kind: not ScalarKind.Null } name
                        ? IsTrue(name.Text, name, site)
                        : throw Fault(call.Value, site, $"Condition takes a name, found {call.Value.Describe()}");
                case "Fn::Not":
                    return !IsTrue(Arguments(call, 1, 1, "[condition]", site)[0], site);
                case "Fn::And":
                    return Arguments(call, 2, 10, "2 to 10 conditions", site).All(item => IsTrue(item, site));
                case "Fn::Or":
                    return Arguments(call, 2, 10, "2 to 10 conditions", site).Any(item => IsTrue(item, site));
                case "Fn::Equals":
                    var sides = Arguments(call, 2, 2, "[value, value]", site);
                    return Comparable(sides[0], site) == Comparable(sides[1], site);
                default:
                    throw Fault(call.KeyLine, site,
                        $"a condition is Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition, found '{ScalarNode.Shorten(call.Key)}'");
            }
        }
        finally
        {
            _set.Budget.EndCall();
        }
    }

    // Scalars compare as texts, as "true" and true do on AWS; lists and maps by all that is in them.
    private string? Comparable(TemplateNode node, TemplateSite site)
    {
        var value = Evaluate(node, site);
        if (value is null or ScalarNode) return (value as ScalarNode)?.Text;
        CheckLength(value.TextLength, node, site);
        return value.ToJson();
    }
}
