using System.Globalization;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>A value with its place, so that what is wrong with it can be said where it stands.</summary>
/// <param name="Node">The value; no function itself, though its items or entries may be.</param>
/// <param name="Site">The place.</param>
/// <param name="Line">The line of the key or the item.</param>
internal readonly record struct PropertyValue(TemplateNode Node, TemplateSite Site, int Line);

/// <summary>
/// Reads one map of properties by the types its owner wants. Whatever is wrong is noted with its place, and reading goes on: a
/// property that is wrong reads as absent, and the load fails in the end.
/// </summary>
internal sealed class PropertyReader
{
    private readonly TemplateEvaluator _stack;
    private readonly TemplateDiagnostics _diagnostics;
    private readonly MapNode? _map;

    /// <summary>Creates a reader, and warns of the entries that are not among the known names.</summary>
    public PropertyReader(
        TemplateEvaluator stack, TemplateDiagnostics diagnostics, MapNode? map, TemplateSite site, int line,
        params ReadOnlySpan<string> known)
    {
        _stack = stack;
        _diagnostics = diagnostics;
        _map = map;
        Site = site;
        Line = line;
        if (map is null) return;
        foreach (var entry in map.Entries)
        {
            if (!known.Contains(entry.Key))
                diagnostics.Warn(File, entry.KeyLine, site.Child(ScalarNode.Shorten(entry.Key)), "unknown property, ignored");
        }
    }

    /// <summary>The place of the map.</summary>
    public TemplateSite Site { get; }

    /// <summary>The line of the map's own key.</summary>
    public int Line { get; }

    private string File => _stack.Stack.File;

    /// <summary>Starts to read a resource's properties.</summary>
    public static PropertyReader ForResource(
        TemplateEvaluator stack, TemplateDiagnostics diagnostics, TemplateResource resource, params ReadOnlySpan<string> known)
    {
        var site = new TemplateSite(resource.LogicalId, "Properties");
        var line = resource.Properties?.KeyLine ?? resource.Line;
        MapNode? map = null;
        try
        {
            if (resource.Properties is { Value: var value })
            {
                map = stack.Reduce(value, site) as MapNode;
                if (map is null) diagnostics.Error(stack.Stack.File, line, site, $"must be a map, found {value.Describe()}");
            }
        }
        catch (TemplateFault fault)
        {
            diagnostics.Error(fault.Error);
        }

        return new PropertyReader(stack, diagnostics, map, site, line, known);
    }

    /// <summary>Notes a mistake in a property.</summary>
    public void Error(string name, string message) => _diagnostics.Error(File, LineOf(name), Site.Child(name), message);

    /// <summary>Warns of a property.</summary>
    public void Warn(string name, string message) => _diagnostics.Warn(File, LineOf(name), Site.Child(name), message);

    /// <summary>Notes a mistake in a value.</summary>
    public void Error(PropertyValue value, string message) => _diagnostics.Error(File, value.Line, value.Site, message);

    /// <summary>Warns of a value.</summary>
    public void Warn(PropertyValue value, string message) => _diagnostics.Warn(File, value.Line, value.Site, message);

    /// <summary>Reads a property of any type; <see langword="null"/> where it is absent or wrong.</summary>
    public PropertyValue? Value(string name, bool isRequired = false)
    {
        if (_map is not null && _map.TryGet(name, out var entry))
        {
            try
            {
                if (_stack.Reduce(entry.Value, Site.Child(name)) is { } node)
                {
                    if (node is not ScalarNode { Kind: ScalarKind.Null })
                        return new PropertyValue(node, Site.Child(name), entry.KeyLine);
                    Error(name, "is null; give a value, or leave the property out");
                    return null;
                }
            }
            catch (TemplateFault fault)
            {
                _diagnostics.Error(fault.Error);
                return null;
            }
        }

        if (isRequired) Error(name, "is required");
        return null;
    }

    /// <summary>Reads a text; <see langword="null"/> where it is absent or wrong.</summary>
    public ScalarNode? Text(string name, bool isRequired = false)
    {
        if (Value(name, isRequired) is not { } value) return null;
        if (value.Node is ScalarNode scalar) return scalar;
        Error(name, $"must be a text, found {value.Node.Describe()}");
        return null;
    }

