namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Turns CloudFormation templates and CDK assemblies into APIs.</summary>
/// <remarks>
/// <para>
/// In order: read every file into one tree of texts, lists and maps (<see cref="TemplateSource"/>); split each into sections
/// (<see cref="TemplateStack"/>); find out which APIs exist and what is exported (<see cref="TemplateSet"/>); read the
/// resources of Event APIs, evaluating just the functions met on the way (<see cref="EventApiReader"/>,
/// <see cref="TemplateEvaluator"/>); evaluate the outputs.
/// </para>
/// <para>
/// Worked example: a namespace's <c>ApiId: !GetAtt Api.ApiId</c> parses to <c>{Fn::GetAtt: "Api.ApiId"}</c>, evaluates to the
/// id made up for <c>Api</c>, and finds the API of that id. Had <c>Api</c> been misspelt, the evaluation would end in a fault
/// that names file, line and property; the namespace's reader notes it and reads on, and the load ends with all mistakes at
/// once.
/// </para>
/// </remarks>
internal static class TemplateLoader
{
    /// <summary>Types that one note lists; CDK's largest stacks have about as many.</summary>
    private const int NotedTypeCountMax = 40;

    /// <summary>Loads templates, YAML or JSON, and folders that <c>cdk synth</c> made.</summary>
    /// <exception cref="TemplateException">A file cannot be read, or a template is wrong; holds every mistake found.</exception>
    public static TemplateResult Load(IReadOnlyList<string> paths, TemplateOptions options)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(options.Authority);
        ArgumentOutOfRangeException.ThrowIfZero(options.KeySecret.Length);

        var set = TemplateSet.Open(paths, options);
        var (apis, keys) = EventApiReader.ReadAll(set);
        var outputs = TemplateOutputReader.ReadAll(set);

        // Another mistake may be the same cycle, met while evaluating.
        if (!set.Diagnostics.HasErrors) ReferenceCycles.Report(set);
        set.Diagnostics.ThrowIfErrors();

        WarnOfUnusedOptions(set);
        NoteIgnoredTypes(set);
        foreach (var stack in set.Stacks.Where(stack => !HasEventApi(stack.Stack)))
            set.Diagnostics.Warn(stack.Stack.File, null, default, "has nothing of an Event API in it");
        return new TemplateResult(apis, keys, outputs, set.Diagnostics.Warnings, set.Diagnostics.Notes)
        {
            Files = set.Diagnostics.Files,
        };
    }

    private static void WarnOfUnusedOptions(TemplateSet set)
    {
        if (set.Stacks.Count == 0) return;
        foreach (var name in set.Options.Parameters.Keys.Where(
            name => !set.Stacks.Any(stack => stack.Parameters.IsDeclared(name))))
            set.Diagnostics.Warn("configuration", null, default, $"no template has the parameter '{ScalarNode.Shorten(name)}'");
        foreach (var name in set.Options.ResourceValues.Keys.Where(
            name => !set.Stacks.Any(stack => IsResource(stack.Stack, name))))
            set.Diagnostics.Warn("configuration", null, default, $"no template has the resource '{ScalarNode.Shorten(name)}'");
    }

    private static bool HasEventApi(TemplateStack stack) =>
        stack.Resources.Any(resource => ResourceTypes.IsEventApi(resource.Type));

    private static bool IsResource(TemplateStack stack, string name) =>
        stack.ResourcesById.ContainsKey(name)
        || (name.StartsWith(stack.Name + ".", StringComparison.Ordinal)
            && stack.ResourcesById.ContainsKey(name[(stack.Name.Length + 1)..]));

    private static void NoteIgnoredTypes(TemplateSet set)
    {
        foreach (var stack in set.Stacks)
        {
            var types = stack.Stack.Resources.Select(resource => resource.Type)
                .Where(type => !ResourceTypes.IsEventApi(type))
                .Select(ScalarNode.Shorten).Distinct().Order(StringComparer.Ordinal).ToList();
            if (types.Count == 0) continue;
            var more = types.Count > NotedTypeCountMax ? $" and {types.Count - NotedTypeCountMax} more" : "";
            set.Diagnostics.Note(
                $"{stack.Stack.File}: ignored resources of the types {string.Join(", ", types.Take(NotedTypeCountMax))}{more}");
        }
    }
}
