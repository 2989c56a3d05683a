namespace Fanfare.Gateway.Apis.Templates;

/// <summary>An output as the template declares it; nothing in it is evaluated.</summary>
/// <param name="Stack">The stack.</param>
/// <param name="Name">The output's logical id.</param>
/// <param name="Value">The value.</param>
/// <param name="Condition">The condition it exists under, or <see langword="null"/>.</param>
/// <param name="ExportName">The name it is exported under, or <see langword="null"/>.</param>
internal sealed record OutputDeclaration(
    TemplateEvaluator Stack, string Name, TemplateNode Value, ScalarNode? Condition, TemplateNode? ExportName)
{
    /// <summary>The place of the output.</summary>
    public TemplateSite Site => new(null, $"Outputs.{ScalarNode.Shorten(Name)}");

    /// <summary>Whether the output's condition lets it exist.</summary>
    /// <exception cref="TemplateFault">The condition cannot be evaluated.</exception>
    public bool Exists() => Condition is null || Stack.IsTrue(Condition.Text, Condition, Site.Child("Condition"));
}

/// <summary>Reads the section <c>Outputs</c>.</summary>
internal static class TemplateOutputReader
{
    /// <summary>Reads what a stack declares, and notes what is no output.</summary>
    public static IReadOnlyList<OutputDeclaration> ReadDeclarations(TemplateEvaluator stack, TemplateDiagnostics diagnostics)
    {
        var outputs = new List<OutputDeclaration>();
        foreach (var entry in stack.Stack.Outputs.Entries)
        {
            var site = new TemplateSite(null, $"Outputs.{ScalarNode.Shorten(entry.Key)}");
            if (entry.Value is not MapNode map)
                diagnostics.Error(stack.Stack.File, entry.KeyLine, site, $"must be a map, found {entry.Value.Describe()}");
            else if (map.Find("Value") is not { } value)
                diagnostics.Error(stack.Stack.File, entry.KeyLine, site.Child("Value"), "is required");
            else if (map.Find("Condition") is var condition and not (null or ScalarNode { Kind: not ScalarKind.Null }))
                diagnostics.Error(
                    stack.Stack.File, condition.Line, site.Child("Condition"), $"must be a name, found {condition.Describe()}");
            else
            {
                outputs.Add(new OutputDeclaration(
                    stack, entry.Key, value, map.Find("Condition") as ScalarNode, (map.Find("Export") as MapNode)?.Find("Name")));
            }
        }

        return outputs;
    }

    /// <summary>Evaluates the outputs of all stacks.</summary>
    public static IReadOnlyList<TemplateOutput> ReadAll(TemplateSet set)
    {
        var outputs = new List<TemplateOutput>();
        foreach (var output in set.Stacks.SelectMany(stack => ReadDeclarations(stack, set.Diagnostics)))
        {
            try
            {
                if (!output.Exists()) continue;
                var value = output.Stack.Text(output.Value, output.Site.Child("Value"));
                var export = output.ExportName is { } name ? output.Stack.Text(name, output.Site.Child("Export.Name")) : null;
                outputs.Add(
                    new TemplateOutput(output.Stack.Stack.Name, output.Name, Show(value), export is null ? null : Show(export))
                {
                    IsSecret = value.Sensitivity == Sensitivity.Key,
                });
            }
            catch (TemplateFault fault) when (fault.IsUnsupported)
            {
                // Outputs are for people; a template that is right on AWS must not fail to start for the lack of one.
                var site = new TemplateSite(fault.Error.Resource, fault.Error.Property);
                set.Diagnostics.Warn(fault.Error.File, fault.Error.Line, site, $"{fault.Error.Message}; the output is left out");
            }
            catch (TemplateFault fault)
            {
                set.Diagnostics.Error(fault.Error);
            }
        }

        return outputs;

        static string Show(ScalarNode value) => value.Sensitivity == Sensitivity.NoEcho ? ScalarNode.Mask : value.Text;
    }
}
