using System.Collections.Frozen;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Lambda;

/// <summary>Finds where a function is, as the configuration says.</summary>
/// <remarks>
/// <para>
/// <c>Fanfare:Lambda:Functions</c> holds addresses by function: <c>auth = http://localhost:9000/authorize</c>, or
/// <c>auth = {Url, Type}</c>. Whatever stands between <c>Functions</c> and the value is the function, colons included, so that
/// an ARN can be written as it is in JSON and on the command line. Where that cannot be written, as in many shells' environment
/// variables, any key will do with a <c>Name</c> beside the <c>Url</c>: <c>Functions__0__Name</c>, <c>Functions__0__Url</c>.
/// </para>
/// <para>
/// A function is looked up by its text, then without qualifier, then by name and qualifier, then by name, without regard to case as
/// configuration has none; then <c>Fanfare:Lambda:Endpoint</c> serves it.
/// </para>
/// </remarks>
internal sealed class LambdaTargets
{
    private readonly FrozenDictionary<string, LambdaTarget> _functions;
    private readonly LambdaTarget? _default;

    public LambdaTargets(IOptions<GatewayOptions> options)
    {
        var lambda = options.Value.Lambda;
        _functions = Read(lambda.Functions, []).ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
        _default = lambda.Endpoint is { } endpoint ? new LambdaTarget(LambdaTargetKind.Lambda, endpoint) : null;
    }

    /// <summary>Finds a function; <see langword="null"/> where the configuration does not say where it is.</summary>
    public LambdaTarget? Find(in LambdaFunctionName function)
    {
        foreach (var alias in function.GetAliases())
        {
            if (_functions.TryGetValue(alias, out var target))
            {
                return target;
            }
        }

        return _default;
    }

    /// <summary>Reads the section, and adds what is wrong with it; each message names the key.</summary>
    public static Dictionary<string, LambdaTarget> Read(IConfigurationSection? section, ICollection<string> failures)
    {
        var entries = new Dictionary<string, Entry>(StringComparer.OrdinalIgnoreCase);
        if (section is not null)
        {
            Collect(section, path: "", entries);
        }

        var targets = new Dictionary<string, LambdaTarget>(StringComparer.OrdinalIgnoreCase);
        foreach (var (path, entry) in entries)
        {
            var key = $"{LambdaOptions.SectionName}:{nameof(LambdaOptions.Functions)}:{path}";
            if (!Uri.TryCreate(entry.Url, UriKind.Absolute, out var address) || !LambdaTarget.IsHttp(address))
            {
                failures.Add($"{key} must have an http or https address.");
            }
            else if (entry.Type is { } type && ParseKind(type) is null)
            {
                failures.Add($"{key}:{nameof(entry.Type)} must be lambda, rie or webhook.");
            }
            else
            {
                targets[entry.Name ?? path] = new LambdaTarget(
                    entry.Type is { } named ? ParseKind(named)!.Value : LambdaTarget.Guess(address), address);
            }
        }

        return targets;
    }

    private static void Collect(IConfigurationSection section, string path, Dictionary<string, Entry> entries)
    {
        foreach (var child in section.GetChildren())
        {
            var childPath = path.Length == 0 ? child.Key : $"{path}:{child.Key}";
            if (!string.IsNullOrEmpty(child.Value))
            {
                Set(path, childPath, child.Key, child.Value, entries);
            }

            Collect(child, childPath, entries);
        }
    }

    private static void Set(string path, string childPath, string key, string value, Dictionary<string, Entry> entries)
    {
        var property = path.Length == 0 ? "" : key.ToUpperInvariant();
        var owner = property is "NAME" or "URL" or "TYPE" ? path : childPath;
        if (!entries.TryGetValue(owner, out var entry))
        {
            entries.Add(owner, entry = new Entry());
        }

        switch (property)
        {
            case "NAME":
                entry.Name = value;
                break;
            case "TYPE":
                entry.Type = value;
                break;
            default:
                entry.Url = value;
                break;
        }
    }

    private static LambdaTargetKind? ParseKind(string type) => type.ToUpperInvariant() switch
    {
        "LAMBDA" => LambdaTargetKind.Lambda,
        "RIE" => LambdaTargetKind.Emulator,
        "WEBHOOK" => LambdaTargetKind.Webhook,
        _ => null,
    };

    private sealed class Entry
    {
        public string? Name { get; set; }

        public string? Url { get; set; }

        public string? Type { get; set; }
    }
}
