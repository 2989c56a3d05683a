using System.Net;
using Amazon.DynamoDBv2;
using Amazon.Runtime;
using Fanfare.Gateway.Signing;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>Makes clients of DynamoDB: over the connections of all data sources, without retries or limits of their own.</summary>
internal static class DynamoDBClients
{
    // Stand-ins for the real service want a signature, but do not check it.
    private const string AnyKey = "fanfare";

    /// <summary>Makes a client, to be disposed of by the caller.</summary>
    public static IAmazonDynamoDB Create(
        Uri address, string region, SigV4Credentials? credentials, DataSourceHttp http, int responseBytesMax)
    {
        AWSCredentials keys = credentials switch
        {
            null => new BasicAWSCredentials(AnyKey, AnyKey),
            { SessionToken: { } token } => new SessionAWSCredentials(credentials.AccessKeyId, credentials.SecretAccessKey, token),
            _ => new BasicAWSCredentials(credentials.AccessKeyId, credentials.SecretAccessKey),
        };
        return new AmazonDynamoDBClient(keys, new AmazonDynamoDBConfig
        {
            ServiceURL = address.AbsoluteUri,
            AuthenticationRegion = region,
            HttpClientFactory = new ClientFactory(http, responseBytesMax),
            MaxErrorRetry = 0,

            // By default, ten attempts after a connection broke, of updates too.
            MaxStaleConnectionRetries = 0,
            RetryMode = RequestRetryMode.Standard,
            DefaultConfigurationMode = DefaultConfigurationMode.Standard,
            EndpointDiscoveryEnabled = false,
            Timeout = Timeout.InfiniteTimeSpan,
            DisableLogging = true,
            LogResponse = false,
        });
    }

    /// <summary>
    /// Finds out what kept an answer from coming; <see langword="null"/> for an <see cref="AmazonServiceException"/> that is the service's
    /// own error.
    /// </summary>
    public static DataSourceFault? FindFault(Exception exception)
    {
        if (exception is AmazonServiceException { ErrorCode.Length: > 0 } or AmazonServiceException { StatusCode: >= HttpStatusCode.BadRequest })
        {
            return null;
        }

        for (var inner = exception; inner is not null; inner = inner.InnerException)
        {
            switch (inner)
            {
                case OversizeException:
                    return DataSourceFault.ResponseTooLarge;
                case HttpRequestException http:
                    return DataSourceHttp.GetFault(http);
                case IOException:
                    return DataSourceFault.Disconnected;
            }
        }

        return DataSourceFault.MalformedResponse;
    }

    private sealed class OversizeException : IOException;

    private sealed class ClientFactory(DataSourceHttp http, int responseBytesMax) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) =>
            new(new BoundedHandler(http.Handler, responseBytesMax), disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan };

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;
    }

    /// <summary>Reads each answer through a limit before the client sees it.</summary>
    private sealed class BoundedHandler(HttpMessageHandler pool, int responseBytesMax) : DelegatingHandler(pool)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            var content = response.Content;
            try
            {
                var body = await BoundedContent.ReadAsync(content, responseBytesMax, cancellationToken) ?? throw new OversizeException();
                response.Content = new ByteArrayContent(body);
                foreach (var (name, values) in content.Headers.NonValidated)
                {
                    response.Content.Headers.TryAddWithoutValidation(name, values);
                }

                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
            finally
            {
                content.Dispose();
            }
        }
    }
}
