using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads what handler configurations need to know of <c>AWS::AppSync::DataSource</c>: name and type.</summary>
internal sealed partial class DataSourceReader(TemplateDiagnostics diagnostics)
{
    /// <summary>The type that can be a handler without code.</summary>
    public const string LambdaType = "AWS_LAMBDA";

    private static readonly string[] s_types =
    [
        LambdaType, "AMAZON_DYNAMODB", "AMAZON_ELASTICSEARCH", "AMAZON_OPENSEARCH_SERVICE", "AMAZON_EVENTBRIDGE",
        "AMAZON_BEDROCK_RUNTIME", "NONE", "HTTP", "RELATIONAL_DATABASE",
    ];

    /// <summary>Reads a data source into the API it belongs to.</summary>
    public void Read(TemplateEvaluator stack, TemplateResource resource, Func<PropertyReader, ApiDraft?> findOwner)
    {
        var properties = PropertyReader.ForResource(stack, diagnostics, resource,
            "ApiId", "Name", "Type", "Description", "ServiceRoleArn", "LambdaConfig", "DynamoDBConfig", "HttpConfig",
            "EventBridgeConfig", "OpenSearchServiceConfig", "ElasticsearchConfig", "RelationalDatabaseConfig", "MetricsConfig");
        var name = properties.Text(
            "Name", 1, 512, NamePattern(), "letters, digits and '_', and not begin with a digit", isRequired: true);
        var type = properties.Word("Type", s_types, isRequired: true);
        if (findOwner(properties) is not { } draft || name is null || type is null) return;
        if (!draft.DataSources.TryAdd(name, (type, properties.Text("Name")!.Describe())))
            properties.Error("Name", "is the name of another data source of the API");
    }

    [GeneratedRegex(@"\A[_A-Za-z][_0-9A-Za-z]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();
}
