using System.Globalization;
using System.Text;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

/// <summary>One line of a page: a name, its labels and a value.</summary>
internal sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value);

/// <summary>One metric of a page, with the samples under its TYPE line.</summary>
internal sealed record Metric(string Name, string Type, string? Help, List<Sample> Samples);

/// <summary>
/// A slow and strict reader of the Prometheus text format 0.0.4, written from its description and not from the exporter. It
/// throws <see cref="FormatException"/> for whatever the format forbids.
/// </summary>
internal sealed class ExpositionParser
{
    private readonly string _line;
    private int _position;

    private ExpositionParser(string line) => _line = line;

    public static Dictionary<string, Metric> Parse(string page)
    {
        Dictionary<string, Metric> metrics = [];
        HashSet<string> seen = [];
        string? help = null;
        Metric? current = null;
        if (page.Length > 0 && !page.EndsWith('\n'))
            throw new FormatException("The last line must end with a line feed.");

        foreach (string line in page.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] words = line.Split(' ', 4);
            if (line.StartsWith("# HELP ", StringComparison.Ordinal))
            {
                help = words[3];
            }
            else if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
            {
                current = new Metric(words[2], words[3], help, []);
                help = null;
                if (!metrics.TryAdd(current.Name, current))
                    throw new FormatException($"Second TYPE line: {line}");
            }
            else
            {
                Sample sample = new ExpositionParser(line).ReadSample();
                if (current is null || !BelongsTo(sample.Name, current))
                    throw new FormatException($"Not under its TYPE line: {line}");
                if (!seen.Add(line[..line.LastIndexOf(' ')]))
                    throw new FormatException($"Sample repeated: {line}");
                current.Samples.Add(sample);
            }
        }

        foreach (Metric metric in metrics.Values.Where(metric => metric.Type == "histogram"))
            CheckHistogram(metric);
        return metrics;
    }

    private static bool BelongsTo(string name, Metric metric) => metric.Type == "histogram"
        ? name == metric.Name + "_bucket" || name == metric.Name + "_sum" || name == metric.Name + "_count"
        : name == metric.Name;

    private static void CheckHistogram(Metric metric)
    {
        foreach (IGrouping<string, Sample> group in metric.Samples.GroupBy(sample => string.Join(
            ',', sample.Labels.Where(label => label.Key != "le").Select(label => $"{label.Key}={label.Value}"))))
        {
            Sample[] buckets = [.. group.Where(sample => sample.Name.EndsWith("_bucket", StringComparison.Ordinal))];
            double[] bounds = [.. buckets.Select(bucket => ParseValue(bucket.Labels["le"]))];
            if (!bounds.SequenceEqual(bounds.Order().Distinct()) || !double.IsPositiveInfinity(bounds[^1]))
                throw new FormatException($"Buckets of {metric.Name} must ascend and end with +Inf.");
            if (!buckets.Select(bucket => bucket.Value).SequenceEqual(buckets.Select(bucket => bucket.Value).Order()))
                throw new FormatException($"Buckets of {metric.Name} must be cumulative.");
            if (group.Single(sample => sample.Name == metric.Name + "_count").Value != buckets[^1].Value)
                throw new FormatException($"The count of {metric.Name} must equal its last bucket.");
            _ = group.Single(sample => sample.Name == metric.Name + "_sum");
        }
    }

    private static double ParseValue(string text) => text switch
    {
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        "NaN" => double.NaN,
        _ => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
    };

    private Sample ReadSample()
    {
        string name = ReadName(allowColon: true);
        Dictionary<string, string> labels = [];
        if (_line[_position] == '{')
        {
            do
            {
                _position++;
                string label = ReadName(allowColon: false);
                Expect('=');
                if (!labels.TryAdd(label, ReadQuoted()))
                    throw new FormatException($"Label repeated: {_line}");
            }
            while (_line[_position] == ',');
            Expect('}');
        }

        Expect(' ');
        return new Sample(name, labels, ParseValue(_line[_position..]));
    }

    private string ReadName(bool allowColon)
    {
        int start = _position;
        while (char.IsAsciiLetterOrDigit(_line[_position]) || _line[_position] == '_' || (allowColon && _line[_position] == ':'))
            _position++;
        if (_position == start || char.IsAsciiDigit(_line[start]))
            throw new FormatException($"Not a name at {start}: {_line}");
        return _line[start.._position];
    }

    private string ReadQuoted()
    {
        Expect('"');
        StringBuilder value = new();
        while (_line[_position] != '"')
        {
            char character = _line[_position++];
            value.Append(character != '\\' ? character : _line[_position++] switch
            {
                '\\' => '\\',
                '"' => '"',
                'n' => '\n',
                _ => throw new FormatException($"Unknown escape: {_line}"),
            });
        }

        Expect('"');
        return value.ToString();
    }

    private void Expect(char character)
    {
        if (_line[_position++] != character)
            throw new FormatException($"Expected '{character}' at {_position - 1}: {_line}");
    }
}
