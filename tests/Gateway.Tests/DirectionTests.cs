using System.Reflection;
using System.Text.RegularExpressions;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests;

/// <summary>Inside the gateway the arrows run one way: a folder may use those above it in the list.</summary>
public sealed partial class DirectionTests
{
    // docs/architecture.md has the reasons.
    private static readonly string[] s_folders =
        ["Transport", "Channels", "Protocol", "Apis", "Signing", "Lambda", "Authorization", "Backplane", "FanOut", "Handlers", "Publishing", "Connections"];

    public static TheoryData<string> Folders { get; } = [.. s_folders];

    [Theory]
    [MemberData(nameof(Folders))]
    public void No_type_shows_one_of_a_folder_below_its_own(string folder)
    {
        var forbidden = GetForbidden(folder);
        var types = typeof(ChannelKey).Assembly.GetTypes().Where(type => IsIn(type, folder)).ToList();
        Assert.NotEmpty(types);

        var violations =
            from type in types
            from used in GetUsedTypes(type).SelectMany(Unwrap)
            where forbidden.Any(below => IsIn(used, below))
            select $"{type.FullName} uses {used.FullName}";

        Assert.Empty(violations.Distinct());
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void No_file_imports_a_folder_below_its_own(string folder)
    {
        var forbidden = GetForbidden(folder);
        var files = Directory.GetFiles(Path.Combine(Repository.Root, "Gateway", folder), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);

        var violations =
            from file in files
            from Match import in Import().Matches(File.ReadAllText(file))
            where forbidden.Contains(import.Groups[1].Value)
            select $"{Path.GetRelativePath(Repository.Root, file)} imports {import.Groups[1].Value}";

        Assert.Empty(violations);
    }

    [Fact]
    public void Channels_and_protocol_know_nothing_of_the_rest()
    {
        // Also not of each other, nor of what is in no list: Observability, the host.
        foreach (var folder in new[] { "Channels", "Protocol" })
        {
            var files = Directory.GetFiles(Path.Combine(Repository.Root, "Gateway", folder), "*.cs", SearchOption.AllDirectories);
            Assert.DoesNotContain(files, file => Import().IsMatch(File.ReadAllText(file)));
            Assert.DoesNotContain(files, file => File.ReadAllText(file).Contains("using Microsoft.AspNetCore", StringComparison.Ordinal));
        }
    }

    private static string[] GetForbidden(string folder) => s_folders[(Array.IndexOf(s_folders, folder) + 1)..];

    private static bool IsIn(Type type, string folder) =>
        type.Namespace is { } name
        && (name == $"Fanfare.Gateway.{folder}" || name.StartsWith($"Fanfare.Gateway.{folder}.", StringComparison.Ordinal));

    private static IEnumerable<Type> GetUsedTypes(Type type)
    {
        const BindingFlags All =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var methods = type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All)).ToList();
        return type.GetFields(All).Select(field => field.FieldType)
            .Concat(type.GetProperties(All).Select(property => property.PropertyType))
            .Concat(methods.SelectMany(method => method.GetParameters()).Select(parameter => parameter.ParameterType))
            .Concat(methods.OfType<MethodInfo>().Select(method => method.ReturnType))
            .Concat(methods.SelectMany(method => method.GetMethodBody()?.LocalVariables ?? []).Select(local => local.LocalType))
            .Concat(type.GetInterfaces())
            .Append(type.BaseType ?? typeof(object));
    }

    private static IEnumerable<Type> Unwrap(Type type) =>
        type.HasElementType ? Unwrap(type.GetElementType()!)
        : type.IsGenericType ? type.GetGenericArguments().SelectMany(Unwrap).Append(type)
        : [type];

    [GeneratedRegex(@"^using (?:static )?Fanfare\.Gateway\.(\w+)", RegexOptions.Multiline)]
    private static partial Regex Import();
}
