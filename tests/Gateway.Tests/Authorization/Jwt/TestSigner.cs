using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>A key pair of an issuer: signs tokens and shows its public half as a JWK.</summary>
public sealed class TestSigner
{
    private static readonly Dictionary<string, HashAlgorithmName> s_hashes = new()
    {
        ["256"] = HashAlgorithmName.SHA256,
        ["384"] = HashAlgorithmName.SHA384,
        ["512"] = HashAlgorithmName.SHA512,
    };

    private readonly AsymmetricAlgorithm _key;

    private TestSigner(AsymmetricAlgorithm key, string algorithm, string? keyId) => (_key, Algorithm, KeyId) = (key, algorithm, keyId);

    /// <summary>RSA keys are slow to make, so tests share these two.</summary>
    public static TestSigner Rsa { get; } = Create("RS256", "rsa-1");

    /// <inheritdoc cref="Rsa"/>
    public static TestSigner OtherRsa { get; } = Create("RS256", "rsa-2");

    /// <summary>A key on P-256.</summary>
    public static TestSigner Ec { get; } = Create("ES256", "ec-1");

    /// <summary>The algorithm it signs with.</summary>
    public string Algorithm { get; }

    /// <summary>The key's id.</summary>
    public string? KeyId { get; }

    /// <summary>Makes a key for an algorithm.</summary>
    public static TestSigner Create(string algorithm, string? keyId, int rsaBits = 2048)
    {
        ArgumentNullException.ThrowIfNull(algorithm);
        return new TestSigner(
            algorithm switch
            {
                "ES256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
                "ES384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
                "ES512" => ECDsa.Create(ECCurve.NamedCurves.nistP521),
                _ => RSA.Create(rsaBits),
            },
            algorithm,
            keyId);
    }

    /// <summary>The same key for another algorithm or under another id.</summary>
    public TestSigner As(string algorithm, string? keyId) => new(_key, algorithm, keyId);

    /// <summary>The public key in PEM, which attackers use as an HMAC secret.</summary>
    public string ExportPem() => _key.ExportSubjectPublicKeyInfoPem();

    /// <summary>The public key as a JWK with all members that issuers usually write.</summary>
    public JsonObject ToJwk()
    {
        var jwk = new JsonObject { ["use"] = "sig", ["alg"] = Algorithm };
        if (KeyId is not null)
        {
            jwk["kid"] = KeyId;
        }

        if (_key is RSA rsa)
        {
            var parameters = rsa.ExportParameters(false);
            jwk["kty"] = "RSA";
            jwk["n"] = Credentials.ToBase64Url(parameters.Modulus!);
            jwk["e"] = Credentials.ToBase64Url(parameters.Exponent!);
        }
        else
        {
            var parameters = ((ECDsa)_key).ExportParameters(false);
            jwk["kty"] = "EC";
            jwk["crv"] = "P-" + (Algorithm == "ES512" ? "521" : Algorithm[2..]);
            jwk["x"] = Credentials.ToBase64Url(parameters.Q.X!);
            jwk["y"] = Credentials.ToBase64Url(parameters.Q.Y!);
        }

        return jwk;
    }

    /// <summary>Signs bytes in the form that JWS asks for.</summary>
    public byte[] SignBytes(byte[] input)
    {
        var hash = s_hashes[Algorithm[2..]];
        return _key is RSA rsa
            ? rsa.SignData(input, hash, Algorithm.StartsWith("PS", StringComparison.Ordinal) ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1)
            : ((ECDsa)_key).SignData(input, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
    }

    /// <summary>Signs in DER, which JWS does not allow.</summary>
    public byte[] SignDer(byte[] input) =>
        ((ECDsa)_key).SignData(input, s_hashes[Algorithm[2..]], DSASignatureFormat.Rfc3279DerSequence);

    /// <summary>Makes a token with the usual header.</summary>
    public string Sign(JsonObject claims)
    {
        var header = new JsonObject { ["typ"] = "JWT", ["alg"] = Algorithm };
        if (KeyId is not null)
        {
            header["kid"] = KeyId;
        }

        return Sign(header.ToJsonString(), claims?.ToJsonString(Credentials.Relaxed)!);
    }

    /// <summary>Makes a token of a header and claims as given.</summary>
    public string Sign(string header, string claims)
    {
        var input = SigningInput(header, claims);
        return $"{input}.{Credentials.ToBase64Url(SignBytes(Encoding.ASCII.GetBytes(input)))}";
    }

    /// <summary>The first two parts of a token.</summary>
    public static string SigningInput(string header, string claims) =>
        $"{Credentials.ToBase64Url(Encoding.UTF8.GetBytes(header))}.{Credentials.ToBase64Url(Encoding.UTF8.GetBytes(claims))}";

    /// <summary>A JWK set of keys.</summary>
    public static string KeySetOf(params JsonObject[] keys) => new JsonObject { ["keys"] = new JsonArray([.. keys]) }.ToJsonString();

    /// <summary>A JWK set of signers.</summary>
    public static string KeySetOf(params TestSigner[] signers) => KeySetOf([.. signers.Select(signer => signer.ToJwk())]);
}
