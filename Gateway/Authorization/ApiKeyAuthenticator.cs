using System.Security.Cryptography;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary><see cref="AuthMode.ApiKey"/>: the key is one of the API's and has not expired.</summary>
internal sealed class ApiKeyAuthenticator(TimeProvider timeProvider) : IAuthenticator
{
    /// <inheritdoc/>
    public AuthMode Mode => AuthMode.ApiKey;

    /// <inheritdoc/>
    public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken) =>
        new(IsLive(request.Api.Model, request.Credentials.ApiKey.Span)
            ? AuthDecision.Grant(identity: null)
            : AuthDecision.Refuse(ProtocolError.Unauthorized));

    private bool IsLive(Api api, ReadOnlySpan<byte> presented)
    {
        Span<byte> hash = stackalloc byte[ApiKey.HashLength];
        SHA256.HashData(presented, hash);

        // Every key is compared, and each in a time that does not depend on where it differs.
        var isLive = false;
        foreach (var key in api.Keys)
        {
            if (CryptographicOperations.FixedTimeEquals(hash, key.Hash.Span)
                && (key.Expires is not { } expires || expires > timeProvider.GetUtcNow()))
            {
                isLive = true;
            }
        }

        return isLive;
    }
}
