using System.Text.Json;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>A request that no call can be made of; caught by <see cref="GuardedDataSource"/>.</summary>
/// <remarks>
/// An exception, since requests nest deeply and are wrong only while somebody writes a handler. The message names members, and holds
/// no values.
/// </remarks>
internal sealed class InvalidRequestException(string reason) : Exception(reason);

/// <summary>Reads one object of a request by the types that the data source wants. A member that is <c>null</c> is absent.</summary>
/// <param name="Element">The object.</param>
/// <param name="Path">Where it is, for messages.</param>
internal readonly record struct RequestReader(JsonElement Element, string Path)
{
    private const int NameLengthMax = 64;

    /// <summary>Starts to read a request.</summary>
    /// <exception cref="InvalidRequestException">It is no object.</exception>
    public static RequestReader Create(JsonElement request) => Object(request, "request");

    /// <summary>Reads an element that must be an object.</summary>
    public static RequestReader Object(JsonElement element, string path) =>
        element.ValueKind == JsonValueKind.Object ? new(element, path) : throw Wrong(path, "must be an object");

    /// <summary>Reads an element that must be a text.</summary>
    public static string Text(JsonElement element, string path) =>
        element.ValueKind == JsonValueKind.String ? element.GetString()! : throw Wrong(path, "must be a text");

    /// <summary>Says what is wrong with a member.</summary>
    public static InvalidRequestException Wrong(string path, string rule) => new($"{path} {rule}");

    /// <summary>Where a member is.</summary>
    public string PathOf(string name) => $"{Path}.{(name.Length <= NameLengthMax ? name : name[..NameLengthMax] + "…")}";

    /// <summary>Finds a member of any type.</summary>
    public JsonElement? Find(string name) =>
        Element.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;

    /// <summary>Gets a member of any type that must be there.</summary>
    public JsonElement Get(string name) => Find(name) ?? throw Wrong(PathOf(name), "is required");

    /// <summary>Finds a text.</summary>
    public string? FindText(string name) => Find(name) is { } value ? Text(value, PathOf(name)) : null;

    /// <summary>Gets a text.</summary>
    public string GetText(string name) => Text(Get(name), PathOf(name));

    /// <summary>Gets a text that must be one of several; comparison is exact.</summary>
    public string GetWord(string name, params ReadOnlySpan<string> words)
    {
        var text = GetText(name);
        return words.Contains(text) ? text : throw Wrong(PathOf(name), $"must be one of {string.Join(", ", words!)}");
    }

    /// <summary>Finds a text that must be one of several.</summary>
    public string? FindWord(string name, params ReadOnlySpan<string> words) => Find(name) is null ? null : GetWord(name, words);

    /// <summary>Finds a truth value.</summary>
    public bool? FindBoolean(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Wrong(PathOf(name), "must be true or false"),
    };

    /// <summary>Finds a whole number, 0 or more.</summary>
    public int? FindCount(string name)
    {
        if (Find(name) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)
            && double.IsInteger(number) && number is >= 0 and <= int.MaxValue
            ? (int)number
            : throw Wrong(PathOf(name), "must be a whole number");
    }

    /// <summary>Finds an object.</summary>
    public RequestReader? FindObject(string name) => Find(name) is { } value ? Object(value, PathOf(name)) : null;

    /// <summary>Gets an object.</summary>
    public RequestReader GetObject(string name) => Object(Get(name), PathOf(name));

    /// <summary>Gets the items of a list, with their paths.</summary>
    public List<(JsonElement Item, string Path)> GetList(string name) => List(Get(name), PathOf(name));

    /// <summary>Gets the items of an element that must be a list, with their paths.</summary>
    public static List<(JsonElement Item, string Path)> List(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Array)
        {
            throw Wrong(path, "must be a list");
        }

        var items = new List<(JsonElement, string)>(element.GetArrayLength());
        foreach (var item in element.EnumerateArray())
        {
            items.Add((item, $"{path}[{items.Count}]"));
        }

        return items;
    }

    /// <summary>Gets the members with their paths, in order; those that are <c>null</c> too.</summary>
    public IEnumerable<(string Name, JsonElement Value, string Path)> Members()
    {
        foreach (var member in Element.EnumerateObject())
        {
            yield return (member.Name, member.Value, PathOf(member.Name));
        }
    }
}
