namespace Fanfare.Gateway.Apis.Templates;

/// <summary>A resource as the template declares it; nothing in it is evaluated.</summary>
/// <param name="LogicalId">The name inside the template.</param>
/// <param name="Type">The type, such as <c>AWS::AppSync::Api</c>.</param>
/// <param name="Line">The line of the logical id.</param>
/// <param name="Condition">The condition it exists under, or <see langword="null"/>.</param>
/// <param name="Properties">The properties, or <see langword="null"/> where there are none.</param>
internal sealed record TemplateResource(string LogicalId, string Type, int Line, ScalarNode? Condition, MapEntry? Properties)
{
    /// <summary>The place of the resource.</summary>
    public TemplateSite Site => new(LogicalId, null);
}

/// <summary>A template split into its sections (control-plane facts: "Sections"). Immutable.</summary>
internal sealed class TemplateStack
{
    private static readonly MapNode s_empty = new([], 1);

    private TemplateStack(TemplateSource source, MapNode parameters, MapNode mappings, MapNode conditions, MapNode outputs,
        IReadOnlyDictionary<string, TemplateResource> byId, IReadOnlyList<TemplateResource> resources, bool hasLanguageExtensions)
    {
        File = source.File;
        Name = source.StackName;
        Parameters = parameters;
        Mappings = mappings;
        Conditions = conditions;
        Outputs = outputs;
        ResourcesById = byId;
        Resources = resources;
        HasLanguageExtensions = hasLanguageExtensions;
    }

    /// <summary>The template's file.</summary>
    public string File { get; }

    /// <summary>The stack's name.</summary>
    public string Name { get; }

    /// <summary>The section <c>Parameters</c>.</summary>
    public MapNode Parameters { get; }

    /// <summary>The section <c>Mappings</c>.</summary>
    public MapNode Mappings { get; }

    /// <summary>The section <c>Conditions</c>.</summary>
    public MapNode Conditions { get; }

    /// <summary>The section <c>Outputs</c>.</summary>
    public MapNode Outputs { get; }

    /// <summary>The resources by logical id.</summary>
    public IReadOnlyDictionary<string, TemplateResource> ResourcesById { get; }

    /// <summary>The resources in the file's order.</summary>
    public IReadOnlyList<TemplateResource> Resources { get; }

    /// <summary>Whether the transform that some functions need is declared.</summary>
    public bool HasLanguageExtensions { get; }

    /// <summary>Splits a template, or notes what is wrong and returns <see langword="null"/>.</summary>
    public static TemplateStack? TryCreate(TemplateSource source, TemplateDiagnostics diagnostics)
    {
        var root = source.Root;
        foreach (var entry in root.Entries)
        {
            if (entry.Key is not (
                "AWSTemplateFormatVersion" or "Description" or "Metadata" or "Parameters" or "Rules" or "Mappings"
                or "Conditions" or "Transform" or "Resources" or "Outputs" or "Hooks" or "Globals"))
                diagnostics.Warn(
                    source.File, entry.KeyLine, new TemplateSite(null, ScalarNode.Shorten(entry.Key)),
                    "unknown section, ignored");
        }

        if (Section("Resources") is not { } resourceSection) return null;
        if (!root.TryGet("Resources", out _))
        {
            diagnostics.Error(source.File, null, default, "has no section Resources; is this a CloudFormation template?");
            return null;
        }

        if (Section("Parameters") is not { } parameters || Section("Mappings") is not { } mappings
            || Section("Conditions") is not { } conditions || Section("Outputs") is not { } outputs) return null;

        var resources = new List<TemplateResource>();
        foreach (var entry in resourceSection.Entries)
            if (TryCreateResource(entry, source.File, diagnostics) is { } resource) resources.Add(resource);
        var byId = resources.ToDictionary(resource => resource.LogicalId, StringComparer.Ordinal);
        return new TemplateStack(
            source, parameters, mappings, conditions, outputs, byId, resources, ReadTransforms(source, diagnostics));

        MapNode? Section(string name)
        {
            switch (root.Find(name))
            {
                case null or ScalarNode { Kind: ScalarKind.Null }:
                    return s_empty;
                case MapNode map:
                    return map;
                case var other:
                    diagnostics.Error(
                        source.File, other.Line, new TemplateSite(null, name), $"must be a map, found {other.Describe()}");
                    return null;
            }
        }
    }

    private static TemplateResource? TryCreateResource(MapEntry entry, string file, TemplateDiagnostics diagnostics)
    {
        var site = new TemplateSite(ScalarNode.Shorten(entry.Key), null);
        if (entry.Key.StartsWith("Fn::", StringComparison.Ordinal))
        {
            diagnostics.Warn(file, entry.KeyLine, site, "functions that make resources are not expanded; ignored");
            return null;
        }

        if (entry.Value is not MapNode map)
        {
            diagnostics.Error(file, entry.KeyLine, site, $"must be a map, found {entry.Value.Describe()}");
            return null;
        }

        if (map.Find("Type") is not ScalarNode { Kind: not ScalarKind.Null } type)
        {
            diagnostics.Error(file, entry.KeyLine, site.Child("Type"), "is required: a text such as AWS::AppSync::Api");
            return null;
        }

        var condition = map.Find("Condition");
        if (condition is not (null or ScalarNode { Kind: not ScalarKind.Null }))
        {
            diagnostics.Error(
                file, condition.Line, site.Child("Condition"), $"must be a condition's name, found {condition.Describe()}");
            return null;
        }

        MapEntry? properties = map.TryGet("Properties", out var found) && found.Value is not ScalarNode { Kind: ScalarKind.Null }
            ? found
            : null;
        return new TemplateResource(entry.Key, type.Text, entry.KeyLine, condition as ScalarNode, properties);
    }

    private static bool ReadTransforms(TemplateSource source, TemplateDiagnostics diagnostics)
    {
        if (source.Root.Find("Transform") is not { } section) return false;
        var hasLanguageExtensions = false;
        foreach (var transform in section is ListNode list ? list.Items : [section])
        {
            if (transform is ScalarNode { Text: "AWS::LanguageExtensions" }) hasLanguageExtensions = true;
            else
            {
                diagnostics.Warn(source.File, transform.Line, new TemplateSite(null, "Transform"),
                    $"{transform.Describe()} is not expanded; the resources it would make do not exist here");
            }
        }

        return hasLanguageExtensions;
    }
}
