using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads <c>AWS::AppSync::ChannelNamespace</c> (control-plane facts, 2.2).</summary>
internal sealed partial class ChannelNamespaceReader(TemplateSet set)
{
    /// <summary>Bytes of a code file: the longest code in the longest UTF-8.</summary>
    private const int CodeBytesMax = TemplateLimits.CodeLengthMax * 4;

    /// <summary>Reads a namespace into the API it belongs to.</summary>
    public void Read(TemplateEvaluator stack, TemplateResource resource, Func<PropertyReader, ApiDraft?> findOwner)
    {
        var properties = PropertyReader.ForResource(stack, set.Diagnostics, resource,
            "ApiId", "Name", "PublishAuthModes", "SubscribeAuthModes", "CodeHandlers", "CodeS3Location", "HandlerConfigs",
            "Tags");
        var draft = findOwner(properties);
        var name = properties.Text(
            "Name", 1, 50, NamePattern(), "letters, digits and inner hyphens", isRequired: true);

        // Without its API, modes and data sources cannot be checked; what is wrong with the rest is still worth saying.
        var provided = draft?.Settings.ProvidedModes ?? (AuthModes)~0;
        var code = ReadCode(stack, properties);
        var handlers = properties.Object("HandlerConfigs", false, "OnPublish", "OnSubscribe");
        var channelNamespace = new ChannelNamespace
        {
            Name = name ?? "",
            PublishModes = AuthModeReader.Read(properties, "PublishAuthModes", provided),
            SubscribeModes = AuthModeReader.Read(properties, "SubscribeAuthModes", provided),
            Code = code,
            OnPublish = ReadHandler(handlers, "OnPublish", draft),
            OnSubscribe = ReadHandler(handlers, "OnSubscribe", draft),
            Tags = TagReader.Read(properties),
        };
        if (code is not null && channelNamespace is { OnPublish.IsDirect: true, OnSubscribe.IsDirect: true })
            properties.Warn("HandlerConfigs", "makes both handlers DIRECT, so the namespace's code never runs");
        if (draft is null || name is null) return;
        if (!draft.Namespaces.TryAdd(name, channelNamespace))
            properties.Error("Name", $"{properties.Text("Name")!.Describe()} is the name of another namespace of the API");
    }

    private string? ReadCode(TemplateEvaluator stack, PropertyReader properties)
    {
        var code = properties.Text("CodeHandlers", 1, TemplateLimits.CodeLengthMax);
        if (properties.Value("CodeHandlers") is not null)
        {
            if (properties.Value("CodeS3Location") is not null)
                properties.Warn("CodeS3Location", "is ignored, because CodeHandlers is given as well");
            return code;
        }

        if (properties.Text("CodeS3Location") is not { } location) return null;
        if (location.Sensitivity != Sensitivity.Open)
        {
            properties.Error("CodeS3Location", "must not come from a secret");
            return null;
        }

        string error;
        var file = location.Text.Contains("://", StringComparison.Ordinal)
            ? CloudAssembly.FindAsset(stack.Stack.File, location.Text, Substitute, set.Diagnostics, out error)
            : CloudAssembly.FindLocalFile(stack.Stack.File, location.Text, out error);
        if (file is null)
        {
            properties.Error("CodeS3Location", error);
            return null;
        }

        set.Diagnostics.AddFile(file);
        if (TemplateSource.TryReadText(file, CodeBytesMax, out error) is not { } text)
        {
            properties.Error("CodeS3Location", $"the file {Path.GetFileName(file)} {error}");
            return null;
        }

        if (text.Length is > 0 and <= TemplateLimits.CodeLengthMax) return text;
        properties.Error("CodeS3Location",
            $"the file {Path.GetFileName(file)} must have 1 to {TemplateLimits.CodeLengthMax:N0} characters, "
            + $"found {text.Length:N0}");
        return null;
    }

    private static HandlerConfig? ReadHandler(PropertyReader? handlers, string name, ApiDraft? draft)
    {
        if (handlers?.Object(name, false, "Behavior", "Integration") is not { } handler) return null;
        var behavior = handler.Word("Behavior", ["CODE", "DIRECT"], isRequired: true);
        if (handler.Object("Integration", true, "DataSourceName", "LambdaConfig") is not { } integration || behavior is null)
            return null;
        var isDirect = behavior == "DIRECT";

        // CDK writes an empty name where there is no data source.
        var source = integration.Text("DataSourceName", 0, 512, isRequired: true);
        if (source is "") source = null;
        var invokeType =
            integration.Object("LambdaConfig", false, "InvokeType")?.Word("InvokeType", ["REQUEST_RESPONSE", "EVENT"]);
        if (draft is not null && source is not null && !draft.DataSources.ContainsKey(source))
        {
            var known = draft.DataSources.Count == 0
                ? "it has none"
                : $"it has {string.Join(", ", draft.DataSources.Values.Select(known => known.Shown).Order())}";
            integration.Error("DataSourceName",
                $"{integration.Text("DataSourceName")!.Describe()} is no data source of the API; {ScalarNode.Shorten(known)}");
        }
        else if (isDirect && source is null)
        {
            integration.Error("DataSourceName", "DIRECT needs a Lambda data source");
        }
        else if (isDirect && draft is not null && draft.DataSources[source!].Source.Kind != DataSourceKind.Lambda)
        {
            integration.Error(
                "DataSourceName", $"DIRECT needs a Lambda data source, and this one is {draft.DataSources[source!].Type}");
        }

        return new HandlerConfig { IsDirect = isDirect, DataSourceName = source, IsEventInvoke = invokeType == "EVENT" };
    }

    private string Substitute(string text) => text
        .Replace("${AWS::AccountId}", set.Options.AccountId, StringComparison.Ordinal)
        .Replace("${AWS::Region}", set.Options.Region, StringComparison.Ordinal)
        .Replace("${AWS::Partition}", set.Options.Partition, StringComparison.Ordinal);

    [GeneratedRegex(@"\A[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();
}
