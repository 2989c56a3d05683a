using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>A public key of an issuer (RFC 7517) that signatures can be verified with. Immutable, safe for concurrent use.</summary>
internal sealed class VerificationKey
{
    private const int RsaBitsMin = 2048;

    // Verifying costs the square of the size; no issuer has larger keys.
    private const int RsaBitsMax = 8192;
    private const int ExponentBytesMax = 8;

    private readonly RSAParameters _rsa;
    private readonly ECParameters _ec;
    private readonly JwtCurve? _curve;
    private readonly string? _algorithm;

    // .NET does not promise that one key object may verify on two threads at a time, and making one costs as much as a
    // verification. At most as many are made as verify at once.
    private readonly ConcurrentBag<AsymmetricAlgorithm> _idle = [];

    private VerificationKey(string? keyId, string? algorithm, RSAParameters rsa)
    {
        (KeyId, _algorithm, _rsa) = (keyId, algorithm, rsa);
        Thumbprint = $"RSA {Convert.ToBase64String(rsa.Exponent!)} {Convert.ToBase64String(rsa.Modulus!)} {algorithm} {keyId}";
    }

    private VerificationKey(string? keyId, string? algorithm, JwtCurve curve, ECParameters ec)
    {
        (KeyId, _algorithm, _curve, _ec) = (keyId, algorithm, curve, ec);
        Thumbprint = $"{curve.Name} {Convert.ToBase64String(ec.Q.X!)} {Convert.ToBase64String(ec.Q.Y!)} {algorithm} {keyId}";
    }

    /// <summary>The key's id, or <see langword="null"/> where it has none.</summary>
    public string? KeyId { get; }

    /// <summary>Everything that makes the key what it is, for comparison with a later edition of its set.</summary>
    public string Thumbprint { get; }

    /// <summary>Reads an entry of a key set; <see langword="null"/> where it is no key that may verify a served algorithm.</summary>
    public static VerificationKey? Read(JsonElement jwk)
    {
        if (jwk.ValueKind != JsonValueKind.Object || !MayVerify(jwk))
        {
            return null;
        }

        var keyId = GetText(jwk, "kid");
        var algorithm = GetText(jwk, "alg");
        if (algorithm is not null && JwtAlgorithm.Find(algorithm) is null)
        {
            return null;
        }

        var key = GetText(jwk, "kty") switch
        {
            "RSA" => ReadRsa(jwk, keyId, algorithm),
            "EC" => ReadEc(jwk, keyId, algorithm),
            _ => null,
        };
        return key is not null && key.IsUsable() ? key : null;
    }

    /// <summary>Whether the key may verify signatures of an algorithm: by its type, its curve and its own <c>alg</c>.</summary>
    public bool Fits(JwtAlgorithm algorithm) =>
        (_algorithm is null || _algorithm == algorithm.Name) && ReferenceEquals(_curve, algorithm.Curve);

    /// <summary>Verifies a signature. The key <see cref="Fits"/> the algorithm.</summary>
    public bool Verify(JwtAlgorithm algorithm, ReadOnlySpan<byte> signingInput, ReadOnlySpan<byte> signature)
    {
        // RFC 7518, sections 3.3 and 3.4: as long as the modulus, or as two coordinates, to the byte. A DER signature never is.
        var signatureLength = _curve is null ? _rsa.Modulus!.Length : 2 * _curve.CoordinateBytes;
        if (!Fits(algorithm) || signature.Length != signatureLength)
        {
            return false;
        }

        var key = _idle.TryTake(out var idle) ? idle : Create();
        try
        {
            return key is RSA rsa
                ? rsa.VerifyData(signingInput, signature, algorithm.Hash, algorithm.Padding!)
                : ((ECDsa)key).VerifyData(
                    signingInput, signature, algorithm.Hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
        catch (CryptographicException)
        {
            return false; // a signature that is no number of the key's range
        }
        finally
        {
            _idle.Add(key);
        }
    }

    // RFC 7517, sections 4.2 and 4.3: both are optional, and where they are there they must allow it.
    private static bool MayVerify(JsonElement jwk)
    {
        if (jwk.TryGetProperty("use", out var use) && !(use.ValueKind == JsonValueKind.String && use.ValueEquals("sig"u8)))
        {
            return false;
        }

        return !jwk.TryGetProperty("key_ops", out var operations)
            || (operations.ValueKind == JsonValueKind.Array && operations.EnumerateArray().Any(
                operation => operation.ValueKind == JsonValueKind.String && operation.ValueEquals("verify"u8)));
    }

    private static VerificationKey? ReadRsa(JsonElement jwk, string? keyId, string? algorithm)
    {
        if (GetNumber(jwk, "n") is not { } modulus || GetNumber(jwk, "e") is not { } exponent
            || (algorithm is not null && JwtAlgorithm.Find(algorithm)!.Curve is not null))
        {
            return null;
        }

        var bits = (modulus.Length * 8L) - (modulus.Length == 0 ? 0 : byte.LeadingZeroCount(modulus[0]));

        // An exponent of 1 would make every number its own signature.
        var isExponentSound = exponent.Length is > 0 and <= ExponentBytesMax && (exponent[^1] & 1) == 1 && exponent is not [1];
        return bits is >= RsaBitsMin and <= RsaBitsMax && isExponentSound
            ? new VerificationKey(keyId, algorithm, new RSAParameters { Modulus = modulus, Exponent = exponent })
            : null;
    }

    private static VerificationKey? ReadEc(JsonElement jwk, string? keyId, string? algorithm)
    {
        if (JwtCurve.Find(GetText(jwk, "crv")) is not { } curve
            || GetNumber(jwk, "x") is not { } x || GetNumber(jwk, "y") is not { } y
            || x.Length > curve.CoordinateBytes || y.Length > curve.CoordinateBytes
            || (algorithm is not null && !ReferenceEquals(JwtAlgorithm.Find(algorithm)!.Curve, curve)))
        {
            return null;
        }

        var point = new ECPoint { X = Pad(x, curve.CoordinateBytes), Y = Pad(y, curve.CoordinateBytes) };
        return new VerificationKey(keyId, algorithm, curve, new ECParameters { Curve = curve.Curve, Q = point });
    }

    // Issuers disagree on leading zeros, which RFC 7518 forbids for RSA and demands for EC: here they mean nothing.
    private static byte[]? GetNumber(JsonElement jwk, string name) =>
        GetText(jwk, name) is { } text && StrictBase64Url.TryDecode(Encoding.UTF8.GetBytes(text), out var bytes)
            ? bytes.AsSpan().TrimStart((byte)0).ToArray()
            : null;

    private static byte[] Pad(byte[] number, int length)
    {
        var padded = new byte[length];
        number.CopyTo(padded.AsSpan(length - number.Length));
        return padded;
    }

    private static string? GetText(JsonElement jwk, string name) =>
        jwk.TryGetProperty(name, out var value) ? JsonWebToken.GetString(value) : null;

    /// <summary>Whether the platform takes the key; a point that is not on its curve fails here.</summary>
    private bool IsUsable()
    {
        try
        {
            _idle.Add(Create());
            return true;
        }
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            return false;
        }
    }

    private AsymmetricAlgorithm Create() => _curve is null ? RSA.Create(_rsa) : ECDsa.Create(_ec);
}
