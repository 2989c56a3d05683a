namespace Fanfare.Gateway.Apis.Templates;

/// <summary>
/// Finds resources that need each other. Made-up values let most such templates load here, but CloudFormation refuses them, and
/// the author should hear it before the deployment does.
/// </summary>
internal static class ReferenceCycles
{
    /// <summary>Notes one mistake per stack that has a cycle among the references met while evaluating.</summary>
    public static void Report(TemplateSet set)
    {
        foreach (var stack in set.Stacks)
        {
            if (FindCycle(stack.References) is not { } cycle) continue;
            set.Diagnostics.Error(stack.Stack.File, stack.References[cycle[0]][cycle[1]], new TemplateSite(cycle[0], null),
                $"circular reference: {string.Join(" -> ", cycle.Select(ScalarNode.Shorten))}");
        }
    }

    private static List<string>? FindCycle(Dictionary<string, Dictionary<string, int>> references)
    {
        var finished = new HashSet<string>(StringComparer.Ordinal);
        foreach (var start in references.Keys)
        {
            // A path of our own rather than recursion: a chain may be as long as a template has resources.
            var path = new List<string>();
            var pending = new Stack<(string Name, int Depth)>();
            pending.Push((start, 0));
            while (pending.TryPop(out var next))
            {
                foreach (var left in path.Skip(next.Depth)) finished.Add(left);
                path.RemoveRange(next.Depth, path.Count - next.Depth);
                if (path.IndexOf(next.Name) is >= 0 and var index) return [.. path.Skip(index), next.Name];
                if (finished.Contains(next.Name)) continue;
                path.Add(next.Name);
                if (!references.TryGetValue(next.Name, out var targets)) continue;
                foreach (var target in targets.Keys) pending.Push((target, path.Count));
            }

            finished.UnionWith(path);
        }

        return null;
    }
}
