using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization;

/// <summary>Verifies the credentials of one <see cref="AuthMode"/>. Implementations are safe for concurrent use.</summary>
/// <remarks>Whether the mode may do what is asked is not decided here; see <see cref="Authorizer"/>.</remarks>
internal interface IAuthenticator
{
    /// <summary>The mode served.</summary>
    AuthMode Mode { get; }

    /// <summary>Whether the credentials prove an identity of the API.</summary>
    /// <param name="api">The API that the request reached; one of its providers serves <see cref="Mode"/>.</param>
    /// <param name="credentials">The credentials, known to carry this mode's.</param>
    /// <param name="cancellationToken">Ends the wait when the request is given up.</param>
    ValueTask<bool> AuthenticateAsync(Api api, Credentials credentials, CancellationToken cancellationToken);
}
