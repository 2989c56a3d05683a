using System.Collections;
using System.Reflection;

namespace Fanfare.Gateway;

/// <summary>Finds mistyped settings: keys of a section that no options type has a property for.</summary>
internal static class UnknownSettings
{
    /// <summary>Returns the full keys of the section, and of those below it, that bind to no property of any of the types.</summary>
    public static IEnumerable<string> Find(IConfigurationSection section, params IEnumerable<Type> types)
    {
        foreach (var child in section.GetChildren())
        {
            var property = types
                .Select(type => type.GetProperty(child.Key, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase))
                .FirstOrDefault(found => found is not null);
            if (property is null)
            {
                yield return child.Path;
                continue;
            }

            var options = property.DeclaringType!;
            if (property.PropertyType.Assembly == options.Assembly && !property.PropertyType.IsEnum
                && !typeof(IEnumerable).IsAssignableFrom(property.PropertyType))
            {
                foreach (var unknown in Find(child, property.PropertyType))
                {
                    yield return unknown;
                }
            }
            else if (GetItemType(property.PropertyType) is { } item && item.Assembly == options.Assembly)
            {
                foreach (var unknown in child.GetChildren().SelectMany(entry => Find(entry, item)))
                {
                    yield return unknown;
                }
            }
        }
    }

    // Of a list, or of a dictionary whatever its keys.
    private static Type? GetItemType(Type type) =>
        type.IsGenericType
        && (type.GetGenericTypeDefinition() == typeof(IList<>) || type.GetGenericTypeDefinition() == typeof(IDictionary<,>))
            ? type.GetGenericArguments()[^1]
            : null;
}
