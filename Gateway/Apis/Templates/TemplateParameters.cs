using System.Globalization;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>The values of one template's parameters: configured, else the default. Checked when first needed.</summary>
internal sealed class TemplateParameters(TemplateStack stack, IReadOnlyDictionary<string, string> configured)
{
    /// <summary>Long enough for any sane pattern; a template's author must not be able to stop a start with a bad one.</summary>
    private static readonly TimeSpan s_patternTimeout = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, TemplateNode> _values = new(StringComparer.Ordinal);

    /// <summary>Whether the template declares the parameter.</summary>
    public bool IsDeclared(string name) => stack.Parameters.TryGet(name, out _);

    /// <summary>Checks what is configured, needed or not: a wrong value is a mistake wherever it stands.</summary>
    public void CheckConfigured(TemplateDiagnostics diagnostics)
    {
        foreach (var entry in stack.Parameters.Entries.Where(entry => configured.ContainsKey(entry.Key)))
        {
            try
            {
                Get(entry.Key);
            }
            catch (TemplateFault fault)
            {
                diagnostics.Error(fault.Error);
            }
        }
    }

    /// <summary>Returns a declared parameter's value: a text, or a list for the list types.</summary>
    /// <exception cref="TemplateFault">The declaration or the value is wrong, or there is no value.</exception>
    public TemplateNode Get(string name)
    {
        if (_values.TryGetValue(name, out var known)) return known;
        stack.Parameters.TryGet(name, out var entry);
        if (entry.Value is not MapNode declaration) throw Fault($"must be a map, found {entry.Value.Describe()}");
        var type = Setting("Type") ?? throw Fault("has no Type");
        var sensitivity = string.Equals(Setting("NoEcho"), "true", StringComparison.OrdinalIgnoreCase)
            ? Sensitivity.NoEcho
            : Sensitivity.Open;
        var isConfigured = configured.TryGetValue(name, out var text);
        var source = isConfigured ? "the configured value" : "the default";
        text ??= Setting("Default") ?? throw Fault("has no default and no value is configured");

        var isList = IsListType(type);
        var texts = isList ? text.Split(',', StringSplitOptions.TrimEntries) : [text];
        foreach (var item in texts) Check(item);
        return _values[name] = isList
            ? new ListNode([.. texts.Select(Scalar)], entry.KeyLine)
            : Scalar(text);

        ScalarNode Scalar(string value) => new(value, entry.KeyLine, ScalarKind.Text, sensitivity);

        TemplateFault Fault(string message) => new(new TemplateError(
            stack.File, entry.KeyLine, null, $"Parameters.{ScalarNode.Shorten(name)}", message));

        string? Setting(string key) => declaration.Find(key) switch
        {
            null => null,
            ScalarNode { Kind: not ScalarKind.Null } scalar => scalar.Text,
            var other => throw Fault($"{key} must be a text, found {other.Describe()}"),
        };

        void Check(string value)
        {
            var shown = Scalar(value).Describe();
            if (type is "Number" or "List<Number>" && !TryNumber(value, out _)) throw Fault($"{source} {shown} is not a number");
            if (declaration.Find("AllowedValues") is ListNode allowed
                && !allowed.Items.OfType<ScalarNode>().Any(item => item.Text == value))
            {
                var choices = sensitivity == Sensitivity.Open
                    ? $": {string.Join(", ", allowed.Items.Select(i => i.Describe()))}"
                    : "";
                throw Fault($"{source} {shown} is not one of AllowedValues{choices}");
            }

            if (type == "String" && TryNumber(Setting("MinLength"), out var minLength) && value.Length < minLength)
                throw Fault($"{source} {shown} is shorter than MinLength {minLength}");
            if (type == "String" && TryNumber(Setting("MaxLength"), out var maxLength) && value.Length > maxLength)
                throw Fault($"{source} {shown} is longer than MaxLength {maxLength}");
            if (TryNumber(value, out var number) && type == "Number")
            {
                if (TryNumber(Setting("MinValue"), out var min) && number < min)
                    throw Fault($"{source} {shown} is under MinValue {min}");
                if (TryNumber(Setting("MaxValue"), out var max) && number > max)
                    throw Fault($"{source} {shown} is over MaxValue {max}");
            }

            if (Setting("AllowedPattern") is { } pattern && !Matches(pattern, value))
                throw Fault($"{source} {shown} does not match AllowedPattern '{ScalarNode.Shorten(pattern)}'");
        }

        bool Matches(string pattern, string value)
        {
            try
            {
                return Regex.IsMatch(value, $@"\A(?:{pattern})\z", RegexOptions.CultureInvariant, s_patternTimeout);
            }
            catch (Exception exception) when (exception is ArgumentException or RegexMatchTimeoutException)
            {
                throw Fault($"AllowedPattern '{ScalarNode.Shorten(pattern)}' is not a usable regular expression");
            }
        }
    }

    // AWS::SSM::Parameter::Value<…> names a key in a store we do not have, so its text is taken as the value itself.
    private static bool IsListType(string type) =>
        type is "CommaDelimitedList" or "AWS::SSM::Parameter::Value<CommaDelimitedList>"
        || type.StartsWith("List<", StringComparison.Ordinal)
        || type.StartsWith("AWS::SSM::Parameter::Value<List<", StringComparison.Ordinal);

    private static bool TryNumber(string? text, out decimal number) =>
        decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);
}
