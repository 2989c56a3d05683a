namespace Fanfare.Gateway.Apis.Templates;

/// <summary>What templates that loaded without a mistake amount to.</summary>
/// <param name="Apis">The APIs in the order of files and resources; the first is the default API.</param>
/// <param name="Keys">The keys of all APIs in plain, in their order; for showing at the start only.</param>
/// <param name="Outputs">The outputs of all templates, in order.</param>
/// <param name="Warnings">What was accepted but is probably not what the author meant, one line each.</param>
/// <param name="Notes">What an operator may want to know, such as resource types that were ignored, one line each.</param>
internal sealed record TemplateResult(
    IReadOnlyList<Api> Apis,
    IReadOnlyList<IssuedKey> Keys,
    IReadOnlyList<TemplateOutput> Outputs,
    IReadOnlyList<string> Warnings,
    IReadOnlyList<string> Notes)
{
    /// <summary>The files that all of this was read from: templates, manifests, handlers' code.</summary>
    public IReadOnlyList<string> Files { get; init; } = [];
}

/// <summary>One output of a template.</summary>
/// <param name="Stack">The stack's name.</param>
/// <param name="Name">The output's logical id.</param>
/// <param name="Value">The value; masked where it comes from a <c>NoEcho</c> parameter.</param>
/// <param name="Export">The name other stacks import it under, or <see langword="null"/>.</param>
internal sealed record TemplateOutput(string Stack, string Name, string Value, string? Export)
{
    /// <summary>
    /// Whether <see cref="Value"/> holds an API key. The template's author asked for it, so an operator may see it; a log may
    /// not.
    /// </summary>
    public bool IsSecret { get; init; }

    /// <summary>Describes the output without a secret value.</summary>
    public override string ToString() => $"{Stack}.{Name} = {(IsSecret ? ScalarNode.Mask : Value)}";
}
