using System.Security.Cryptography;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>A signature algorithm of RFC 7518, section 3.1, that may sign tokens here.</summary>
/// <remarks>
/// The list is all there is: <c>none</c> and the HMAC family have no entry, so no setting and no key can bring them in. HMAC would
/// let anyone who reads the issuer's public key sign with it.
/// </remarks>
internal sealed class JwtAlgorithm
{
    private static readonly JwtAlgorithm[] s_all =
    [
        new("RS256", HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        new("RS384", HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1),
        new("RS512", HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1),
        new("PS256", HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
        new("PS384", HashAlgorithmName.SHA384, RSASignaturePadding.Pss),
        new("PS512", HashAlgorithmName.SHA512, RSASignaturePadding.Pss),
        new("ES256", HashAlgorithmName.SHA256, JwtCurve.P256),
        new("ES384", HashAlgorithmName.SHA384, JwtCurve.P384),
        new("ES512", HashAlgorithmName.SHA512, JwtCurve.P521),
    ];

    private JwtAlgorithm(string name, HashAlgorithmName hash, RSASignaturePadding padding) =>
        (Name, Hash, Padding) = (name, hash, padding);

    private JwtAlgorithm(string name, HashAlgorithmName hash, JwtCurve curve) => (Name, Hash, Curve) = (name, hash, curve);

    /// <summary>RSASSA-PKCS1-v1_5 with SHA-256, the one algorithm of Cognito.</summary>
    public static JwtAlgorithm Rs256 => s_all[0];

    /// <summary>All algorithms.</summary>
    public static IReadOnlyList<JwtAlgorithm> All => s_all;

    /// <summary>The name in <c>alg</c>.</summary>
    public string Name { get; }

    /// <summary>What the signing input is hashed with.</summary>
    public HashAlgorithmName Hash { get; }

    /// <summary>The padding of an RSA algorithm; <see langword="null"/> for ECDSA.</summary>
    public RSASignaturePadding? Padding { get; }

    /// <summary>The curve of an ECDSA algorithm; <see langword="null"/> for RSA.</summary>
    public JwtCurve? Curve { get; }

    /// <summary>Finds an algorithm by its name; case matters.</summary>
    public static JwtAlgorithm? Find(string? name) => Array.Find(s_all, algorithm => algorithm.Name == name);
}

/// <summary>An elliptic curve of RFC 7518, section 6.2.1.1.</summary>
internal sealed record JwtCurve(string Name, ECCurve Curve, int CoordinateBytes)
{
    /// <summary>The curve of ES256.</summary>
    public static readonly JwtCurve P256 = new("P-256", ECCurve.NamedCurves.nistP256, 32);

    /// <summary>The curve of ES384.</summary>
    public static readonly JwtCurve P384 = new("P-384", ECCurve.NamedCurves.nistP384, 48);

    /// <summary>The curve of ES512.</summary>
    public static readonly JwtCurve P521 = new("P-521", ECCurve.NamedCurves.nistP521, 66);

    /// <summary>Finds a curve by its name in <c>crv</c>.</summary>
    public static JwtCurve? Find(string? name) => name switch
    {
        "P-256" => P256,
        "P-384" => P384,
        "P-521" => P521,
        _ => null,
    };
}
