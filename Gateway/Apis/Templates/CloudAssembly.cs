namespace Fanfare.Gateway.Apis.Templates;

/// <summary>What <c>cdk synth</c> leaves behind: a folder with a manifest, a template per stack, and assets.</summary>
internal static class CloudAssembly
{
    private const string ManifestName = "manifest.json";

    /// <summary>Stages nest assemblies in assemblies; nobody nests more than two or three.</summary>
    private const int NestingMax = 8;

    /// <summary>Reads every stack of the assembly in a folder; a stack comes after those it depends on.</summary>
    public static void Read(string folder, TemplateDiagnostics diagnostics, List<TemplateSource> sources) =>
        Read(folder, diagnostics, sources, nesting: 0);

    /// <summary>Finds a file that a template names in place of a location on S3, as <c>aws cloudformation package</c> takes it.</summary>
    /// <param name="templateFile">The template that names the file.</param>
    /// <param name="path">A path relative to the template's folder.</param>
    /// <param name="error">Why there is no file when this returns <see langword="null"/>.</param>
    public static string? FindLocalFile(string templateFile, string path, out string error)
    {
        error = $"must be s3://bucket/key or a file in the template's folder or below, found '{ScalarNode.Shorten(path)}'";
        return path.Length == 0 ? null : FindBelow(Path.GetDirectoryName(Path.GetFullPath(templateFile))!, path);
    }

    /// <summary>Finds the file behind <c>s3://bucket/key</c> through the asset manifest beside a template.</summary>
    /// <param name="templateFile">The template that names the location.</param>
    /// <param name="location">The location, with its functions evaluated.</param>
    /// <param name="substitute">Replaces <c>${AWS::Region}</c> and its kin, which asset manifests leave in their keys.</param>
    /// <param name="diagnostics">Where an unreadable manifest is noted.</param>
    /// <param name="error">Why there is no file when this returns <see langword="null"/>.</param>
    public static string? FindAsset(
        string templateFile, string location, Func<string, string> substitute, TemplateDiagnostics diagnostics, out string error)
    {
        var shown = ScalarNode.Shorten(location);
        var slash = location.StartsWith("s3://", StringComparison.Ordinal) ? location.IndexOf('/', "s3://".Length) : -1;
        if (slash < 0 || slash == location.Length - 1)
        {
            error = $"must be s3://bucket/key or a file in the template's folder or below, found '{shown}'";
            return null;
        }

        var key = location[(slash + 1)..];
        var folder = Path.GetDirectoryName(Path.GetFullPath(templateFile))!;
        var manifestFile = Path.Combine(Path.GetDirectoryName(templateFile) ?? "", GetAssetManifestName(templateFile));
        error = $"cannot find '{shown}' on this machine: {Path.GetFileName(manifestFile)} beside the template ";
        if (!File.Exists(manifestFile))
        {
            error += "does not exist; load the whole cdk.out folder, or write the code into CodeHandlers";
            return null;
        }

        if (TemplateSource.TryReadMap(manifestFile, diagnostics)?.Find("files") is MapNode files)
        {
            foreach (var file in files.Entries.Select(entry => entry.Value).OfType<MapNode>().Where(HasKey))
            {
                if (file.Find("source") is not MapNode source
                    || source.Find("path") is not ScalarNode { Text: var path }) continue;
                if (source.Find("packaging") is ScalarNode { Text: not "file" })
                {
                    error = $"names '{shown}', which is a folder to be zipped; handler code is one JavaScript file";
                    return null;
                }

                // The manifest is as little trusted as the template: it must not make us read files elsewhere.
                if (FindBelow(folder, path) is { } full) return full;

                error = $"names '{shown}', which the asset manifest places outside its own folder";
                return null;
            }
        }

        error += "has no such asset";
        return null;

        bool HasKey(MapNode file) => file.Find("destinations") is MapNode destinations && destinations.Entries.Any(destination =>
            destination.Value is MapNode map && map.Find("objectKey") is ScalarNode objectKey
                && substitute(objectKey.Text) == key);
    }

