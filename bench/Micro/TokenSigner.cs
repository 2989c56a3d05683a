using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Fanfare.Micro;

/// <summary>A key pair of an issuer: signs tokens and shows its public half.</summary>
/// <param name="key">RSA or ECDSA on P-256.</param>
/// <param name="keyId">The key's id.</param>
internal sealed class TokenSigner(AsymmetricAlgorithm key, string keyId) : IDisposable
{
    private string Algorithm => key is RSA ? "RS256" : "ES256";

    /// <summary>The public half as a JWK set of one key (RFC 7517).</summary>
    public string ToKeySet()
    {
        var jwk = new JsonObject { ["kid"] = keyId, ["use"] = "sig", ["alg"] = Algorithm };
        if (key is RSA rsa)
        {
            var parameters = rsa.ExportParameters(includePrivateParameters: false);
            jwk["kty"] = "RSA";
            jwk["n"] = Base64Url.EncodeToString(parameters.Modulus);
            jwk["e"] = Base64Url.EncodeToString(parameters.Exponent);
        }
        else
        {
            var point = ((ECDsa)key).ExportParameters(includePrivateParameters: false).Q;
            jwk["kty"] = "EC";
            jwk["crv"] = "P-256";
            jwk["x"] = Base64Url.EncodeToString(point.X);
            jwk["y"] = Base64Url.EncodeToString(point.Y);
        }

        return new JsonObject { ["keys"] = new JsonArray(jwk) }.ToJsonString();
    }

    /// <summary>Signs claims in the compact form (RFC 7515).</summary>
    public string Sign(JsonObject claims)
    {
        var header = new JsonObject { ["kid"] = keyId, ["alg"] = Algorithm };
        var input = $"{Encode(header)}.{Encode(claims)}";
        var bytes = Encoding.ASCII.GetBytes(input);
        var signature = key is RSA rsa
            ? rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : ((ECDsa)key).SignData(bytes, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return $"{input}.{Base64Url.EncodeToString(signature)}";
    }

    /// <inheritdoc/>
    public void Dispose() => key.Dispose();

    private static string Encode(JsonObject json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));
}
