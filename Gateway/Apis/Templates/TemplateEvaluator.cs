namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Evaluates one stack's functions on demand; nothing that nobody asks for is ever looked at.</summary>
/// <remarks>
/// A mistake ends the evaluation with a <see cref="TemplateFault"/> that says where it is, which may be far from where the
/// value was needed: a condition, another resource's name, another template's output. Used by one thread.
/// </remarks>
internal sealed partial class TemplateEvaluator
{
    private readonly TemplateSet _set;
    private readonly ResourceAttributes _attributes;
    private readonly Dictionary<string, bool> _conditions = new(StringComparer.Ordinal);
    private readonly Dictionary<(string LogicalId, string Attribute), TemplateNode> _attributeValues = [];

    /// <summary>Creates the evaluator of a stack that belongs to a set.</summary>
    public TemplateEvaluator(TemplateStack stack, TemplateSet set)
    {
        Stack = stack;
        _set = set;
        Parameters = new TemplateParameters(stack, set.Options.Parameters);
        _attributes = new ResourceAttributes(this, set);
    }

    /// <summary>The stack.</summary>
    public TemplateStack Stack { get; }

    /// <summary>The stack's parameters.</summary>
    public TemplateParameters Parameters { get; }

    /// <summary>What each resource was seen to refer to, with the line of the first reference.</summary>
    public Dictionary<string, Dictionary<string, int>> References { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether the resource's condition lets it exist.</summary>
    /// <exception cref="TemplateFault">The condition cannot be evaluated.</exception>
    public bool Exists(TemplateResource resource) =>
        resource.Condition is not { } condition || IsTrue(condition.Text, condition, resource.Site.Child("Condition"));

    /// <summary>Evaluates a node until it is no function: its items or entries may still be.</summary>
    /// <returns>The value, or <see langword="null"/> for <c>AWS::NoValue</c>.</returns>
    /// <exception cref="TemplateFault">A function that is needed is wrong.</exception>
    public TemplateNode? Reduce(TemplateNode node, TemplateSite site)
    {
        if (node is not MapNode map || !TryGetCall(map, site, out var call)) return node;
        try
        {
            if (_set.Budget.BeginCall() is { } refusal) throw Fault(map, site, refusal);
            return Call(map, call, site);
        }
        finally
        {
            _set.Budget.EndCall();
        }
    }

    /// <summary>Evaluates a node and all below it, without the items and entries that are <c>AWS::NoValue</c>.</summary>
    /// <exception cref="TemplateFault">A function is wrong.</exception>
    public TemplateNode? Evaluate(TemplateNode node, TemplateSite site)
    {
        switch (Reduce(node, site))
        {
            case ListNode list:
                var items = list.Items.Select(item => Evaluate(item, site)).OfType<TemplateNode>();
                return new ListNode([.. items], list.Line);
            case MapNode map:
                var entries = map.Entries.Select(entry => (entry, value: Evaluate(entry.Value, site)))
                    .Where(pair => pair.value is not null)
                    .Select(pair => pair.entry with { Value = pair.value! });
                return new MapNode([.. entries], map.Line);
            case var other:
                return other;
        }
    }

    /// <summary>Evaluates a node that must be a text.</summary>
    /// <exception cref="TemplateFault">It is none.</exception>
    public ScalarNode Text(TemplateNode node, TemplateSite site) => Reduce(node, site) switch
    {
        ScalarNode { Kind: not ScalarKind.Null } scalar => scalar,
        null => throw Fault(node, site, "a text is needed, found AWS::NoValue"),
        var other => throw Fault(node, site, $"a text is needed, found {other.Describe()}"),
    };

    /// <summary>Evaluates <c>Ref</c>: a parameter, a resource or a pseudo parameter.</summary>
    /// <exception cref="TemplateFault">There is no such thing.</exception>
    public TemplateNode? Ref(string name, TemplateNode at, TemplateSite site)
    {
        if (name.StartsWith("AWS::", StringComparison.Ordinal)) return PseudoParameter(name, at, site);
        if (Parameters.IsDeclared(name)) return Parameters.Get(name);
        return GetAttribute(name, "Ref", at, site);
    }

    /// <summary>Evaluates <c>Fn::GetAtt</c>, and <c>Ref</c> of a resource as the attribute <c>Ref</c>.</summary>
    /// <exception cref="TemplateFault">The resource does not exist or has no such attribute.</exception>
    public TemplateNode GetAttribute(string logicalId, string attribute, TemplateNode at, TemplateSite site)
    {
        if (!Stack.ResourcesById.TryGetValue(logicalId, out var resource))
        {
            var kinds = attribute == "Ref" ? "no parameter, resource or pseudo parameter" : "no resource";
            throw Fault(at, site, $"there is {kinds} '{ScalarNode.Shorten(logicalId)}'");
        }

        if (site.Resource is { } from)
        {
            if (!References.TryGetValue(from, out var references)) References[from] = references = new(StringComparer.Ordinal);
            references.TryAdd(logicalId, at.Line);
        }

        if (_attributeValues.TryGetValue((logicalId, attribute), out var known)) return known;
        Enter($"{Stack.Name}.{logicalId}", at, site);
        try
        {
            if (!Exists(resource))
            {
                throw Fault(at, site,
                    $"resource '{logicalId}' does not exist, because its condition '{resource.Condition!.Text}' is false");
            }

            return _attributeValues[(logicalId, attribute)] = _attributes.Get(resource, attribute, at, site);
        }
        finally
        {
            _set.Budget.Leave();
        }
    }

    /// <summary>Evaluates one property of a resource that must be a text.</summary>
    /// <returns>The text, or <see langword="null"/> where the property is absent.</returns>
    /// <exception cref="TemplateFault">The property is no text.</exception>
    public ScalarNode? TextProperty(TemplateResource resource, string name)
    {
        if (resource.Properties?.Value is not MapNode properties || properties.Find(name) is not { } value) return null;
        var site = resource.Site.Child("Properties").Child(name);
        return Reduce(value, site) switch
        {
            null => null,
            ScalarNode { Kind: not ScalarKind.Null } scalar => scalar,
            var other => throw Fault(value, site, $"a text is needed, found {other.Describe()}"),
        };
    }

    /// <summary>The value of an API key; a secret.</summary>
    public string GetKeyValue(TemplateResource key) => _attributes.GetKey(key).Text;

    /// <summary>Makes the fault for a mistake at a node.</summary>
    public TemplateFault Fault(TemplateNode at, TemplateSite site, string message) => Fault(at.Line, site, message);

    /// <summary>Makes the fault for a mistake on a line.</summary>
    public TemplateFault Fault(int line, TemplateSite site, string message, bool isUnsupported = false) =>
        new(new TemplateError(Stack.File, line, site.Resource, site.Property, message), isUnsupported);

    /// <summary>Makes a text, within the bounds of the load.</summary>
    public ScalarNode Produce(string text, TemplateNode at, TemplateSite site, Sensitivity sensitivity = Sensitivity.Open)
    {
        CheckLength(text.Length, at, site);
        return new ScalarNode(text, at.Line, ScalarKind.Text, sensitivity);
    }

    private void CheckLength(long length, TemplateNode at, TemplateSite site)
    {
        if (_set.Budget.Produce(length) is { } refusal) throw Fault(at, site, refusal);
    }

    private void Enter(string name, TemplateNode at, TemplateSite site)
    {
        if (_set.Budget.Enter(name) is { } cycle) throw Fault(at, site, $"circular reference: {ScalarNode.Shorten(cycle)}");
    }

    private TemplateNode? PseudoParameter(string name, TemplateNode at, TemplateSite site)
    {
        var options = _set.Options;
        return name switch
        {
            "AWS::NoValue" => null,
            "AWS::NotificationARNs" => new ListNode([], at.Line),
            "AWS::Region" => new ScalarNode(options.Region, at.Line),
            "AWS::AccountId" => new ScalarNode(options.AccountId, at.Line),
            "AWS::Partition" => new ScalarNode(options.Partition, at.Line),
            "AWS::URLSuffix" => new ScalarNode(options.UrlSuffix, at.Line),
            "AWS::StackName" => new ScalarNode(Stack.Name, at.Line),
            "AWS::StackId" => new ScalarNode(
                $"arn:{options.Partition}:cloudformation:{options.Region}:{options.AccountId}:stack/{Stack.Name}/"
                + StableName.Hash(StableName.LowerAlphanumeric, 26, Stack.Name, "AWS::StackId"), at.Line),
            _ => throw Fault(at, site, $"there is no pseudo parameter '{ScalarNode.Shorten(name)}'"),
        };
    }

    /// <summary>A function is a map with one entry, named <c>Ref</c> or <c>Fn::…</c>.</summary>
    private bool TryGetCall(MapNode map, TemplateSite site, out MapEntry call)
    {
        call = default;
        foreach (var entry in map.Entries)
        {
            if (!entry.Key.StartsWith("Fn::", StringComparison.Ordinal)
                && !(entry.Key == "Ref" && map.Entries.Count == 1)) continue;
            if (map.Entries.Count > 1)
                throw Fault(entry.KeyLine, site, $"{ScalarNode.Shorten(entry.Key)} must stand alone in its map");
            call = entry;
            return true;
        }

        return false;
    }
}
