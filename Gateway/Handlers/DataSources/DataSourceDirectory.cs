using System.Collections.Concurrent;
using Amazon.DynamoDBv2;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Signing;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>Finds the data sources of APIs, ready to be called.</summary>
/// <remarks>
/// Each is made when it is first asked for, and again when its settings in the API have changed. Disposing this ends the calls that are
/// under way. Safe for concurrent use.
/// </remarks>
internal sealed class DataSourceDirectory : IDisposable
{
    private readonly DataSourceOptions _options;
    private readonly string _region;
    private readonly SigV4Credentials? _credentials;
    private readonly DataSourceHttp _http;
    private readonly LambdaClient _functions;
    private readonly GatewayMetrics _metrics;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<(string ApiId, string Name), Entry> _entries = new();
    private readonly ConcurrentDictionary<(Uri Address, string Region), Lazy<IAmazonDynamoDB>> _databases = new();

    public DataSourceDirectory(
        IOptions<GatewayOptions> options, DataSourceHttp http, LambdaClient functions, GatewayMetrics metrics, TimeProvider timeProvider,
        ILogger<DataSourceDirectory> logger)
    {
        _options = options.Value.DataSources;
        _region = options.Value.Region;
        _http = http;
        _functions = functions;
        _metrics = metrics;
        _timeProvider = timeProvider;
        _logger = logger;
        _credentials = _options is { AccessKeyId: { Length: > 0 } id, SecretAccessKey: { Length: > 0 } secret }
            ? new SigV4Credentials(id, secret, string.IsNullOrEmpty(_options.SessionToken) ? null : _options.SessionToken)
            : null;
    }

    /// <summary>Finds a data source.</summary>
    /// <param name="api">The API.</param>
    /// <param name="name">The name. The data source of a name that the API does not have can be called, but answers with an error.</param>
    public IDataSource Get(Api api, string name)
    {
        var source = api.DataSources.GetValueOrDefault(name);
        if (_entries.TryGetValue((api.Id, name), out var known) && known.Source == source)
        {
            return known.Caller;
        }

        return _entries.AddOrUpdate(
            (api.Id, name),
            static (key, state) => state.Owner.Create(key.ApiId, key.Name, state.Source),
            static (key, entry, state) => entry.Source == state.Source ? entry : state.Owner.Create(key.ApiId, key.Name, state.Source),
            (Owner: this, Source: source)).Caller;
    }

    /// <summary>Finds the function behind a data source, for handlers that are functions themselves.</summary>
    /// <returns>Its ARN or name, or <see langword="null"/> where the API has no such data source or it is no function.</returns>
    public static string? FindFunction(Api api, string name) => api.DataSources.GetValueOrDefault(name)?.FunctionArn;

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping.Cancel();
        foreach (var client in _databases.Values.Where(client => client.IsValueCreated))
        {
            client.Value.Dispose();
        }