    /// <summary>Reads a text of bounded length that a pattern describes.</summary>
    public string? Text(
        string name, int lengthMin, int lengthMax, Regex? pattern = null, string? allowed = null, bool isRequired = false)
    {
        if (Text(name, isRequired) is not { } scalar) return null;
        if (scalar.Text.Length < lengthMin || scalar.Text.Length > lengthMax)
        {
            Error(name, $"must have {lengthMin:N0} to {lengthMax:N0} characters, found {scalar.Text.Length:N0}");
            return null;
        }

        if (pattern is null || pattern.IsMatch(scalar.Text)) return scalar.Text;
        Error(name, $"{scalar.Describe()} may hold only {allowed}");
        return null;
    }

    /// <summary>Reads one of several words.</summary>
    public string? Word(string name, ReadOnlySpan<string> words, bool isRequired = false)
    {
        if (Text(name, isRequired) is not { } scalar) return null;
        if (words.Contains(scalar.Text)) return scalar.Text;
        Error(name, $"must be one of {string.Join(", ", words)}, found {scalar.Describe()}");
        return null;
    }

    /// <summary>Reads a whole number.</summary>
    public long? Integer(string name, long min, long max)
    {
        if (Text(name) is not { } scalar) return null;
        if (decimal.TryParse(scalar.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            && decimal.IsInteger(number) && number >= min && number <= max) return (long)number;
        var range = max == long.MaxValue ? $"{min:N0} or more" : $"{min:N0} to {max:N0}";
        Error(name, $"must be a whole number, {range}, found {scalar.Describe()}");
        return null;
    }

    /// <summary>Reads a regular expression that must compile.</summary>
    public string? Pattern(string name)
    {
        if (Text(name) is not { } scalar) return null;
        try
        {
            _ = new Regex(scalar.Text, RegexOptions.CultureInvariant);
            return scalar.Text;
        }
        catch (ArgumentException exception)
        {
            // The framework's message repeats the pattern, which may be a secret.
            var reason = scalar.Sensitivity == Sensitivity.Open ? $": {ScalarNode.Shorten(exception.Message)}" : "";
            Error(name, $"{scalar.Describe()} is not a regular expression{reason}");
            return null;
        }
    }

    /// <summary>
    /// Reads a list; items that are <c>AWS::NoValue</c> are left out, items that are wrong are noted and left out.
    /// </summary>
    /// <returns>The items, or <see langword="null"/> where the property is absent or no list.</returns>
    public IReadOnlyList<PropertyValue>? List(string name, bool isRequired = false)
    {
        if (Value(name, isRequired) is not { } value) return null;
        if (value.Node is not ListNode list)
        {
            Error(name, $"must be a list, found {value.Node.Describe()}");
            return null;
        }

        var items = new List<PropertyValue>();
        for (var i = 0; i < list.Items.Count; i++)
        {
            var site = value.Site.Item(i);
            try
            {
                if (_stack.Reduce(list.Items[i], site) is { } item) items.Add(new PropertyValue(item, site, list.Items[i].Line));
            }
            catch (TemplateFault fault)
            {
                _diagnostics.Error(fault.Error);
            }
        }

        return items;
    }

    /// <summary>Reads a map; <see langword="null"/> where it is absent or wrong.</summary>
    public PropertyReader? Object(string name, bool isRequired, params ReadOnlySpan<string> known) =>
        Value(name, isRequired) is { } value ? Object(value, known) : null;

    /// <summary>Reads a value that must be a map.</summary>
    public PropertyReader? Object(PropertyValue value, params ReadOnlySpan<string> known)
    {
        if (value.Node is MapNode map) return new PropertyReader(_stack, _diagnostics, map, value.Site, value.Line, known);
        _diagnostics.Error(File, value.Line, value.Site, $"must be a map, found {value.Node.Describe()}");
        return null;
    }

    private int LineOf(string name) => _map is not null && _map.TryGet(name, out var entry) ? entry.KeyLine : Line;
}
