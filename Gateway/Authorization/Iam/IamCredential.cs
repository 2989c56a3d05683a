using System.Security.Cryptography;
using System.Text;
using Fanfare.Gateway.Signing;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>One access key of a user, with the signing keys that are in use. Safe for concurrent use.</summary>
internal sealed class IamCredential(IamUser user, string secret, string? sessionToken, string region)
{
    // Signatures of three days can be valid at a time where clocks may differ by a day, the longest that can be configured.
    private readonly DatedKey?[] _keys = new DatedKey?[3];
    private readonly byte[] _region = Encoding.UTF8.GetBytes(region);
    private readonly byte[] _sessionToken = Encoding.UTF8.GetBytes(sessionToken ?? "");

    /// <summary>Whose key it is.</summary>
    public IamUser User { get; } = user;

    /// <summary>Returns the key that signs requests of a day. Derived once; ask only for days whose signatures may be valid.</summary>
    public ReadOnlySpan<byte> GetSigningKey(DateOnly day, ReadOnlySpan<byte> date)
    {
        ref var slot = ref _keys[day.DayNumber % _keys.Length];
        var key = Volatile.Read(ref slot);
        if (key?.Day != day)
        {
            // Two requests may both derive it; the results are the same.
            key = new DatedKey(day, SignatureV4.DeriveKey(secret, date, _region, SignatureVerifier.Service));
            Volatile.Write(ref slot, key);
        }

        return key.Key;
    }

    /// <summary>Whether a request's <c>x-amz-security-token</c> is the one that came with the key; empty for none.</summary>
    public bool HasSessionToken(ReadOnlySpan<byte> token) => CryptographicOperations.FixedTimeEquals(token, _sessionToken);

    private sealed record DatedKey(DateOnly Day, byte[] Key);
}