        _stopping.Dispose();
    }

    private Entry Create(string apiId, string name, DataSource? source)
    {
        var settings = _options.Sources.TryGetValue(name, out var found) ? found : new DataSourceOverride();
        if (source?.FunctionArn is not null && (settings.Endpoint is not null || settings.Region is not null))
        {
            DataSourceLog.AddressUnused(_logger, name, apiId, LambdaOptions.SectionName);
        }

        var inner = source is null
            ? new UnsupportedDataSource($"The API has no data source '{name}'.")
            : Create(source, settings) ?? new UnsupportedDataSource(
                $"The data source '{name}' ({DataSourceNames.GetTag(source.Kind)}) has no address that can be called, or no credentials.");
        var limits = new DataSourceLimits(
            settings.Timeout ?? _options.Timeout, settings.ConcurrencyMax ?? _options.ConcurrencyMax, _options.WaitingMax);
        var named = source ?? new DataSource { Name = name, Kind = DataSourceKind.None };
        return new Entry(
            source, new GuardedDataSource(apiId, named, inner, limits, _metrics, _timeProvider, _logger, _stopping.Token));
    }

    private IDataSource? Create(DataSource source, DataSourceOverride settings) => source switch
    {
        { Kind: DataSourceKind.None } => new NoneDataSource(),
        { FunctionArn: { } function } => new LambdaDataSource(_functions, function),
        { Table: { } table } => CreateTable(table, settings),
        { Http: { } http } => CreateHttp(http, settings),
        { EventBusArn: { } bus } =>
            FindService(settings, _options.EventBridgeEndpoint, "events", "events", GetArnRegion(bus)) is { } endpoint
                ? new EventBridgeDataSource(endpoint, bus, _timeProvider)
                : null,
        { Database: { } database } =>
            FindService(settings, _options.RdsDataEndpoint, "rds-data", "rds-data", database.AwsRegion) is { } endpoint
                ? new RelationalDatabaseDataSource(endpoint, database, _timeProvider)
                : null,
        { SearchDomain: { } domain } => CreateSearch(domain, settings),
        { Kind: DataSourceKind.Bedrock } =>
            FindService(settings, _options.BedrockEndpoint, "bedrock-runtime", "bedrock", _region) is { } endpoint
                ? new BedrockDataSource(endpoint, _timeProvider)
                : null,
        _ => null,
    };

    private DynamoDBDataSource? CreateTable(TableSettings table, DataSourceOverride settings)
    {
        var region = settings.Region ?? table.AwsRegion;
        return FindAddress(settings, _options.DynamoDBEndpoint, "dynamodb", region) is { } address
            ? new DynamoDBDataSource(
                _databases.GetOrAdd((address, region), key => new Lazy<IAmazonDynamoDB>(() => DynamoDBClients.Create(
                    key.Address, key.Region, _credentials, _http, _options.ResponseBytesMax))).Value,
                table.TableName,
                _timeProvider)
            : null;
    }

    private HttpDataSource? CreateHttp(HttpSourceSettings http, DataSourceOverride settings)
    {
        var address = settings.Endpoint ?? ParseAddress(http.Endpoint);
        var region = settings.Region ?? http.SigningRegion;
        var isSigned = http.SigningRegion is not null;

        // An address of the operator's own need not want signatures; the template's does.
        return address is null || (isSigned && _credentials is null && settings.Endpoint is null)
            ? null
            : new HttpDataSource(Open(address, isSigned ? CreateSigner(region!, http.SigningServiceName!) : null), _timeProvider);
    }

    private OpenSearchDataSource? CreateSearch(SearchDomainSettings domain, DataSourceOverride settings)
    {
        // Domains in a private network often want no signatures, so none are made where there are no credentials.
        var address = settings.Endpoint ?? ParseAddress(domain.Endpoint);
        return address is null
            ? null
            : new OpenSearchDataSource(Open(address, CreateSigner(settings.Region ?? domain.AwsRegion, "es")), _timeProvider);
    }

    private ServiceEndpoint? FindService(DataSourceOverride settings, Uri? configured, string host, string service, string region)
    {
        region = settings.Region ?? region;
        return FindAddress(settings, configured, host, region) is { } address ? Open(address, CreateSigner(region, service)) : null;
    }

    private Uri? FindAddress(DataSourceOverride settings, Uri? configured, string host, string region) =>
        settings.Endpoint ?? configured ?? (_credentials is null ? null : ParseAddress($"https://{host}.{region}.{GetSuffix(region)}"));

    private ServiceEndpoint Open(Uri address, SigV4Signer? signer) => new(_http, address, signer, _options.ResponseBytesMax, _timeProvider);

    private SigV4Signer? CreateSigner(string region, string service) =>
        _credentials is { } credentials ? new SigV4Signer(credentials, region, service, _timeProvider) : null;

    private string GetArnRegion(string arn) =>
        arn.Split(':') is ["arn", _, _, { Length: > 0 } region, ..] ? region : _region;

    private static string GetSuffix(string region) =>
        region.StartsWith("cn-", StringComparison.Ordinal) ? "amazonaws.com.cn" : "amazonaws.com";

    private static Uri? ParseAddress(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && LambdaTarget.IsHttp(address) ? address : null;

    private sealed record Entry(DataSource? Source, IDataSource Caller);
}
