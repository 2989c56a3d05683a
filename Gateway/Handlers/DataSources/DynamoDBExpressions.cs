using Amazon.DynamoDBv2.Model;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>The expressions of one request: each its own text, all with the same placeholders.</summary>
internal sealed class DynamoDBExpressions
{
    /// <summary>What stands for names of attributes, or <see langword="null"/> for nothing.</summary>
    public Dictionary<string, string>? Names { get; private set; }

    /// <summary>What stands for values, or <see langword="null"/> for nothing.</summary>
    public Dictionary<string, AttributeValue>? Values { get; private set; }

    /// <summary>Adds <c>{expression, expressionNames, expressionValues}</c>.</summary>
    /// <returns>The expression; <see langword="null"/> where there is none.</returns>
    /// <exception cref="InvalidRequestException">It has a wrong form, or a placeholder that already stands for something else.</exception>
    public string? Add(RequestReader? expression)
    {
        if (expression is not { } reader)
        {
            return null;
        }

        var text = reader.GetText("expression");
        if (reader.FindObject("expressionNames") is { } names)
        {
            foreach (var (placeholder, value, path) in names.Members())
            {
                Names ??= new(StringComparer.Ordinal);
                var name = RequestReader.Text(value, path);
                if (!Names.TryAdd(placeholder, name) && Names[placeholder] != name)
                {
                    throw RequestReader.Wrong(path, "stands for another name already");
                }
            }
        }

        if (reader.FindObject("expressionValues") is { } values)
        {
            foreach (var (placeholder, value, path) in values.Members())
            {
                Values ??= new(StringComparer.Ordinal);
                if (!Values.TryAdd(placeholder, AttributeValues.Read(value, path)))
                {
                    throw RequestReader.Wrong(path, "stands for another value already");
                }
            }
        }

        return text.Length == 0 ? null : text;
    }
}