    private static string? FindBelow(string folder, string path)
    {
        if (path.Contains('\0', StringComparison.Ordinal)) return null;
        var full = Path.GetFullPath(Path.Combine(folder, path));
        var relative = Path.GetRelativePath(folder, full);
        return !Path.IsPathRooted(relative) && relative is not "." && relative.Split(Path.DirectorySeparatorChar)[0] != ".."
            ? full
            : null;
    }

    private static void Read(string folder, TemplateDiagnostics diagnostics, List<TemplateSource> sources, int nesting)
    {
        var manifestFile = Path.Combine(folder, ManifestName);
        if (!File.Exists(manifestFile))
        {
            diagnostics.Error(
                folder, null, default, $"is a folder without {ManifestName}; give a template file or a cdk.out folder");
            return;
        }

        if (TemplateSource.TryReadMap(manifestFile, diagnostics) is not { } manifest) return;
        if (manifest.Find("artifacts") is not MapNode artifacts)
        {
            diagnostics.Error(
                manifestFile, manifest.Line, new TemplateSite(null, "artifacts"), "is missing; is this CDK's manifest?");
            return;
        }

        foreach (var (id, line, artifact) in InDependencyOrder(artifacts))
        {
            var properties = artifact.Find("properties") as MapNode;
            switch ((artifact.Find("type") as ScalarNode)?.Text)
            {
                case "aws:cloudformation:stack":
                    if (FindPath(properties, "templateFile") is { } template)
                    {
                        var name = (properties!.Find("stackName") as ScalarNode)?.Text ?? id;
                        if (TemplateSource.TryRead(template, name, diagnostics) is { } source) sources.Add(source);
                    }

                    break;
                case "cdk:cloud-assembly":
                    if (nesting < NestingMax && FindPath(properties, "directoryName") is { } nested)
                        Read(nested, diagnostics, sources, nesting + 1);
                    break;
            }

            string? FindPath(MapNode? map, string key)
            {
                if (map?.Find(key) is ScalarNode { Kind: not ScalarKind.Null } path) return Path.Combine(folder, path.Text);
                diagnostics.Error(manifestFile, line, new TemplateSite(null, $"artifacts.{id}.properties.{key}"), "is missing");
                return null;
            }
        }
    }

    /// <summary>Orders artifacts so that dependencies go first, and otherwise as the manifest has them.</summary>
    private static List<(string Id, int Line, MapNode Artifact)> InDependencyOrder(MapNode artifacts)
    {
        var ordered = new List<(string, int, MapNode)>();
        var visited = new HashSet<string>(StringComparer.Ordinal);
        var pending = new Stack<(MapEntry Entry, bool IsComplete)>();
        foreach (var root in artifacts.Entries)
        {
            // A stack of our own: a chain of thousands of artifacts must not become one of calls.
            pending.Push((root, false));
            while (pending.TryPop(out var next))
            {
                if (next.Entry.Value is not MapNode artifact) continue;
                if (next.IsComplete)
                {
                    ordered.Add((next.Entry.Key, next.Entry.KeyLine, artifact));
                    continue;
                }

                if (!visited.Add(next.Entry.Key)) continue;
                pending.Push((next.Entry, true));
                if (artifact.Find("dependencies") is not ListNode dependencies) continue;
                foreach (var dependency in dependencies.Items.OfType<ScalarNode>().Reverse())
                    if (artifacts.TryGet(dependency.Text, out var entry)) pending.Push((entry, false));
            }
        }

        return ordered;
    }

    private static string GetAssetManifestName(string templateFile)
    {
        var name = Path.GetFileName(templateFile);
        foreach (var extension in (ReadOnlySpan<string>)[".template.json", ".template.yaml", ".json", ".yaml", ".yml"])
            if (name.EndsWith(extension, StringComparison.OrdinalIgnoreCase)) return name[..^extension.Length] + ".assets.json";
        return name + ".assets.json";
    }
}
