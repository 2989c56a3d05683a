using System.Collections.Frozen;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads the property <c>Tags</c>, a list of <c>{Key, Value}</c>.</summary>
internal static class TagReader
{
    private const int CountMax = 50;
    private const int KeyLengthMax = 128;
    private const int ValueLengthMax = 256;

    /// <summary>Reads the tags, and notes what is wrong with them.</summary>
    public static IReadOnlyDictionary<string, string> Read(PropertyReader properties)
    {
        if (properties.List("Tags") is not { Count: > 0 } items) return FrozenDictionary<string, string>.Empty;
        if (items.Count > CountMax) properties.Error("Tags", $"may hold {CountMax} tags, found {items.Count}");
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (properties.Object(item, "Key", "Value") is not { } tag) continue;
            var key = tag.Text("Key", 1, KeyLengthMax, isRequired: true);
            var value = tag.Text("Value", 0, ValueLengthMax, isRequired: true);
            if (key is null || value is null) continue;
            if (key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase)) tag.Error("Key", "must not start with 'aws:'");
            else if (!tags.TryAdd(key, value)) tag.Error("Key", "is the key of another tag already");
        }

        return tags.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
