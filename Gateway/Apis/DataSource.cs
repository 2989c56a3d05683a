namespace Fanfare.Gateway.Apis;

/// <summary>What a data source is; <c>Type</c> of <c>AWS::AppSync::DataSource</c>.</summary>
public enum DataSourceKind
{
    /// <summary><c>NONE</c>: nothing; what is asked for is the answer.</summary>
    None,

    /// <summary><c>AWS_LAMBDA</c>: a function.</summary>
    Lambda,

    /// <summary><c>AMAZON_DYNAMODB</c>: a table.</summary>
    DynamoDB,

    /// <summary><c>HTTP</c>: a server of any kind.</summary>
    Http,

    /// <summary><c>AMAZON_EVENTBRIDGE</c>: an event bus.</summary>
    EventBridge,

    /// <summary><c>AMAZON_OPENSEARCH_SERVICE</c>, and <c>AMAZON_ELASTICSEARCH</c> before it: a search domain.</summary>
    OpenSearch,

    /// <summary><c>RELATIONAL_DATABASE</c>: a cluster behind the RDS Data API.</summary>
    RelationalDatabase,

    /// <summary><c>AMAZON_BEDROCK_RUNTIME</c>: language models.</summary>
    Bedrock,
}

/// <summary>What a handler may ask, or what is the handler itself; <c>AWS::AppSync::DataSource</c>.</summary>
public sealed record DataSource
{
    /// <summary>The name: letters, digits and underscores; case-sensitive and unique in the API.</summary>
    public required string Name { get; init; }

    /// <summary>What it is.</summary>
    public required DataSourceKind Kind { get; init; }

    /// <summary>The ARN of the function, for <see cref="DataSourceKind.Lambda"/> alone.</summary>
    public string? FunctionArn { get; init; }

    /// <summary>The table, for <see cref="DataSourceKind.DynamoDB"/> alone.</summary>
    public TableSettings? Table { get; init; }

    /// <summary>The server, for <see cref="DataSourceKind.Http"/> alone.</summary>
    public HttpSourceSettings? Http { get; init; }

    /// <summary>The ARN of the bus, for <see cref="DataSourceKind.EventBridge"/> alone.</summary>
    public string? EventBusArn { get; init; }

    /// <summary>The domain, for <see cref="DataSourceKind.OpenSearch"/> alone.</summary>
    public SearchDomainSettings? SearchDomain { get; init; }

    /// <summary>The database, for <see cref="DataSourceKind.RelationalDatabase"/> alone.</summary>
    public DatabaseSettings? Database { get; init; }
}

/// <summary><c>DynamoDBConfig</c>.</summary>
/// <param name="TableName">The table of all operations that do not name one.</param>
/// <param name="AwsRegion">The table's region.</param>
public sealed record TableSettings(string TableName, string AwsRegion);

/// <summary><c>HttpConfig</c>.</summary>
/// <param name="Endpoint">Scheme and host. Made up, and then perhaps no address at all, where it comes from an unknown resource.</param>
public sealed record HttpSourceSettings(string Endpoint)
{
    /// <summary>The region to sign requests for, or <see langword="null"/> where they are not signed.</summary>
    public string? SigningRegion { get; init; }

    /// <summary>The service to sign requests for; present where <see cref="SigningRegion"/> is.</summary>
    public string? SigningServiceName { get; init; }
}

/// <summary><c>OpenSearchServiceConfig</c> and <c>ElasticsearchConfig</c>.</summary>
/// <param name="Endpoint">The domain's address. Made up, and then perhaps none at all, where it comes from an unknown resource.</param>
/// <param name="AwsRegion">The domain's region.</param>
public sealed record SearchDomainSettings(string Endpoint, string AwsRegion);

/// <summary><c>RdsHttpEndpointConfig</c>.</summary>
/// <param name="ClusterArn">The cluster; <c>DbClusterIdentifier</c>.</param>
/// <param name="SecretArn">The secret with the database's credentials; <c>AwsSecretStoreArn</c>.</param>
/// <param name="AwsRegion">The cluster's region.</param>
public sealed record DatabaseSettings(string ClusterArn, string SecretArn, string AwsRegion)
{
    /// <summary>The database, or <see langword="null"/> for the cluster's own.</summary>
    public string? DatabaseName { get; init; }

    /// <summary>The schema, or <see langword="null"/> for the database's own.</summary>
    public string? Schema { get; init; }
}
