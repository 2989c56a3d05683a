using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>A data source with what messages say of it.</summary>
/// <param name="Source">The data source.</param>
/// <param name="Type">The type as the template has it.</param>
/// <param name="Shown">The name as messages may show it.</param>
internal sealed record DataSourceDraft(DataSource Source, string Type, string Shown);

/// <summary>An API that is being put together from its resources.</summary>
internal sealed class ApiDraft(ApiIdentity identity)
{
    /// <summary>What was known before.</summary>
    public ApiIdentity Identity { get; } = identity;

    /// <summary>The settings of the API's own resource.</summary>
    public ApiSettings Settings { get; set; } = ApiSettings.Empty;

    /// <summary>The data sources by name.</summary>
    public Dictionary<string, DataSourceDraft> DataSources { get; } = new(StringComparer.Ordinal);

    /// <summary>The namespaces by name.</summary>
    public Dictionary<string, ChannelNamespace> Namespaces { get; } = new(StringComparer.Ordinal);

    /// <summary>The keys.</summary>
    public List<ApiKey> Keys { get; } = [];

    /// <summary>The same keys in plain.</summary>
    public List<IssuedKey> IssuedKeys { get; } = [];

    /// <summary>The custom domain names.</summary>
    public List<string> DomainNames { get; } = [];

    /// <summary>Adds a key.</summary>
    public void AddKey(string value, string? description, DateTimeOffset? expires)
    {
        var issued = new IssuedKey(Identity.Id, value, expires);
        IssuedKeys.Add(issued);
        Keys.Add(issued.ToApiKey(description));
    }
}

/// <summary>
/// Reads the resources of all stacks into APIs. References decide what belongs together, not the order of resources.
/// </summary>
internal sealed partial class EventApiReader
{
    private readonly TemplateSet _set;
    private readonly List<ApiDraft> _drafts = [];
    private readonly Dictionary<string, ApiDraft> _byId = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ApiDraft> _byDomainName = new(StringComparer.OrdinalIgnoreCase);

    private EventApiReader(TemplateSet set) => _set = set;

    /// <summary>Reads all APIs, and notes all mistakes.</summary>
    /// <returns>The APIs, and their keys in plain.</returns>
    public static (IReadOnlyList<Api> Apis, IReadOnlyList<IssuedKey> Keys) ReadAll(TemplateSet set)
    {
        var reader = new EventApiReader(set);
        var apis = reader.ReadAll();
        return (apis, [.. reader._drafts.SelectMany(draft => draft.IssuedKeys)]);
    }

    /// <summary>Takes the id from an API's ARN; every other text is an id already.</summary>
    public static string GetApiId(string idOrArn) =>
        ApiArn().Match(idOrArn) is { Success: true } match ? match.Groups["id"].Value : idOrArn;

    private List<Api> ReadAll()
    {
        foreach (var identity in _set.Apis)
        {
            var settings = new ApiSettingsReader(_set).Read(identity);
            var draft = new ApiDraft(identity) { Settings = settings };
            _drafts.Add(draft);
            if (!_byId.TryAdd(identity.Id, draft)) ReportSameId(identity, _byId[identity.Id].Identity);
            else if (!ApiId().IsMatch(identity.Id))
            {
                Error(identity.Stack, identity.Resource,
                    $"the configured ApiId {Quote(identity.Id)} must be 1 to 63 lower-case letters, digits and inner hyphens");
            }
        }

        // Handler configurations name data sources, so those go first.
        ForEach(ResourceTypes.DataSource, new DataSourceReader(_set.Diagnostics).Read);
        ForEach(ResourceTypes.ChannelNamespace, new ChannelNamespaceReader(_set).Read);
        ForEach(ResourceTypes.ApiKey, new ApiKeyReader(_set).Read);
        ForEach(ResourceTypes.DomainName, ReadDomainName);
        ForEach(ResourceTypes.DomainNameApiAssociation, ReadAssociation);
        AddOverrideKey();
        return [.. _drafts.Select(Build)];
    }

    private void ForEach(string type, Action<TemplateEvaluator, TemplateResource, Func<PropertyReader, ApiDraft?>> read)
    {
        foreach (var stack in _set.Stacks)
        {
            foreach (var resource in stack.Stack.Resources)
                if (resource.Type == type && _set.Exists(stack, resource)) read(stack, resource, FindOwner);
        }
    }

