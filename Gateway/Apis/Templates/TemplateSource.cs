using System.Security;
using System.Text;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>One stack's template as it was read, before anything in it is looked at.</summary>
/// <param name="File">The path, as messages name it.</param>
/// <param name="StackName">The value of <c>AWS::StackName</c>.</param>
/// <param name="Root">The template.</param>
internal sealed record TemplateSource(string File, string StackName, MapNode Root)
{
    private static readonly UTF8Encoding s_strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads templates from files, and all stacks of the CDK assemblies among the paths.</summary>
    /// <returns>The templates in the order of the paths; those that cannot be read are missing and have left a mistake.</returns>
    public static IReadOnlyList<TemplateSource> ReadAll(
        IReadOnlyList<string> paths, string? stackName, TemplateDiagnostics diagnostics)
    {
        var sources = new List<TemplateSource>();
        foreach (var path in paths)
        {
            if (Directory.Exists(path)) CloudAssembly.Read(path, diagnostics, sources);
            else if (TryRead(path, stackName ?? GetStackName(path), diagnostics) is { } source) sources.Add(source);
        }

        return sources;
    }

    /// <summary>Reads one template, or notes what is wrong and returns <see langword="null"/>.</summary>
    public static TemplateSource? TryRead(string path, string stackName, TemplateDiagnostics diagnostics) =>
        TryReadMap(path, diagnostics) is { } root ? new TemplateSource(path, stackName, root) : null;

    /// <summary>Reads a YAML or JSON file that holds a map, or notes what is wrong and returns <see langword="null"/>.</summary>
    public static MapNode? TryReadMap(string path, TemplateDiagnostics diagnostics)
    {
        diagnostics.AddFile(path);
        if (TryReadText(path, TemplateLimits.FileBytesMax, out var error) is not { } text)
        {
            diagnostics.Error(path, null, default, error);
            return null;
        }

        try
        {
            switch (Parse(text, path, diagnostics))
            {
                case MapNode map:
                    return map;
                case null or ScalarNode { Kind: ScalarKind.Null }:
                    diagnostics.Error(path, null, default, "is empty");
                    return null;
                case var other:
                    diagnostics.Error(path, other.Line, default, $"is not a template: a map is needed, found {other.Describe()}");
                    return null;
            }
        }
        catch (TemplateFault fault)
        {
            diagnostics.Error(fault.Error);
            return null;
        }
    }

    /// <summary>Reads a whole text file of bounded size.</summary>
    /// <param name="path">The file.</param>
    /// <param name="bytesMax">The most bytes it may have.</param>
    /// <param name="error">What is wrong when this returns <see langword="null"/>.</param>
    public static string? TryReadText(string path, int bytesMax, out string error)
    {
        error = "";
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var content = new MemoryStream();
            var buffer = new byte[16 * 1024];

            // Read to the bound rather than trust the length: a path may name a pipe or a device.
            while (content.Length <= bytesMax && stream.Read(buffer) is var count and > 0) content.Write(buffer, 0, count);
            if (content.Length > bytesMax)
            {
                error = $"is larger than {bytesMax:N0} bytes";
                return null;
            }

            var text = s_strictUtf8.GetString(content.GetBuffer(), 0, (int)content.Length);
            return text.StartsWith('\uFEFF') ? text[1..] : text;
        }
        catch (DecoderFallbackException)
        {
            error = "is not UTF-8 text";
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            error = "does not exist";
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or SecurityException)
        {
            error = "cannot be read: access is denied";
        }
        catch (Exception exception) when (exception is IOException or ArgumentException or NotSupportedException)
        {
            error = $"cannot be read: {ScalarNode.Shorten(exception.Message)}";
        }

        return null;
    }

    private static TemplateNode? Parse(string text, string path, TemplateDiagnostics diagnostics)
    {
        // JSON is nearly YAML, but the JSON reader knows its escapes and gives better messages. A flow map in a .yaml file is
        // YAML.
        var isYaml = path.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase)
            || path.EndsWith(".yml", StringComparison.OrdinalIgnoreCase);
        if (string.IsNullOrWhiteSpace(text)) return null;
        return !isYaml && text.AsSpan().TrimStart()[0] is '{' or '['
            ? JsonTemplateParser.Parse(text, path, diagnostics)
            : YamlTemplateParser.Parse(text, path, diagnostics);
    }

    private static string GetStackName(string path)
    {
        var name = Path.GetFileName(path);
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        var stem = dot < 0 ? name : name[..dot];
        return stem.Length == 0 ? "template" : stem;
    }
}
