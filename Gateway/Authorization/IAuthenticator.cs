using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization;

/// <summary>Verifies the credentials of one <see cref="AuthMode"/>. Implementations are safe for concurrent use.</summary>
/// <remarks>
/// Called in two steps, with the check of the mode against the namespace between them (<see cref="Authorizer"/>): what can be decided
/// from the credentials alone, then what depends on the namespace. Both steps see the same request.
/// </remarks>
internal interface IAuthenticator
{
    /// <summary>The mode served.</summary>
    AuthMode Mode { get; }

    /// <summary>Whether the credentials prove an identity of the API.</summary>
    /// <param name="request">The request; one of its API's providers serves <see cref="Mode"/>, and the credentials carry it.</param>
    /// <param name="cancellationToken">Ends the wait when the request is given up.</param>
    ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken);

    /// <summary>Whether that identity may do what is asked, where the mode has a say in it: a policy, an authorizer function.</summary>
    /// <param name="request">The request, whose namespace allows <see cref="Mode"/>.</param>
    /// <param name="identity">What <see cref="AuthenticateAsync"/> granted.</param>
    /// <param name="cancellationToken">Ends the wait when the request is given up.</param>
    ValueTask<AuthDecision> PermitAsync(AuthRequest request, Identity? identity, CancellationToken cancellationToken) =>
        new(AuthDecision.Grant(identity));
}
