using System.Reflection;
using System.Text;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>Looks through everything that an object holds on to, field by field.</summary>
public static class ObjectGraph
{
    /// <summary>The paths of strings, characters and bytes that contain the text; empty where the object does not hold it.</summary>
    public static IReadOnlyList<string> FindText(object root, string text)
    {
        ArgumentNullException.ThrowIfNull(root);
        var bytes = Encoding.UTF8.GetBytes(text);
        var found = new List<string>();
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var pending = new Stack<(object Value, string Path)>([(root, root.GetType().Name)]);
        while (pending.TryPop(out var item))
        {
            var (value, path) = item;
            if (value is MemberInfo or Assembly or Module or Pointer || (!value.GetType().IsValueType && !seen.Add(value)))
            {
                continue;
            }

            var isHit = value switch
            {
                string s => s.Contains(text, StringComparison.OrdinalIgnoreCase),
                char[] chars => new string(chars).Contains(text, StringComparison.OrdinalIgnoreCase),
                byte[] array => array.AsSpan().IndexOf(bytes) >= 0,
                _ => false,
            };
            if (isHit)
            {
                found.Add(path);
            }

            foreach (var (child, name) in Children(value))
            {
                pending.Push((child, $"{path}.{name}"));
            }
        }

        return found;
    }

    private static IEnumerable<(object Value, string Name)> Children(object value)
    {
        if (value is Array array)
        {
            return array.GetType().GetElementType()!.IsPrimitive
                ? []
                : array.Cast<object?>().Select((element, index) => (element!, $"[{index}]")).Where(child => child.Item1 is not null);
        }

        return Fields(value.GetType())
            .Select(field => (field.GetValue(value)!, field.Name))
            .Where(child => child.Item1 is not null);
    }

    private static IEnumerable<FieldInfo> Fields(Type? type)
    {
        for (; type is not null && type != typeof(object) && type != typeof(string); type = type.BaseType)
        {
            const BindingFlags All = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            foreach (var field in type.GetFields(All))
            {
                var isOpaque = field.FieldType.IsPrimitive || field.FieldType.IsPointer || field.FieldType.IsByRefLike || field.FieldType.IsEnum;
                if (!isOpaque)
                {
                    yield return field;
                }
            }
        }
    }
}
