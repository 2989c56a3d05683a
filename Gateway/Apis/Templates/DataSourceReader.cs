using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Reads <c>AWS::AppSync::DataSource</c> (control-plane facts, 2.4).</summary>
internal sealed partial class DataSourceReader(TemplateDiagnostics diagnostics)
{
    private const int TextLengthMax = 2048;

    private static readonly (string Type, DataSourceKind Kind, string? Block)[] s_types =
    [
        ("AWS_LAMBDA", DataSourceKind.Lambda, "LambdaConfig"),
        ("AMAZON_DYNAMODB", DataSourceKind.DynamoDB, "DynamoDBConfig"),
        ("AMAZON_ELASTICSEARCH", DataSourceKind.OpenSearch, "ElasticsearchConfig"),
        ("AMAZON_OPENSEARCH_SERVICE", DataSourceKind.OpenSearch, "OpenSearchServiceConfig"),
        ("AMAZON_EVENTBRIDGE", DataSourceKind.EventBridge, "EventBridgeConfig"),
        ("AMAZON_BEDROCK_RUNTIME", DataSourceKind.Bedrock, null),
        ("NONE", DataSourceKind.None, null),
        ("HTTP", DataSourceKind.Http, "HttpConfig"),
        ("RELATIONAL_DATABASE", DataSourceKind.RelationalDatabase, "RelationalDatabaseConfig"),
    ];

    private static readonly string[] s_typeNames = [.. s_types.Select(type => type.Type)];

    /// <summary>Reads a data source into the API it belongs to.</summary>
    public void Read(TemplateEvaluator stack, TemplateResource resource, Func<PropertyReader, ApiDraft?> findOwner)
    {
        var properties = PropertyReader.ForResource(stack, diagnostics, resource,
            "ApiId", "Name", "Type", "Description", "ServiceRoleArn", "LambdaConfig", "DynamoDBConfig", "HttpConfig",
            "EventBridgeConfig", "OpenSearchServiceConfig", "ElasticsearchConfig", "RelationalDatabaseConfig", "MetricsConfig");
        var name = properties.Text(
            "Name", 1, 512, NamePattern(), "letters, digits and '_', and not begin with a digit", isRequired: true);
        var type = properties.Word("Type", s_typeNames, isRequired: true);
        var draft = findOwner(properties);
        if (type is null) return;
        var source = ReadSettings(properties, type, name ?? "");
        if (draft is null || name is null) return;
        if (!draft.DataSources.TryAdd(name, new DataSourceDraft(source, type, properties.Text("Name")!.Describe())))
            properties.Error("Name", "is the name of another data source of the API");
    }

    private static DataSource ReadSettings(PropertyReader properties, string type, string name)
    {
        var (_, kind, block) = Array.Find(s_types, entry => entry.Type == type);
        foreach (var (otherType, _, otherBlock) in s_types)
        {
            if (otherBlock is not null && otherType != type && properties.Value(otherBlock) is not null)
                properties.Warn(otherBlock, $"does not belong to {type}, ignored");
        }

        var source = new DataSource { Name = name, Kind = kind };
        return kind switch
        {
            DataSourceKind.Lambda => source with { FunctionArn = ReadFunction(properties, block!) },
            DataSourceKind.DynamoDB => source with { Table = ReadTable(properties, block!) },
            DataSourceKind.Http => source with { Http = ReadHttp(properties, block!) },
            DataSourceKind.EventBridge => source with { EventBusArn = ReadBus(properties, block!) },
            DataSourceKind.OpenSearch => source with { SearchDomain = ReadSearchDomain(properties, block!) },
            DataSourceKind.RelationalDatabase => source with { Database = ReadDatabase(properties, block!) },
            _ => source,
        };
    }

    private static string? ReadFunction(PropertyReader properties, string block)
    {
        if (properties.Object(block, true, "LambdaFunctionArn") is not { } lambda
            || lambda.Text("LambdaFunctionArn", isRequired: true) is not { } function) return null;

        // Not a mistake, as for authorizers: a made-up value is good enough where the function's endpoint is configured.
        if (!function.Text.Contains(":lambda:", StringComparison.Ordinal)
            || !function.Text.Contains(":function:", StringComparison.Ordinal))
            lambda.Warn("LambdaFunctionArn", $"{function.Describe()} does not look like the ARN of a Lambda function");
        return function.Text;
    }

