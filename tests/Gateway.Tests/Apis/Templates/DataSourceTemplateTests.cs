using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>What a data source's resource says is what the model holds; what is missing is said, and what is foreign is made up.</summary>
public sealed class DataSourceTemplateTests : IDisposable
{
    private readonly TemplateFixture _fixture = new();

    public static TheoryData<string, DataSource> Kinds => new()
    {
        { "Type: NONE", Source(DataSourceKind.None) },
        { "Type: AMAZON_BEDROCK_RUNTIME, ServiceRoleArn: r", Source(DataSourceKind.Bedrock) },
        {
            "Type: AWS_LAMBDA, LambdaConfig: {LambdaFunctionArn: 'arn:aws:lambda:eu-west-1:1:function:f:live'}",
            Source(DataSourceKind.Lambda) with { FunctionArn = "arn:aws:lambda:eu-west-1:1:function:f:live" }
        },
        {
            "Type: AMAZON_DYNAMODB, DynamoDBConfig: {TableName: t, AwsRegion: eu-west-1, UseCallerCredentials: false}",
            Source(DataSourceKind.DynamoDB) with { Table = new TableSettings("t", "eu-west-1") }
        },
        {
            "Type: HTTP, HttpConfig: {Endpoint: 'https://a.example'}",
            Source(DataSourceKind.Http) with { Http = new HttpSourceSettings("https://a.example") }
        },
        {
            "Type: HTTP, HttpConfig: {Endpoint: 'https://a.example', AuthorizationConfig: {AuthorizationType: AWS_IAM, "
            + "AwsIamConfig: {SigningRegion: eu-west-1, SigningServiceName: execute-api}}}",
            Source(DataSourceKind.Http) with
            {
                Http = new HttpSourceSettings("https://a.example") { SigningRegion = "eu-west-1", SigningServiceName = "execute-api" },
            }
        },
        {
            "Type: AMAZON_EVENTBRIDGE, EventBridgeConfig: {EventBusArn: 'arn:aws:events:eu-west-1:1:event-bus/b'}",
            Source(DataSourceKind.EventBridge) with { EventBusArn = "arn:aws:events:eu-west-1:1:event-bus/b" }
        },
        {
            "Type: AMAZON_OPENSEARCH_SERVICE, OpenSearchServiceConfig: {AwsRegion: eu-west-1, Endpoint: 'https://s.example'}",
            Source(DataSourceKind.OpenSearch) with { SearchDomain = new SearchDomainSettings("https://s.example", "eu-west-1") }
        },
        {
            "Type: AMAZON_ELASTICSEARCH, ElasticsearchConfig: {AwsRegion: eu-west-1, Endpoint: 'https://s.example'}",
            Source(DataSourceKind.OpenSearch) with { SearchDomain = new SearchDomainSettings("https://s.example", "eu-west-1") }
        },
        {
            "Type: RELATIONAL_DATABASE, RelationalDatabaseConfig: {RelationalDatabaseSourceType: RDS_HTTP_ENDPOINT, RdsHttpEndpointConfig: "
            + "{AwsRegion: eu-west-1, DbClusterIdentifier: c, AwsSecretStoreArn: s, DatabaseName: d, Schema: x}}",
            Source(DataSourceKind.RelationalDatabase) with
            {
                Database = new DatabaseSettings("c", "s", "eu-west-1") { DatabaseName = "d", Schema = "x" },
            }
        },
    };

