namespace Fanfare.Gateway.Apis.Templates;

/// <summary>One mistake in a template.</summary>
/// <param name="File">The file, as it was named to the loader.</param>
/// <param name="Line">The line, counted from 1, or <see langword="null"/> where the whole file is meant.</param>
/// <param name="Resource">The resource's logical id, or <see langword="null"/> outside resources.</param>
/// <param name="Property">The path inside the resource or, without one, inside the template; or <see langword="null"/>.</param>
/// <param name="Message">What was found and what is allowed. Never holds a secret.</param>
internal sealed record TemplateError(string File, int? Line, string? Resource, string? Property, string Message)
{
    /// <summary>Formats the mistake on one line: <c>file:line: Resource.Properties.Name: message</c>.</summary>
    public override string ToString()
    {
        var position = Line is null ? File : $"{File}:{Line}";
        var place = (Resource, Property) switch
        {
            (null, null) => null,
            (null, _) => Property,
            (_, null) => Resource,
            _ => $"{Resource}.{Property}",
        };
        return place is null ? $"{position}: {Message}" : $"{position}: {place}: {Message}";
    }
}

/// <summary>Templates that cannot be loaded, with every mistake that was found.</summary>
internal sealed class TemplateException : Exception
{
    /// <summary>Creates the exception from at least one mistake.</summary>
    public TemplateException(IReadOnlyList<TemplateError> errors)
        : base(string.Join(Environment.NewLine, errors))
    {
        ArgumentOutOfRangeException.ThrowIfZero(errors.Count);
        Errors = errors;
    }

    /// <summary>The mistakes, in the order they were found.</summary>
    public IReadOnlyList<TemplateError> Errors { get; }

    /// <summary>The files that were read, or were to be.</summary>
    public IReadOnlyList<string> Files { get; init; } = [];
}
