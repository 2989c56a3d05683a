using System.Runtime.InteropServices;
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
        new(FindLive(request.Api.Model, request.Credentials.ApiKey.Span) is { } key
            ? AuthDecision.Grant(identity: null, KeyProof.Of(key))
            : AuthDecision.Refuse(ProtocolError.Unauthorized));

    private ApiKey? FindLive(Api api, ReadOnlySpan<byte> presented)
    {
        Span<byte> hash = stackalloc byte[ApiKey.HashLength];
        SHA256.HashData(presented, hash);

        // Every key is compared, and each in a time that does not depend on where it differs.
        var keys = api.Keys;
        ApiKey? live = null;
        for (var i = 0; i < keys.Count; i++)
        {
            var key = keys[i];
            if (AreEqual(hash, key.Hash.Span) && (key.Expires is not { } expires || expires > timeProvider.GetUtcNow()))
            {
                live = key;
            }
        }

        return live;
    }

    // CryptographicOperations.FixedTimeEquals goes byte by byte, which with 50 keys costs more than all else in a publish. Hashes
    // are four words, and no operation on these branches or skips one.
    private static bool AreEqual(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        if (right.Length != ApiKey.HashLength)
        {
            return false;
        }

        var a = MemoryMarshal.Cast<byte, ulong>(left);
        var b = MemoryMarshal.Cast<byte, ulong>(right);
        return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0;
    }

    /// <summary>That a key was presented. An API's keys stay as they are while it is served, but for their end.</summary>
    private sealed class KeyProof(DateTimeOffset expires) : IProof
    {
        private static readonly KeyProof s_forever = new(DateTimeOffset.MaxValue);

        public static KeyProof Of(ApiKey key) => key.Expires is { } expires ? new KeyProof(expires) : s_forever;

        public bool IsGood(DateTimeOffset now) => expires > now;
    }
}
