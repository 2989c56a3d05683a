using System.Globalization;
using System.Text;
using System.Text.Json;
using Amazon.DynamoDBv2.Model;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>DynamoDB's typed values: in from requests (<c>{"S": "x"}</c>), out to results as plain JSON.</summary>
internal static class AttributeValues
{
    /// <summary>Reads a map of typed values.</summary>
    public static Dictionary<string, AttributeValue> ReadMap(RequestReader map)
    {
        var values = new Dictionary<string, AttributeValue>(StringComparer.Ordinal);
        foreach (var (name, value, path) in map.Members())
        {
            values[name] = Read(value, path);
        }

        return values;
    }

    /// <summary>Reads a typed value. Numbers may be JSON numbers too, which AppSync's own helpers write.</summary>
    /// <exception cref="InvalidRequestException">It is none.</exception>
    public static AttributeValue Read(JsonElement element, string path)
    {
        var typed = RequestReader.Object(element, path);
        var members = typed.Members().Take(2).ToList();
        if (members.Count != 1)
        {
            throw RequestReader.Wrong(path, "must be a typed value, an object with one member");
        }

        var (type, value, at) = members[0];
        return type switch
        {
            "S" => new AttributeValue { S = RequestReader.Text(value, at) },
            "N" => new AttributeValue { N = ReadNumber(value, at) },
            "B" => new AttributeValue { B = ReadBinary(value, at) },
            "BOOL" => new AttributeValue { BOOL = ReadBoolean(value, at) },
            "NULL" => new AttributeValue { NULL = true },
            "M" => new AttributeValue { M = ReadMap(RequestReader.Object(value, at)) },
            "L" => new AttributeValue { L = RequestReader.List(value, at).ConvertAll(item => Read(item.Item, item.Path)) },
            "SS" => new AttributeValue { SS = RequestReader.List(value, at).ConvertAll(item => RequestReader.Text(item.Item, item.Path)) },
            "NS" => new AttributeValue { NS = RequestReader.List(value, at).ConvertAll(item => ReadNumber(item.Item, item.Path)) },
            "BS" => new AttributeValue { BS = RequestReader.List(value, at).ConvertAll(item => ReadBinary(item.Item, item.Path)) },
            _ => throw RequestReader.Wrong(path, "must be a typed value: S, N, B, BOOL, NULL, M, L, SS, NS or BS"),
        };
    }

    /// <summary>Writes an item as plain JSON, or <c>null</c> where there is none.</summary>
    public static void WriteItem(Utf8JsonWriter writer, Dictionary<string, AttributeValue>? item)
    {
        if (item is null)
        {
            writer.WriteNullValue();
        }
        else
        {
            WriteMap(writer, item);
        }
    }

    /// <summary>Writes items as plain JSON.</summary>
    public static void WriteItems(Utf8JsonWriter writer, IEnumerable<Dictionary<string, AttributeValue>?> items)
    {
        writer.WriteStartArray();
        foreach (var item in items)
        {
            WriteItem(writer, item);
        }

        writer.WriteEndArray();
    }

    /// <summary>Writes a value as plain JSON: sets become lists, binary values base-64.</summary>
    public static void WritePlain(Utf8JsonWriter writer, AttributeValue value)
    {
        switch (value)
        {
            case { S: { } text }:
                writer.WriteStringValue(text);
                break;
            case { N: { } number }:
                WriteNumber(writer, number);
                break;
            case { BOOL: { } truth }:
                writer.WriteBooleanValue(truth);
                break;
            case { M: { } map }:
                WriteMap(writer, map);
                break;
            case { L: { } list }:
                WriteList(writer, list, WritePlain);
                break;
            case { SS: { } texts }:
                WriteList(writer, texts, static (to, text) => to.WriteStringValue(text));
                break;
            case { NS: { } numbers }:
                WriteList(writer, numbers, WriteNumber);
                break;
            case { B: { } binary }:
                writer.WriteBase64StringValue(binary.ToArray());
                break;
            case { BS: { } binaries }:
                WriteList(writer, binaries, static (to, binary) => to.WriteBase64StringValue(binary.ToArray()));
                break;
            default:
                writer.WriteNullValue();
                break;
        }
    }

