using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary>Decides whether a request may do what it asks, in the mode that its credentials carry.</summary>
/// <remarks>
/// The order of checks keeps strangers from learning which namespaces exist: first the credentials, with one answer for all that
/// can be wrong with them, then namespace and mode, with one answer for both, then what the mode itself has to say of the
/// namespace. Source: AppSync Events, "Authorization".
/// </remarks>
internal sealed class Authorizer
{
    private readonly AuthModeDetector _detector;
    private readonly IAuthenticator?[] _authenticators = new IAuthenticator?[AuthModeNames.All.Count];
    private readonly FailedAttempts _failedAttempts;

    public Authorizer(AuthModeDetector detector, IEnumerable<IAuthenticator> authenticators, FailedAttempts failedAttempts)
    {
        _detector = detector;
        _failedAttempts = failedAttempts;
        foreach (var authenticator in authenticators)
        {
            _authenticators[(int)authenticator.Mode] = authenticator;
        }
    }

    /// <summary>Decides. Safe for concurrent use.</summary>
    public ValueTask<AuthDecision> AuthorizeAsync(in AuthRequest request, CancellationToken cancellationToken) =>
        request.Memo is { } memo && memo.TryRecall(request.Credentials, out var mode, out var identity)
            ? new(GetAllowedModes(request).Includes(mode) ? AuthDecision.Grant(identity) : RefuseMode(request.Operation))
            : VerifyAsync(request, cancellationToken);

    private async ValueTask<AuthDecision> VerifyAsync(AuthRequest request, CancellationToken cancellationToken)
    {
        if (!_failedAttempts.MayTry(request))
        {
            return AuthDecision.Refuse(ProtocolError.TooManyFailedAttempts);
        }

        var mode = _detector.Detect(request.Api, request.Credentials, out var token);
        var decision = await AuthorizeAsync(token is null ? request : request with { Token = token }, mode, cancellationToken);

        // Who may not do this here has proved who they are, and a failure of ours says nothing of them.
        if (decision.Error is null)
        {
            _failedAttempts.NoteSuccess(request);
        }
        else if (decision.Error.Status is StatusCodes.Status400BadRequest or StatusCodes.Status401Unauthorized)
        {
            _failedAttempts.NoteFailure(request, mode);
        }

        return decision;
    }

    private async ValueTask<AuthDecision> AuthorizeAsync(AuthRequest request, AuthMode? detected, CancellationToken cancellationToken)
    {
        if (detected is not { } mode
            || !request.Api.ProviderModes.Includes(mode)
            || _authenticators[(int)mode] is not { } authenticator)
        {
            return AuthDecision.Refuse(ProtocolError.Unauthorized);
        }

        var authenticated = await authenticator.AuthenticateAsync(request, cancellationToken);
        if (authenticated.Error is not null)
        {
            return authenticated;
        }

        if (!GetAllowedModes(request).Includes(mode))
        {
            return RefuseMode(request.Operation);
        }

        var permitted = await authenticator.PermitAsync(request, authenticated.Identity, cancellationToken);
        if (permitted.Error is null && authenticated.Proof is { } proof)
        {
            request.Memo?.Keep(request.Credentials, mode, authenticated.Identity, proof);
        }

        return permitted;
    }

    private static AuthDecision RefuseMode(AuthOperation operation) =>
        AuthDecision.Refuse(operation == AuthOperation.Connect ? ProtocolError.Unauthorized : ProtocolError.NotAllowed);

    private static AuthModes GetAllowedModes(in AuthRequest request) => request.Operation switch
    {
        AuthOperation.Connect => request.Api.Model.ConnectionModes,
        AuthOperation.Publish => request.Namespace?.PublishModes ?? AuthModes.None,
        _ => request.Namespace?.SubscribeModes ?? AuthModes.None,
    };
}