    public static TheoryData<string, string> Mistakes => new()
    {
        { "Type: AWS_LAMBDA", "LambdaConfig: is required" },
        { "Type: AWS_LAMBDA, LambdaConfig: {}", "LambdaConfig.LambdaFunctionArn: is required" },
        { "Type: AMAZON_DYNAMODB, LambdaConfig: {}", "DynamoDBConfig: is required" },
        { "Type: AMAZON_DYNAMODB, DynamoDBConfig: {AwsRegion: r}", "DynamoDBConfig.TableName: is required" },
        { "Type: AMAZON_DYNAMODB, DynamoDBConfig: {TableName: t}", "DynamoDBConfig.AwsRegion: is required" },
        { "Type: HTTP", "HttpConfig: is required" },
        { "Type: HTTP, HttpConfig: {}", "HttpConfig.Endpoint: is required" },
        {
            "Type: HTTP, HttpConfig: {Endpoint: 'http://a', AuthorizationConfig: {AuthorizationType: AWS_IAM}}",
            "HttpConfig.AuthorizationConfig.AwsIamConfig: is required"
        },
        {
            "Type: HTTP, HttpConfig: {Endpoint: 'http://a', AuthorizationConfig: {AuthorizationType: BASIC, AwsIamConfig: "
            + "{SigningRegion: r, SigningServiceName: s}}}",
            "HttpConfig.AuthorizationConfig.AuthorizationType: must be one of AWS_IAM, found 'BASIC'"
        },
        { "Type: AMAZON_EVENTBRIDGE", "EventBridgeConfig: is required" },
        { "Type: AMAZON_EVENTBRIDGE, EventBridgeConfig: {EventBusArn: []}", "EventBridgeConfig.EventBusArn: must be a text, found a list" },
        { "Type: AMAZON_OPENSEARCH_SERVICE, OpenSearchServiceConfig: {AwsRegion: r}", "OpenSearchServiceConfig.Endpoint: is required" },
        { "Type: AMAZON_ELASTICSEARCH, OpenSearchServiceConfig: {}", "ElasticsearchConfig: is required" },
        {
            "Type: RELATIONAL_DATABASE, RelationalDatabaseConfig: {RelationalDatabaseSourceType: RDS_HTTP_ENDPOINT}",
            "RelationalDatabaseConfig.RdsHttpEndpointConfig: is required"
        },
        {
            "Type: RELATIONAL_DATABASE, RelationalDatabaseConfig: {RelationalDatabaseSourceType: RDS_HTTP_ENDPOINT, "
            + "RdsHttpEndpointConfig: {AwsRegion: r, DbClusterIdentifier: c}}",
            "RelationalDatabaseConfig.RdsHttpEndpointConfig.AwsSecretStoreArn: is required"
        },
        {
            "Type: TABLE",
            "Type: must be one of AWS_LAMBDA, AMAZON_DYNAMODB, AMAZON_ELASTICSEARCH, AMAZON_OPENSEARCH_SERVICE, AMAZON_EVENTBRIDGE, "
            + "AMAZON_BEDROCK_RUNTIME, NONE, HTTP, RELATIONAL_DATABASE, found 'TABLE'"
        },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_kind_is_read_with_its_settings(string properties, DataSource expected)
    {
        var result = _fixture.LoadBase(Resource(properties));

        Assert.Equal(expected, Assert.Single(Assert.Single(result.Apis).DataSources).Value);
        Assert.Empty(result.Warnings);
    }

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void What_a_kind_cannot_do_without_is_named(string properties, string error) =>
        Assert.Equal([$"stack.yaml:11: S.Properties.{error}"], _fixture.Errors(TemplateFixture.BaseResources + Resource(properties)));

    [Fact]
    public void Resources_that_this_program_does_not_create_have_made_up_names()
    {
        var result = _fixture.LoadBase("""
              Work: {Type: AWS::Lambda::Function}
              Table: {Type: AWS::DynamoDB::Table}
              Bus: {Type: AWS::Events::EventBus}
              Balancer: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer}
              A: {Type: AWS::AppSync::DataSource, Properties: {ApiId: !GetAtt Api.ApiId, Name: a, Type: AWS_LAMBDA, LambdaConfig: {LambdaFunctionArn: !GetAtt Work.Arn}}}
              B: {Type: AWS::AppSync::DataSource, Properties: {ApiId: !GetAtt Api.ApiId, Name: b, Type: AMAZON_DYNAMODB, DynamoDBConfig: {TableName: !Ref Table, AwsRegion: !Ref AWS::Region}}}
              C: {Type: AWS::AppSync::DataSource, Properties: {ApiId: !GetAtt Api.ApiId, Name: c, Type: AMAZON_EVENTBRIDGE, EventBridgeConfig: {EventBusArn: !GetAtt Bus.Arn}}}
              D: {Type: AWS::AppSync::DataSource, Properties: {ApiId: !GetAtt Api.ApiId, Name: d, Type: HTTP, HttpConfig: {Endpoint: !GetAtt Balancer.DNSName}}}
            """);

        var sources = Assert.Single(result.Apis).DataSources;
        Assert.Matches("^arn:aws:lambda:us-east-1:000000000000:function:stack-Work-[A-Z0-9]{12}$", sources["a"].FunctionArn);
        Assert.Matches("^stack-Table-[A-Z0-9]{12}$", sources["b"].Table!.TableName);
        Assert.Equal("us-east-1", sources["b"].Table!.AwsRegion);
        Assert.Matches("^arn:aws:events:us-east-1:000000000000:event-bus/stack-Bus-[A-Z0-9]{12}$", sources["c"].EventBusArn);
        var endpoint = sources["d"].Http!.Endpoint;
        Assert.Equal(
            [$"stack.yaml:18: D.Properties.HttpConfig.Endpoint: '{endpoint}' is no http or https address"],
            result.Warnings.Select(warning => _fixture.Bare(warning.ToString())));
    }

    [Fact]
    public void A_block_of_another_kind_is_ignored_with_a_warning()
    {
        var result = _fixture.LoadBase(Resource("Type: NONE, HttpConfig: {Endpoint: 'http://a'}"));

        Assert.Equal(
            ["stack.yaml:11: S.Properties.HttpConfig: does not belong to NONE, ignored"],
            result.Warnings.Select(warning => _fixture.Bare(warning.ToString())));
    }

    [Fact]
    public void The_full_cdk_api_has_its_data_sources()
    {
        var api = Assert.Single(TemplateLoader.Load([TemplateFixture.Kept("cdk-eventapi-full.json")], TemplateFixture.Options).Apis);

        Assert.Equal(
            [DataSourceKind.EventBridge, DataSourceKind.Http, DataSourceKind.DynamoDB, DataSourceKind.Lambda],
            api.DataSources.Values.OrderBy(source => source.Name, StringComparer.Ordinal).Select(source => source.Kind));
        Assert.Equal("execute-api", api.DataSources["httpDs"].Http!.SigningServiceName);
    }

    /// <inheritdoc/>
    public void Dispose() => _fixture.Dispose();

    private static DataSource Source(DataSourceKind kind) => new() { Name = "s", Kind = kind };

    private static string Resource(string properties) =>
        $"  S: {{Type: 'AWS::AppSync::DataSource', Properties: {{ApiId: !GetAtt Api.ApiId, Name: s, {properties}}}}}";
}
