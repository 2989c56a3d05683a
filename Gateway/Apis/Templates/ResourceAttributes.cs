namespace Fanfare.Gateway.Apis.Templates;

/// <summary>
/// What <c>Ref</c> and <c>Fn::GetAtt</c> give for the resources of an Event API; neighbours are asked elsewhere.
/// </summary>
internal sealed class ResourceAttributes(TemplateEvaluator stack, TemplateSet set)
{
    /// <summary>CloudFront's hosted zone, which AppSync gives for every custom domain.</summary>
    private const string CloudFrontHostedZoneId = "Z2FDTNDATAQYW2";

    private readonly NeighbourAttributes _neighbours = new(stack, set);

    /// <summary>Returns an attribute of a resource that exists.</summary>
    /// <exception cref="TemplateFault">The type has no such attribute, or a property it is made from is wrong.</exception>
    public TemplateNode Get(TemplateResource resource, string attribute, TemplateNode at, TemplateSite site)
    {
        if (!ResourceTypes.IsEventApi(resource.Type)) return _neighbours.Get(resource, attribute, at, site);
        return resource.Type switch
        {
            ResourceTypes.Api => GetApi(resource, attribute, at),
            ResourceTypes.ChannelNamespace when attribute is "Ref" or "ChannelNamespaceArn" =>
                Child(resource, "channelNamespace", Required(resource, "Name", at, site), at, site),
            ResourceTypes.ApiKey when attribute is "ApiKey" or "ApiKeyId" => GetKey(resource),
            ResourceTypes.ApiKey when attribute is "Ref" or "Arn" => Child(resource, "apikey", GetKey(resource), at, site),
            ResourceTypes.DataSource when attribute is "Name" => Required(resource, "Name", at, site),
            ResourceTypes.DataSource when attribute is "Ref" or "DataSourceArn" =>
                Child(resource, "datasources", Required(resource, "Name", at, site), at, site),
            ResourceTypes.DomainName => GetDomainName(resource, attribute, at, site),
            ResourceTypes.DomainNameApiAssociation when attribute is "Ref" or "ApiAssociationIdentifier" =>
                stack.Produce($"{Required(resource, "DomainName", at, site).Text}/ApiAssociation", at, site),
            _ => null,
        }
        ?? throw stack.Fault(at, site, $"{resource.Type} has no attribute '{ScalarNode.Shorten(attribute)}'");
    }

    /// <summary>The value of a key: overridden, else configured, else derived from the secret.</summary>
    public ScalarNode GetKey(TemplateResource resource)
    {
        var value = set.OverriddenKey == (stack, resource.LogicalId)
            ? set.Options.ApiKeyOverride!
            : set.FindConfigured(stack, resource.LogicalId, "ApiKey")
                ?? set.FindConfigured(stack, resource.LogicalId, "ApiKeyId")
                ?? "da2-" + StableName.Derive(
                    set.Options.KeySecret, StableName.LowerAlphanumeric, 26, stack.Stack.Name, resource.LogicalId, "ApiKey");
        return new ScalarNode(value, resource.Line, ScalarKind.Text, Sensitivity.Key);
    }

    private TemplateNode? GetApi(TemplateResource resource, string attribute, TemplateNode at)
    {
        // Known unless the API's own condition failed, which is noted already; the attribute is then as good as missing.
        if (set.FindApi(stack, resource.LogicalId) is not { } api) return null;
        return attribute switch
        {
            "Ref" or "ApiArn" => Scalar($"{Arn}:apis/{api.Id}"),
            "ApiId" => Scalar(api.Id),
            "Dns.Http" or "Dns.Realtime" => Scalar(api.Host),
            "Dns" => new MapNode(
                [new MapEntry("Http", at.Line, Scalar(api.Host)), new MapEntry("Realtime", at.Line, Scalar(api.Host))], at.Line),
            _ => null,
        };

        ScalarNode Scalar(string text) => new(text, at.Line);
    }

    private ScalarNode? GetDomainName(TemplateResource resource, string attribute, TemplateNode at, TemplateSite site)
    {
        var name = Required(resource, "DomainName", at, site);
        return attribute switch
        {
            "Ref" or "DomainName" => name,
            "DomainNameArn" => stack.Produce($"{Arn}:domainnames/{name.Text}", at, site, name.Sensitivity),
            "AppSyncDomainName" => stack.Produce(
                $"d{StableName.Hash(StableName.LowerAlphanumeric, 13, stack.Stack.Name, resource.LogicalId)}.cloudfront.net",
                at,
                site),
            "HostedZoneId" => stack.Produce(CloudFrontHostedZoneId, at, site),
            _ => null,
        };
    }

    private ScalarNode Child(TemplateResource resource, string kind, ScalarNode name, TemplateNode at, TemplateSite site)
    {
        var api = Required(resource, "ApiId", at, site);
        var sensitivity = name.Sensitivity > api.Sensitivity ? name.Sensitivity : api.Sensitivity;
        return stack.Produce($"{Arn}:apis/{EventApiReader.GetApiId(api.Text)}/{kind}/{name.Text}", at, site, sensitivity);
    }

    private string Arn => $"arn:{set.Options.Partition}:appsync:{set.Options.Region}:{set.Options.AccountId}";

    private ScalarNode Required(TemplateResource resource, string property, TemplateNode at, TemplateSite site) =>
        stack.TextProperty(resource, property)
        ?? throw stack.Fault(at, site, $"'{resource.LogicalId}' has no {property} to make the value from");
}