    /// <summary>Finds the API that a resource's <c>ApiId</c> names.</summary>
    private ApiDraft? FindOwner(PropertyReader properties)
    {
        if (properties.Text("ApiId", isRequired: true) is not { } text) return null;
        var id = GetApiId(text.Text);
        if (id != text.Text)
            properties.Warn("ApiId", "is an API's ARN, which AWS refuses; use !GetAtt with ApiId rather than !Ref");
        if (_byId.TryGetValue(id, out var draft)) return draft;
        if (_set.ForeignApiIds.Contains(id))
            _set.Diagnostics.Note($"{properties.Site.Resource}: belongs to a GraphQL API, ignored");
        else properties.Error("ApiId", $"{text.Describe()} is no API of these templates");
        return null;
    }

    private void ReadDomainName(TemplateEvaluator stack, TemplateResource resource, Func<PropertyReader, ApiDraft?> findOwner)
    {
        var properties = PropertyReader.ForResource(
            stack, _set.Diagnostics, resource, "DomainName", "CertificateArn", "Description", "Tags");
        ReadHost(properties);
        properties.Text("CertificateArn", isRequired: true);
        TagReader.Read(properties);
    }

    private void ReadAssociation(TemplateEvaluator stack, TemplateResource resource, Func<PropertyReader, ApiDraft?> findOwner)
    {
        var properties = PropertyReader.ForResource(stack, _set.Diagnostics, resource, "DomainName", "ApiId");
        var name = ReadHost(properties);
        if (findOwner(properties) is not { } draft || name is null) return;
        if (_byDomainName.TryAdd(name, draft)) draft.DomainNames.Add(name);
        else if (_byDomainName[name] != draft) properties.Error("DomainName", "is already the domain of another API");
    }

    private static string? ReadHost(PropertyReader properties) => properties.Text(
        "DomainName", 1, 253, HostName(), "labels of letters, digits and hyphens with dots between them", isRequired: true);

    private void AddOverrideKey()
    {
        if (string.IsNullOrWhiteSpace(_set.Options.ApiKeyOverride) || _drafts.Count == 0 || _drafts[0].Keys.Count > 0) return;
        if (!ApiKeyReader.IsUsable(_set.Options.ApiKeyOverride))
            _set.Diagnostics.Error("configuration", null, default, $"the API key {ApiKeyReader.UsableRule}");
        _drafts[0].AddKey(_set.Options.ApiKeyOverride, "from the configuration", expires: null);
    }

    private void ReportSameId(ApiIdentity api, ApiIdentity other)
    {
        Error(api.Stack, api.Resource,
            $"has the id {Quote(api.Id)} of the API on {other.Stack.Stack.File}:{other.Resource.Line}; "
            + "made-up ids need stacks of different names, so rename a file or configure an ApiId");
    }

    private void Error(TemplateEvaluator stack, TemplateResource resource, string message) =>
        _set.Diagnostics.Error(stack.Stack.File, resource.Line, resource.Site, message);

    private static string Quote(string text) => $"'{ScalarNode.Shorten(text)}'";

    private static Api Build(ApiDraft draft) => new()
    {
        Id = draft.Identity.Id,
        Name = draft.Settings.Name,
        OwnerContact = draft.Settings.OwnerContact,
        HttpHost = draft.Identity.Host,
        RealtimeHost = draft.Identity.Host,
        DomainNames = draft.DomainNames,
        AuthProviders = draft.Settings.AuthProviders,
        ConnectionModes = draft.Settings.ConnectionModes,
        DefaultPublishModes = draft.Settings.DefaultPublishModes,
        DefaultSubscribeModes = draft.Settings.DefaultSubscribeModes,
        LogLevel = draft.Settings.LogLevel,
        DataSources = draft.DataSources.ToFrozenDictionary(entry => entry.Key, entry => entry.Value.Source, StringComparer.Ordinal),
        Namespaces = draft.Namespaces.ToFrozenDictionary(StringComparer.Ordinal),
        Keys = draft.Keys,
        Tags = draft.Settings.Tags,
    };

    [GeneratedRegex(@"\Aarn:[^:]*:appsync:[^:]*:[^:]*:(?:/v1/)?apis/(?<id>[^/:]+)\z", RegexOptions.CultureInvariant)]
    private static partial Regex ApiArn();

    // A host label rather than exactly 26 characters: a configured id may be a name people can read.
    [GeneratedRegex(@"\A[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex ApiId();

    [GeneratedRegex(
        @"\A(?:\*\.)?(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\z",
        RegexOptions.CultureInvariant)]
    private static partial Regex HostName();
}
