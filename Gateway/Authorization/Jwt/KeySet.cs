using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>The keys that an issuer publishes: a JWK set, RFC 7517, section 5. Immutable, safe for concurrent use.</summary>
internal sealed class KeySet
{
    // Far above any issuer's; a longer list costs memory and time at each token without a key id.
    private const int KeysMax = 32;

    private readonly VerificationKey[] _keys;
    private readonly HashSet<string> _thumbprints;

    private KeySet(VerificationKey[] keys)
    {
        _keys = keys;
        _thumbprints = [.. keys.Select(key => key.Thumbprint)];
    }

    /// <summary>How many keys can be used.</summary>
    public int Count => _keys.Length;

    /// <summary>Reads a set. Entries that are no usable key are left out, as section 5 asks.</summary>
    /// <exception cref="JsonException">It is not JSON.</exception>
    /// <exception cref="KeyFetchException">It is not a set.</exception>
    public static KeySet Parse(ReadOnlySpan<byte> json)
    {
        var root = JsonElement.Parse(json);
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("keys", out var keys) || keys.ValueKind != JsonValueKind.Array)
        {
            throw new KeyFetchException("The key set has no list 'keys'.");
        }

        return new KeySet([.. keys.EnumerateArray().Select(VerificationKey.Read).OfType<VerificationKey>().Take(KeysMax)]);
    }

    /// <summary>Whether a key of that id is among them.</summary>
    public bool Names(string? keyId) => keyId is not null && Array.Exists(_keys, key => key.KeyId == keyId);

    /// <summary>Whether the very same key is among them.</summary>
    public bool Contains(VerificationKey key) => _thumbprints.Contains(key.Thumbprint);

    /// <summary>Whether both hold the same keys.</summary>
    public bool Equivalent(KeySet other) => _thumbprints.SetEquals(other._thumbprints);

    /// <summary>Finds the key that signed a token, and so verifies it.</summary>
    /// <remarks>
    /// A token that names its key is held to keys of that id, or where there are none to keys without an id. A token that names
    /// none may be signed by any key.
    /// </remarks>
    public VerificationKey? FindSigner(JsonWebToken token, JwtAlgorithm algorithm)
    {
        var isNamed = Names(token.KeyId);
        foreach (var key in _keys)
        {
            var isCandidate = token.KeyId is null || (isNamed ? key.KeyId == token.KeyId : key.KeyId is null);
            if (isCandidate && key.Fits(algorithm) && key.Verify(algorithm, token.SigningInput, token.Signature))
            {
                return key;
            }
        }

        return null;
    }
}