    /// <summary>Writes a key as typed JSON: texts, numbers and binary values.</summary>
    public static void WriteKey(Utf8JsonWriter writer, Dictionary<string, AttributeValue> key)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in key)
        {
            writer.WriteStartObject(name);
            switch (value)
            {
                case { S: { } text }:
                    writer.WriteString("S", text);
                    break;
                case { N: { } number }:
                    writer.WriteString("N", number);
                    break;
                case { B: { } binary }:
                    writer.WriteBase64String("B", binary.ToArray());
                    break;
            }

            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>A text that is the same for keys that mean the same item.</summary>
    /// <param name="item">The key, or an item that holds it.</param>
    /// <param name="names">The key's attributes.</param>
    public static string GetIdentity(Dictionary<string, AttributeValue> item, IEnumerable<string> names)
    {
        var identity = new StringBuilder();
        foreach (var name in names.Order(StringComparer.Ordinal))
        {
            var text = item.GetValueOrDefault(name) switch
            {
                { S: { } s } => "S" + s,
                { N: { } n } => "N" + Normalize(n),
                { B: { } b } => "B" + Convert.ToBase64String(b.ToArray()),
                _ => "",
            };

            // The lengths keep one attribute apart from the next.
            identity.Append(CultureInfo.InvariantCulture, $"{name.Length}:{name}{text.Length}:{text}");
        }

        return identity.ToString();
    }

    private static void WriteMap(Utf8JsonWriter writer, Dictionary<string, AttributeValue> map)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in map)
        {
            writer.WritePropertyName(name);
            WritePlain(writer, value);
        }

        writer.WriteEndObject();
    }

    private static void WriteList<T>(Utf8JsonWriter writer, List<T> items, Action<Utf8JsonWriter, T> write)
    {
        writer.WriteStartArray();
        foreach (var item in items)
        {
            write(writer, item);
        }

        writer.WriteEndArray();
    }

    // As it came: 38 digits are more than any type here holds.
    private static void WriteNumber(Utf8JsonWriter writer, string number)
    {
        if (IsNumber(number))
        {
            writer.WriteRawValue(number, skipInputValidation: true);
        }
        else
        {
            writer.WriteStringValue(number);
        }
    }

    private static bool IsNumber(string text)
    {
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
            return reader.Read() && reader.TokenType == JsonTokenType.Number && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string ReadNumber(JsonElement value, string path) => value.ValueKind switch
    {
        JsonValueKind.Number => value.GetRawText(),
        JsonValueKind.String => value.GetString()!,
        _ => throw RequestReader.Wrong(path, "must be a number"),
    };

    private static bool ReadBoolean(JsonElement value, string path) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw RequestReader.Wrong(path, "must be true or false"),
    };

    private static MemoryStream ReadBinary(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out var bytes)
            ? new MemoryStream(bytes)
            : throw RequestReader.Wrong(path, "must be base-64 text");

    // Digits without zeros at either end, and the power of ten that goes with them: 1.50 and 15e-1 are the same number.
    private static string Normalize(string number)
    {
        var exponentAt = number.IndexOfAny(['e', 'E']);
        var mantissa = exponentAt < 0 ? number : number[..exponentAt];
        var exponent = 0;
        if (exponentAt >= 0 && !int.TryParse(number.AsSpan(exponentAt + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent))
        {
            return number;
        }

        var sign = mantissa.StartsWith('-') ? "-" : "";
        mantissa = mantissa.TrimStart('-', '+');
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        if (point >= 0)
        {
            exponent -= mantissa.Length - point - 1;
            mantissa = mantissa.Remove(point, 1);
        }

        var digits = mantissa.TrimStart('0');
        var trimmed = digits.TrimEnd('0');
        return trimmed.Length == 0
            ? "0"
            : string.Create(CultureInfo.InvariantCulture, $"{sign}{trimmed}e{(long)exponent + digits.Length - trimmed.Length}");
    }
}
