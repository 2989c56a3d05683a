using System.Collections;
using System.Reflection;

namespace Fanfare.Gateway;

/// <summary>Finds mistyped settings: keys of a section that no options type has a property for.</summary>
internal static class UnknownSettings
{
    /// <summary>Returns the full keys of the section, and of those below it, that bind to nothing.</summary>
    public static IEnumerable<string> Find(IConfigurationSection section, Type options)
    {
        foreach (var child in section.GetChildren())
        {
            var property = options.GetProperty(child.Key, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase);
            if (property is null)
            {
                yield return child.Path;
            }
            else if (property.PropertyType.Assembly == options.Assembly && !property.PropertyType.IsEnum
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

    private static Type? GetItemType(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IList<>) ? type.GetGenericArguments()[0] : null;
}