    private static TableSettings? ReadTable(PropertyReader properties, string block)
    {
        if (properties.Object(
            block, true, "TableName", "AwsRegion", "UseCallerCredentials", "Versioned", "DeltaSyncConfig") is not { } table)
            return null;
        var name = table.Text("TableName", 1, TextLengthMax, isRequired: true);
        var region = ReadRegion(table);
        if (table.Text("Versioned") is { Text: "true" })
            table.Warn("Versioned", "means nothing in Event APIs, ignored");
        return name is null || region is null ? null : new TableSettings(name, region);
    }

    private static HttpSourceSettings? ReadHttp(PropertyReader properties, string block)
    {
        if (properties.Object(block, true, "Endpoint", "AuthorizationConfig") is not { } http) return null;
        var endpoint = ReadEndpoint(http);
        string? region = null, service = null;
        if (http.Object("AuthorizationConfig", false, "AuthorizationType", "AwsIamConfig") is { } authorization)
        {
            authorization.Word("AuthorizationType", ["AWS_IAM"], isRequired: true);
            var iam = authorization.Object("AwsIamConfig", true, "SigningRegion", "SigningServiceName");
            region = iam?.Text("SigningRegion", 1, 64, isRequired: true);
            service = iam?.Text("SigningServiceName", 1, 64, isRequired: true);
        }

        return endpoint is null
            ? null
            : new HttpSourceSettings(endpoint) { SigningRegion = region, SigningServiceName = service };
    }

    private static string? ReadBus(PropertyReader properties, string block) =>
        properties.Object(block, true, "EventBusArn")?.Text("EventBusArn", 1, TextLengthMax, isRequired: true);

    private static SearchDomainSettings? ReadSearchDomain(PropertyReader properties, string block)
    {
        if (properties.Object(block, true, "Endpoint", "AwsRegion") is not { } domain) return null;
        var endpoint = ReadEndpoint(domain);
        var region = ReadRegion(domain);
        return endpoint is null || region is null ? null : new SearchDomainSettings(endpoint, region);
    }

    private static DatabaseSettings? ReadDatabase(PropertyReader properties, string block)
    {
        if (properties.Object(block, true, "RelationalDatabaseSourceType", "RdsHttpEndpointConfig") is not { } relational)
            return null;
        relational.Word("RelationalDatabaseSourceType", ["RDS_HTTP_ENDPOINT"], isRequired: true);
        if (relational.Object(
            "RdsHttpEndpointConfig", true, "AwsRegion", "DbClusterIdentifier", "AwsSecretStoreArn", "DatabaseName", "Schema")
            is not { } endpoint) return null;
        var region = ReadRegion(endpoint);
        var cluster = endpoint.Text("DbClusterIdentifier", 1, TextLengthMax, isRequired: true);
        var secret = endpoint.Text("AwsSecretStoreArn", 1, TextLengthMax, isRequired: true);
        var database = endpoint.Text("DatabaseName", 1, TextLengthMax);
        var schema = endpoint.Text("Schema", 1, TextLengthMax);
        return region is null || cluster is null || secret is null
            ? null
            : new DatabaseSettings(cluster, secret, region) { DatabaseName = database, Schema = schema };
    }

    private static string? ReadRegion(PropertyReader properties) => properties.Text("AwsRegion", 1, 64, isRequired: true);

    private static string? ReadEndpoint(PropertyReader properties)
    {
        if (properties.Text("Endpoint", isRequired: true) is not { } endpoint) return null;

        // Not a mistake: the address of an unknown resource is made up, and the real one can be configured.
        if (!Uri.TryCreate(endpoint.Text, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            properties.Warn("Endpoint", $"{endpoint.Describe()} is no http or https address");
        return endpoint.Text;
    }

    [GeneratedRegex(@"\A[_A-Za-z][_0-9A-Za-z]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();
}
