using System.Text.Json;
using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>An issuer's answer was no key set, or it may not be asked at all. The message is for the operator's log.</summary>
internal sealed class KeyFetchException(string message) : Exception(message);

/// <summary>Fetches the keys of an issuer: of a user pool from its well-known place, of an OpenID provider through discovery.</summary>
internal sealed class KeyFetcher : IDisposable
{
    // Key sets and discovery documents are a few kilobytes.
    private const int AnswerBytesMax = 256 * 1024;

    // No redirect: an issuer that sends its readers elsewhere could send them anywhere. Connections don't outlive DNS changes.
    private readonly HttpClient _client = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        MaxConnectionsPerServer = 2,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    {
        Timeout = Timeout.InfiniteTimeSpan, // the caller's token bounds the whole exchange, on the caller's clock
        MaxResponseContentBufferSize = AnswerBytesMax,
    };

    /// <summary>Fetches the keys.</summary>
    /// <exception cref="KeyFetchException">The issuer's address or its answer cannot be used.</exception>
    /// <exception cref="HttpRequestException">The issuer cannot be reached, or answered with an error or too much.</exception>
    /// <exception cref="JsonException">An answer is not JSON.</exception>
    public async Task<KeySet> FetchAsync(TokenIssuer issuer, CancellationToken cancellationToken)
    {
        // OpenID Connect Discovery 1.0, section 4: a slash at the end is removed before the path is appended.
        var wellKnown = $"{(issuer.Issuer.EndsWith('/') ? issuer.Issuer[..^1] : issuer.Issuer)}/.well-known/";
        var keysAddress = issuer.Mode == AuthMode.CognitoUserPools
            ? wellKnown + "jwks.json"
            : await DiscoverAsync(issuer, wellKnown + "openid-configuration", cancellationToken);
        return KeySet.Parse(await GetAsync(keysAddress, issuer, cancellationToken));
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private async Task<string> DiscoverAsync(TokenIssuer issuer, string address, CancellationToken cancellationToken)
    {
        var root = JsonElement.Parse(await GetAsync(address, issuer, cancellationToken));
        var isObject = root.ValueKind == JsonValueKind.Object;

        // Section 4.3: otherwise one provider could pass its keys off as another's.
        if (!isObject || !root.TryGetProperty("issuer", out var named) || named.ValueKind != JsonValueKind.String
            || !named.ValueEquals(issuer.Issuer))
        {
            throw new KeyFetchException("Its discovery document names another issuer.");
        }

        return root.TryGetProperty("jwks_uri", out var keys) && keys.ValueKind == JsonValueKind.String
            ? keys.GetString()!
            : throw new KeyFetchException("Its discovery document has no jwks_uri.");
    }

    private async Task<byte[]> GetAsync(string address, TokenIssuer issuer, CancellationToken cancellationToken)
    {
        // Whoever can change what is sent over plain HTTP could put a key of their own in.
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri)
            || !(uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && (uri.IsLoopback || issuer.IsConfiguredEndpoint))))
        {
            throw new KeyFetchException("Its address must be https, or http on this machine.");
        }

        // A whole answer of a known media type is not required: issuers disagree on it.
        return await _client.GetByteArrayAsync(uri, cancellationToken);
    }
}
