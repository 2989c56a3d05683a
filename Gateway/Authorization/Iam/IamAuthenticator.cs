using System.Runtime.CompilerServices;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary><see cref="AuthMode.AwsIam"/>: a configured user signed the request, and its policies allow what it asks.</summary>
internal sealed class IamAuthenticator(SignatureVerifier verifier, IOptions<GatewayOptions> options) : IAuthenticator
{
    private readonly string _resourcePrefix = $"arn:aws:appsync:{options.Value.Region}:{options.Value.AccountId}:apis/";

    // ARNs by what they name, so that none is made per request; an entry goes when its API does.
    private readonly ConditionalWeakTable<object, string> _resources = [];

    /// <inheritdoc/>
    public AuthMode Mode => AuthMode.AwsIam;

    /// <inheritdoc/>
    public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken) =>
        new(verifier.Verify(request, out var credential) is { } error
            ? AuthDecision.Refuse(error)
            : AuthDecision.Grant(new IamIdentity(credential!.User, request.Origin.Address)));

    /// <inheritdoc/>
    public ValueTask<AuthDecision> PermitAsync(AuthRequest request, Identity? identity, CancellationToken cancellationToken) =>
        new(Permit(request, (IamIdentity)identity!));

    private AuthDecision Permit(in AuthRequest request, IamIdentity identity)
    {
        var resource = GetResource(request);
        if (identity.User.Policy.Allows(request.Operation, resource))
        {
            return AuthDecision.Grant(identity);
        }

        // Only an HTTP client is told what it lacks; a WebSocket's is told the same as of a mode that is not allowed.
        return AuthDecision.Refuse(request.IsHttp
            ? IamErrors.AccessDenied(identity.User.Arn, IamPolicy.GetAction(request.Operation), resource)
            : ProtocolError.NotAllowed);
    }

    private string GetResource(in AuthRequest request)
    {
        object named = request.Operation == AuthOperation.Connect ? request.Api : request.Namespace!;
        if (_resources.TryGetValue(named, out var resource))
        {
            return resource;
        }

        resource = _resourcePrefix + request.Api.Model.Id;
        if (request.Operation != AuthOperation.Connect)
        {
            resource += "/channelNamespace/" + request.Namespace!.Name;
        }

        _resources.AddOrUpdate(named, resource);
        return resource;
    }
}
