namespace Fanfare.Gateway.Apis.Templates;

/// <summary>A place in a template: a resource's logical id and a path inside it, or a path from the top.</summary>
/// <param name="Resource">The logical id, or <see langword="null"/> outside resources.</param>
/// <param name="Property">The path, such as <c>Properties.Tags[0].Key</c> or <c>Outputs.Http.Value</c>.</param>
internal readonly record struct TemplateSite(string? Resource, string? Property)
{
    /// <summary>The place of an entry below this one.</summary>
    public TemplateSite Child(string key) => this with { Property = Property is null ? key : $"{Property}.{key}" };

    /// <summary>The place of a list's item below this one.</summary>
    public TemplateSite Item(int index) => this with { Property = $"{Property}[{index}]" };
}

/// <summary>
/// Ends the evaluation of one property. Whoever reads the property catches it, notes the mistake and goes on with the next one,
/// so that one load reports all mistakes.
/// </summary>
internal sealed class TemplateFault(TemplateError error, bool isUnsupported = false) : Exception(error.Message)
{
    /// <summary>The mistake, with its place.</summary>
    public TemplateError Error { get; } = error;

    /// <summary>Whether the template is right and only this loader cannot evaluate it.</summary>
    public bool IsUnsupported { get; } = isUnsupported;
}

/// <summary>Collects what a load finds. The same finding is kept once, however often it is met.</summary>
internal sealed class TemplateDiagnostics
{
    private readonly HashSet<TemplateError> _seen = [];
    private readonly List<TemplateError> _errors = [];
    private readonly List<string> _warnings = [];
    private readonly List<string> _notes = [];
    private readonly List<string> _files = [];

    /// <summary>Whether a mistake was found.</summary>
    public bool HasErrors => _errors.Count > 0;

    /// <summary>The warnings, formatted as errors are.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>The notes.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>The files that were read, or were to be.</summary>
    public IReadOnlyList<string> Files => _files;

    /// <summary>Notes that a file matters to the load.</summary>
    public void AddFile(string path)
    {
        if (!_files.Contains(path)) _files.Add(path);
    }

    /// <summary>Adds a mistake.</summary>
    public void Error(TemplateError error)
    {
        if (_errors.Count < TemplateLimits.ReportCountMax && _seen.Add(error)) _errors.Add(error);
    }

    /// <summary>Adds a mistake.</summary>
    public void Error(string file, int? line, TemplateSite site, string message) =>
        Error(new TemplateError(file, line, site.Resource, site.Property, message));

    /// <summary>Adds a warning.</summary>
    public void Warn(string file, int? line, TemplateSite site, string message)
    {
        var warning = new TemplateError(file, line, site.Resource, site.Property, message);
        if (_warnings.Count < TemplateLimits.ReportCountMax && _seen.Add(warning)) _warnings.Add(warning.ToString());
    }

    /// <summary>Adds a note.</summary>
    public void Note(string note)
    {
        if (_notes.Count < TemplateLimits.ReportCountMax && !_notes.Contains(note)) _notes.Add(note);
    }

    /// <summary>Throws what was found, if anything was.</summary>
    /// <exception cref="TemplateException">There is a mistake.</exception>
    public void ThrowIfErrors()
    {
        if (HasErrors) throw new TemplateException(_errors) { Files = _files };
    }
}
