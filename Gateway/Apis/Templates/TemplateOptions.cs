using System.Collections.Frozen;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>
/// What a template cannot say about itself: where it is "deployed", and which real things its logical ids stand for.
/// </summary>
internal sealed record TemplateOptions
{
    /// <summary>The value of <c>AWS::Region</c>.</summary>
    public string Region { get; init; } = "us-east-1";

    /// <summary>The value of <c>AWS::AccountId</c>: twelve digits, by custom all zero where there is no account.</summary>
    public string AccountId { get; init; } = "000000000000";

    /// <summary>The value of <c>AWS::Partition</c>.</summary>
    public string Partition { get; init; } = "aws";

    /// <summary>The value of <c>AWS::URLSuffix</c>.</summary>
    public string UrlSuffix { get; init; } = "amazonaws.com";

    /// <summary>
    /// The value of <c>AWS::StackName</c> for templates given as files; <see langword="null"/> means the file's name without its
    /// extensions. A stack of a CDK assembly always keeps its own name. Made-up ids depend on it.
    /// </summary>
    public string? StackName { get; init; }

    /// <summary>
    /// Host and port of the default API, such as <c>localhost:8080</c>; other APIs put their id and a dot before it.
    /// </summary>
    public required string Authority { get; init; }

    /// <summary>The secret that API keys without a configured value are derived from. Never empty.</summary>
    public required byte[] KeySecret { get; init; }

    /// <summary>
    /// The value of the default API's first key, or <see langword="null"/>. Where that API declares no key, one that never
    /// expires is added with this value.
    /// </summary>
    public string? ApiKeyOverride { get; init; }

    /// <summary>Template parameters by name, for every template that declares them.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>What <c>Fn::ImportValue</c> finds when no template loaded at the same time exports the name.</summary>
    public IReadOnlyDictionary<string, string> Exports { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>
    /// Real values by logical id and then by attribute, <c>Ref</c> included, such as <c>Users</c> / <c>Ref</c> for a user
    /// pool's id, <c>Api</c> / <c>ApiId</c> or <c>Key</c> / <c>ApiKey</c>. A logical id that several stacks use is written
    /// <c>Stack.LogicalId</c>, which goes first.
    /// </summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> ResourceValues { get; init; } =
        FrozenDictionary<string, IReadOnlyDictionary<string, string>>.Empty;

    /// <summary>The clock that API keys' lives are counted from.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Describes the options without keys, parameters and values, any of which may be secret.</summary>
    public override string ToString() => $"TemplateOptions {{ StackName = {StackName}, Region = {Region}, Authority = {Authority} }}";
}
