namespace Fanfare.Gateway.Apis.Templates;

/// <summary>
/// What <c>Ref</c> and <c>Fn::GetAtt</c> give for resources that are no part of an Event API: configured values, else names
/// made up from stack and logical id, the same at every start.
/// </summary>
internal sealed class NeighbourAttributes(TemplateEvaluator stack, TemplateSet set)
{
    /// <summary>Returns an attribute; every attribute of every type has a plausible value.</summary>
    /// <exception cref="TemplateFault">A property that names the resource is wrong.</exception>
    public TemplateNode Get(TemplateResource resource, string attribute, TemplateNode at, TemplateSite site)
    {
        if (set.FindConfigured(stack, resource.LogicalId, attribute) is { } configured)
            return new ScalarNode(configured, at.Line);
        var sensitivity = Sensitivity.Open;
        return (resource.Type, attribute) switch
        {
            ("AWS::IAM::Role", "Ref") => Named(resource, "RoleName"),
            ("AWS::IAM::Role", "Arn") => Text($"arn:{Partition}:iam::{Account}:role/{Reference()}"),
            ("AWS::Lambda::Function" or "AWS::Serverless::Function", "Ref") => Named(resource, "FunctionName"),
            ("AWS::Lambda::Function" or "AWS::Serverless::Function", "Arn") => Text($"{Arn("lambda")}:function:{Reference()}"),
            ("AWS::Lambda::Alias", "Ref" or "AliasArn") => Text($"{FunctionArn()}:{Property("Name")}"),
            ("AWS::Lambda::Version", "Ref" or "FunctionArn") => Text($"{FunctionArn()}:1"),
            ("AWS::Cognito::UserPool", "Ref" or "UserPoolId") => Text(UserPoolId()),
            ("AWS::Cognito::UserPool", "Arn") => Text($"{Arn("cognito-idp")}:userpool/{Reference()}"),
            ("AWS::Cognito::UserPool", "ProviderName") => Text($"cognito-idp.{Region}.{Suffix}/{Reference()}"),
            ("AWS::Cognito::UserPool", "ProviderURL") => Text($"https://cognito-idp.{Region}.{Suffix}/{Reference()}"),
            ("AWS::Cognito::UserPoolClient", "Ref" or "ClientId") => Text(Hash(StableName.LowerAlphanumeric, 26, "Ref")),
            ("AWS::DynamoDB::Table" or "AWS::DynamoDB::GlobalTable", "Ref") => Named(resource, "TableName"),
            ("AWS::DynamoDB::Table" or "AWS::DynamoDB::GlobalTable", "Arn") => Text($"{Arn("dynamodb")}:table/{Reference()}"),
            ("AWS::Events::EventBus", "Ref" or "Name") => Named(resource, "Name"),
            ("AWS::Events::EventBus", "Arn") => Text($"{Arn("events")}:event-bus/{Reference()}"),
            ("AWS::AppSync::GraphQLApi", "Ref" or "Arn") => Text($"{Arn("appsync")}:apis/{ForeignApiId()}"),
            ("AWS::AppSync::GraphQLApi", "ApiId") => Text(ForeignApiId()),
            (_, "Ref") => Named(resource, null),
            _ => Guess(),
        };

        ScalarNode Text(string text) => stack.Produce(text, at, site, sensitivity);

        // An overridden name is also what the ARN is made from.
        string Reference() => Taint((ScalarNode)Get(resource, "Ref", at, site));

        string? Property(string name) => stack.TextProperty(resource, name) is { } value ? Taint(value) : null;

        string Taint(ScalarNode value)
        {
            if (value.Sensitivity > sensitivity) sensitivity = value.Sensitivity;
            return value.Text;
        }

        string Hash(string alphabet, int length, string purpose) =>
            StableName.Hash(alphabet, length, stack.Stack.Name, resource.LogicalId, purpose);

        string FunctionArn()
        {
            var function = Property("FunctionName") ?? MakeUpName(resource);
            return function.StartsWith("arn:", StringComparison.Ordinal) ? function : $"{Arn("lambda")}:function:{function}";
        }

        string UserPoolId()
        {
            var id = set.FindConfigured(stack, resource.LogicalId, "Ref")
                ?? set.FindConfigured(stack, resource.LogicalId, "UserPoolId");
            if (id is not null) return id;
            id = $"{Region}_{Hash(StableName.Alphanumeric, 9, "Ref")}";
            set.MadeUpUserPoolIds.Add(id);
            return id;
        }

        string ForeignApiId()
        {
            var id = set.FindConfigured(stack, resource.LogicalId, "ApiId") ?? Hash(StableName.LowerAlphanumeric, 26, "ApiId");
            set.ForeignApiIds.Add(id);
            return id;
        }

        ScalarNode Guess()
        {
            var segments = resource.Type.Split("::");
            var service = segments is [_, var second, ..] ? second.ToLowerInvariant() : "custom";
            var value = attribute.EndsWith("Arn", StringComparison.Ordinal)
                ? $"{Arn(service)}:{segments[^1].ToLowerInvariant()}/{MakeUpName(resource)}"
                : $"{MakeUpName(resource)}-{attribute}";
            set.Diagnostics.Note(
                $"{stack.Stack.File}: made up {ScalarNode.Shorten(resource.LogicalId)}.{ScalarNode.Shorten(attribute)} "
                + $"of the unknown type {ScalarNode.Shorten(resource.Type)}; configure its value if it matters");
            return Text(value);
        }
    }

    private string Partition => set.Options.Partition;

    private string Region => set.Options.Region;

    private string Account => set.Options.AccountId;

    private string Suffix => set.Options.UrlSuffix;

    private string Arn(string service) => $"arn:{Partition}:{service}:{Region}:{Account}";

    private ScalarNode Named(TemplateResource resource, string? property) =>
        property is not null && stack.TextProperty(resource, property) is { } name
            ? name
            : new ScalarNode(MakeUpName(resource), resource.Line);

    // As CloudFormation does it: stack, logical id and twelve characters at random, which here are a hash.
    private string MakeUpName(TemplateResource resource) => $"{stack.Stack.Name}-{resource.LogicalId}-"
        + StableName.Hash(StableName.UpperAlphanumeric, 12, stack.Stack.Name, resource.LogicalId, "Ref");
}
