using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary>Decides whether a request may do what it asks, in the mode that its credentials carry.</summary>
/// <remarks>
/// The order of checks keeps strangers from learning which namespaces exist: first the credentials, with one answer for all that
/// can be wrong with them, then namespace and mode, with one answer for both. Source: AppSync Events, "Authorization".
/// </remarks>
internal sealed class Authorizer
{
    private readonly IAuthenticator?[] _authenticators = new IAuthenticator?[AuthModeNames.All.Count];

    public Authorizer(IEnumerable<IAuthenticator> authenticators)
    {
        foreach (var authenticator in authenticators)
        {
            _authenticators[(int)authenticator.Mode] = authenticator;
        }
    }

    /// <summary>Whether a WebSocket may be opened.</summary>
    /// <returns>The error, or <see langword="null"/> when it may.</returns>
    public async ValueTask<ProtocolError?> AuthorizeConnectAsync(ServedApi api, Credentials credentials, CancellationToken cancellationToken)
    {
        var mode = await AuthenticateAsync(api, credentials, cancellationToken);
        return mode is { } known && api.Model.ConnectionModes.Includes(known) ? null : ProtocolError.Unauthorized;
    }

    /// <summary>Whether events may be published to a namespace.</summary>
    /// <param name="api">The API that the request reached.</param>
    /// <param name="ns">The namespace, or <see langword="null"/> where the API has none of that name.</param>
    /// <param name="credentials">The request's own credentials.</param>
    /// <param name="cancellationToken">Ends the wait when the request is given up.</param>
    /// <returns>The error, or <see langword="null"/> when they may.</returns>
    public ValueTask<ProtocolError?> AuthorizePublishAsync(
        ServedApi api, ServedNamespace? ns, Credentials credentials, CancellationToken cancellationToken) =>
        AuthorizeAsync(api, ns?.PublishModes ?? AuthModes.None, credentials, cancellationToken);

    /// <summary>Whether a channel or pattern of a namespace may be subscribed to; see <see cref="AuthorizePublishAsync"/>.</summary>
    public ValueTask<ProtocolError?> AuthorizeSubscribeAsync(
        ServedApi api, ServedNamespace? ns, Credentials credentials, CancellationToken cancellationToken) =>
        AuthorizeAsync(api, ns?.SubscribeModes ?? AuthModes.None, credentials, cancellationToken);

    private async ValueTask<ProtocolError?> AuthorizeAsync(
        ServedApi api, AuthModes allowed, Credentials credentials, CancellationToken cancellationToken)
    {
        var mode = await AuthenticateAsync(api, credentials, cancellationToken);
        return mode is not { } known ? ProtocolError.Unauthorized
            : allowed.Includes(known) ? null
            : ProtocolError.NotAllowed;
    }

    private async ValueTask<AuthMode?> AuthenticateAsync(ServedApi api, Credentials credentials, CancellationToken cancellationToken)
    {
        if (DetectMode(credentials) is not { } mode
            || !api.ProviderModes.Includes(mode)
            || _authenticators[(int)mode] is not { } authenticator)
        {
            return null;
        }

        return await authenticator.AuthenticateAsync(api.Model, credentials, cancellationToken) ? mode : null;
    }

    // A key wins over an Authorization header beside it, as on AppSync.
    private static AuthMode? DetectMode(Credentials credentials) =>
        credentials.ApiKey.Length > 0 ? AuthMode.ApiKey
        : credentials.Authorization.Span.StartsWith("AWS4-HMAC-SHA256"u8) ? AuthMode.AwsIam
        : null;
}
