namespace Fanfare.Gateway.Apis.Templates;

/// <summary>An <c>AWS::AppSync::Api</c> that exists, with what is known of it before any property is read.</summary>
/// <param name="Stack">The stack that declares it.</param>
/// <param name="Resource">The resource.</param>
/// <param name="Id">The API's id.</param>
/// <param name="Host">The host of both its planes.</param>
internal sealed record ApiIdentity(TemplateEvaluator Stack, TemplateResource Resource, string Id, string Host);

/// <summary>An output that other stacks may import.</summary>
internal sealed class TemplateExport(TemplateEvaluator stack, TemplateNode value, TemplateSite site)
{
    private ScalarNode? _value;

    /// <summary>Evaluates the value, once.</summary>
    /// <exception cref="TemplateFault">The value is wrong.</exception>
    public ScalarNode Evaluate() => _value ??= stack.Text(value, site);
}

/// <summary>The templates of one load and what they share: options, bounds, exports, the APIs' ids. Used by one thread.</summary>
internal sealed class TemplateSet
{
    private readonly Dictionary<(TemplateEvaluator Stack, string LogicalId), ApiIdentity> _apisByResource = [];
    private readonly List<TemplateEvaluator> _stacks = [];
    private readonly List<ApiIdentity> _apis = [];

    private TemplateSet(TemplateOptions options) => Options = options;

    /// <summary>The options.</summary>
    public TemplateOptions Options { get; }

    /// <summary>What was found so far.</summary>
    public TemplateDiagnostics Diagnostics { get; } = new();

    /// <summary>What the load may still spend.</summary>
    public EvaluationBudget Budget { get; } = new();

    /// <summary>The stacks in the order of the paths.</summary>
    public IReadOnlyList<TemplateEvaluator> Stacks => _stacks;

    /// <summary>The APIs that exist; the first is the default API.</summary>
    public IReadOnlyList<ApiIdentity> Apis => _apis;

    /// <summary>What the stacks export, by name; <see langword="null"/> while the names are being evaluated.</summary>
    public IReadOnlyDictionary<string, TemplateExport>? Exports { get; private set; }

    /// <summary>The key whose value <see cref="TemplateOptions.ApiKeyOverride"/> replaces, or <see langword="null"/>.</summary>
    public (TemplateEvaluator Stack, string LogicalId)? OverriddenKey { get; private set; }

    /// <summary>Ids made up for APIs that are no Event APIs; what belongs to them is ignored.</summary>
    public HashSet<string> ForeignApiIds { get; } = new(StringComparer.Ordinal);

    /// <summary>User pool ids that were made up, so that no token can have them as its issuer.</summary>
    public HashSet<string> MadeUpUserPoolIds { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads templates and finds out what they declare; properties and outputs are left for later.</summary>
    /// <exception cref="TemplateException">A file cannot be read, is no template, or exports what another one does.</exception>
    public static TemplateSet Open(IReadOnlyList<string> paths, TemplateOptions options)
    {
        var set = new TemplateSet(options);
        foreach (var source in TemplateSource.ReadAll(paths, options.StackName, set.Diagnostics))
            if (TemplateStack.TryCreate(source, set.Diagnostics) is { } stack) set._stacks.Add(new TemplateEvaluator(stack, set));

        // What a broken file would have declared must not be missed once more by every reference to it.
        set.Diagnostics.ThrowIfErrors();
        foreach (var stack in set._stacks) stack.Parameters.CheckConfigured(set.Diagnostics);
        set.FindApis();
        set.FindExports();
        set.FindOverriddenKey();
        return set;
    }

    /// <summary>Whether a resource exists; a condition that cannot be evaluated is noted and counts as false.</summary>
    public bool Exists(TemplateEvaluator stack, TemplateResource resource)
    {
        try
        {
            return stack.Exists(resource);
        }
        catch (TemplateFault fault)
        {
            Diagnostics.Error(fault.Error);
            return false;
        }
    }

    /// <summary>Finds what is known of an Event API before its properties are read.</summary>
    public ApiIdentity? FindApi(TemplateEvaluator stack, string logicalId) =>
        _apisByResource.GetValueOrDefault((stack, logicalId));

    /// <summary>Finds a configured value of a resource, <c>Stack.LogicalId</c> before <c>LogicalId</c>.</summary>
    public string? FindConfigured(TemplateEvaluator stack, string logicalId, string attribute)
    {
        foreach (var key in (ReadOnlySpan<string>)[$"{stack.Stack.Name}.{logicalId}", logicalId])
        {
            if (Options.ResourceValues.TryGetValue(key, out var values) && values.TryGetValue(attribute, out var value))
                return value;
        }

        return null;
    }

    private void FindApis()
    {
        foreach (var stack in _stacks)
        {
            foreach (var resource in stack.Stack.Resources)
            {
                if (resource.Type != ResourceTypes.Api || !Exists(stack, resource)) continue;
                var id = FindConfigured(stack, resource.LogicalId, "ApiId")
                    ?? StableName.Hash(StableName.LowerAlphanumeric, 26, stack.Stack.Name, resource.LogicalId, "ApiId");
                var api =
                    new ApiIdentity(stack, resource, id, _apis.Count == 0 ? Options.Authority : $"{id}.{Options.Authority}");
                _apis.Add(api);
                _apisByResource[(stack, resource.LogicalId)] = api;
            }
        }
    }

    private void FindExports()
    {
        var exports = new Dictionary<string, TemplateExport>(StringComparer.Ordinal);
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var output in _stacks.SelectMany(stack => TemplateOutputReader.ReadDeclarations(stack, Diagnostics)))
        {
            try
            {
                if (!output.Exists() || output.ExportName is not { } node) continue;
                var name = output.Stack.Text(node, output.Site.Child("Export.Name"));
                if (!exports.TryAdd(name.Text, new TemplateExport(output.Stack, output.Value, output.Site.Child("Value"))))
                {
                    throw output.Stack.Fault(node, output.Site.Child("Export.Name"),
                        $"{name.Describe()} is already exported by {owners[name.Text]}");
                }

                owners[name.Text] = $"{output.Stack.Stack.File}:{node.Line}";
            }
            catch (TemplateFault fault)
            {
                Diagnostics.Error(fault.Error);
            }
        }

        Exports = exports;
    }

    private void FindOverriddenKey()
    {
        if (string.IsNullOrWhiteSpace(Options.ApiKeyOverride) || _apis.Count == 0) return;
        foreach (var stack in _stacks)
        {
            foreach (var resource in stack.Stack.Resources)
            {
                if (resource.Type != ResourceTypes.ApiKey || !Exists(stack, resource)) continue;
                try
                {
                    if (stack.TextProperty(resource, "ApiId") is not { } text
                        || EventApiReader.GetApiId(text.Text) != _apis[0].Id) continue;
                    OverriddenKey = (stack, resource.LogicalId);
                    return;
                }
                catch (TemplateFault)
                {
                    // The reader of keys meets the same mistake and notes it.
                }
            }
        }
    }
}
