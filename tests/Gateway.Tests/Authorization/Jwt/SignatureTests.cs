using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

public sealed class SignatureTests
{
    private const string RfcPayload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    private static readonly string[] s_algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

    /// <summary>RFC 7515, appendices A.2 and A.3: keys and tokens that others made.</summary>
    [Theory]
    [InlineData(
        """{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}""",
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")]
    [InlineData(
        """{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}""",
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")]
    public void The_examples_of_RFC_7515_verify(string jwk, string header, string signature)
    {
        var keys = KeySet.Parse(Encoding.UTF8.GetBytes($$"""{"keys":[{{jwk}}]}"""));
        Assert.True(JsonWebToken.TryParse(Encoding.ASCII.GetBytes($"{header}.{RfcPayload}.{signature}"), out var token));
        Assert.Equal("joe", token.Issuer);
        Assert.NotNull(keys.FindSigner(token, token.Algorithm!));
    }

    [Fact]
    public async Task An_openid_provider_may_sign_with_any_asymmetric_algorithm_and_its_key_fits_no_other()
    {
        await using var bench = await TokenBench.StartAsync();
        var signers = s_algorithms.Select(algorithm => TestSigner.Create(algorithm, algorithm)).ToArray();
        bench.Host.KeySet = TestSigner.KeySetOf(signers);
        foreach (var signer in signers)
        {
            await bench.AssertGrantedAsync(signer.Sign(bench.OpenIdClaims()));
            foreach (var other in s_algorithms.Where(name => name != signer.Algorithm && name[0] == signer.Algorithm[0]))
            {
                // An RSA or EC key of this id under an algorithm of its own kind that its "alg" does not name.
                var header = new JsonObject { ["alg"] = other, ["kid"] = signer.KeyId }.ToJsonString();
                await bench.AssertRefusedAsync(
                    (other[0] == 'E' ? signer : signer.As(other, signer.KeyId)).Sign(header, bench.OpenIdClaims().ToJsonString()),
                    TokenRefusal.Signature);
            }
        }
    }

    [Fact]
    public async Task A_user_pool_signs_with_RS256_alone()
    {
        await using var bench = await TokenBench.StartAsync();
        foreach (var algorithm in s_algorithms.Where(name => name != "RS256"))
        {
            var signer = TestSigner.Create(algorithm, "k");
            bench.Host.KeySet = TestSigner.KeySetOf(signer);
            await bench.AssertRefusedAsync(signer.Sign(bench.PoolClaims()), TokenRefusal.Algorithm);
        }

        Assert.Equal(0, bench.Host.KeyRequests);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("None")]
    [InlineData("nOnE")]
    [InlineData("")]
    [InlineData("rs256")]
    [InlineData("RS256 ")]
    [InlineData("RS1")]
    [InlineData("ES256K")]
    [InlineData("EdDSA")]
    [InlineData("RSA-OAEP")]
    public async Task Other_algorithms_are_refused_signed_or_not(string algorithm)
    {
        await using var bench = await TokenBench.StartAsync();
        var header = new JsonObject { ["alg"] = algorithm, ["kid"] = "rsa-1" }.ToJsonString();
        foreach (var claims in new[] { bench.PoolClaims(), bench.OpenIdClaims() })
        {
            await bench.AssertRefusedAsync(TestSigner.Rsa.Sign(header, claims.ToJsonString()), TokenRefusal.Algorithm);
            await bench.AssertRefusedAsync(TestSigner.SigningInput(header, claims.ToJsonString()) + ".", TokenRefusal.Algorithm);
        }
    }

    [Fact]
    public async Task An_hmac_with_the_public_key_as_secret_is_refused()
    {
        await using var bench = await TokenBench.StartAsync();
        var pem = TestSigner.Rsa.ExportPem();
        var modulus = (string)TestSigner.Rsa.ToJwk()["n"]!;
        byte[][] secrets =
        [
            Encoding.ASCII.GetBytes(pem), Encoding.ASCII.GetBytes(pem + "\n"), Encoding.ASCII.GetBytes(modulus),
            Convert.FromBase64String(modulus.Replace('-', '+').Replace('_', '/') + "=="), [],
        ];
        foreach (var secret in secrets)
        {
            foreach (var algorithm in new[] { "HS256", "RS256", "hs256" })
            {
                var input = TestSigner.SigningInput($$"""{"alg":"{{algorithm}}","kid":"rsa-1"}""", bench.OpenIdClaims().ToJsonString());
                var token = $"{input}.{Credentials.ToBase64Url(HMACSHA256.HashData(secret, Encoding.ASCII.GetBytes(input)))}";
                await bench.AssertRefusedAsync(token, algorithm == "RS256" ? TokenRefusal.Signature : TokenRefusal.Algorithm);
            }
        }
    }

    [Fact]
    public async Task A_symmetric_key_in_the_set_verifies_nothing()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Host.KeySet = """{"keys":[{"kty":"oct","kid":"s","alg":"HS256","k":"c2VjcmV0"}]}""";
        var input = TestSigner.SigningInput("""{"alg":"HS256","kid":"s"}""", bench.OpenIdClaims().ToJsonString());
        var mac = HMACSHA256.HashData("secret"u8, Encoding.ASCII.GetBytes(input));
        await bench.AssertRefusedAsync($"{input}.{Credentials.ToBase64Url(mac)}", TokenRefusal.Algorithm);
    }

    [Fact]
    public async Task Ecdsa_signatures_have_the_exact_length_of_two_coordinates()
    {
        await using var bench = await TokenBench.StartAsync();
        var input = TestSigner.SigningInput("""{"alg":"ES256","kid":"ec-1"}""", bench.OpenIdClaims().ToJsonString());
        var bytes = Encoding.ASCII.GetBytes(input);
        var signature = TestSigner.Ec.SignBytes(bytes);
        byte[][] wrong =
        [
            TestSigner.Ec.SignDer(bytes), signature[..63], signature[..32], [], [.. signature, 0], [0, .. signature],
            new byte[64], [.. Enumerable.Repeat((byte)255, 64)], [.. signature[32..], .. signature[..32]],
        ];
        foreach (var candidate in wrong)
        {
            await bench.AssertRefusedAsync($"{input}.{Credentials.ToBase64Url(candidate)}", TokenRefusal.Signature);
        }

        await bench.AssertGrantedAsync($"{input}.{Credentials.ToBase64Url(signature)}");
    }

    [Fact]
    public async Task A_key_on_another_curve_is_refused_even_without_an_alg_of_its_own()
    {
        await using var bench = await TokenBench.StartAsync();
        var p384 = TestSigner.Create("ES384", "k");
        var jwk = p384.ToJwk();
        jwk.Remove("alg");
        bench.Host.KeySet = TestSigner.KeySetOf(jwk);
        await bench.AssertRefusedAsync(
            p384.Sign("""{"alg":"ES256","kid":"k"}""", bench.OpenIdClaims().ToJsonString()), TokenRefusal.Signature);
        await bench.AssertGrantedAsync(p384.Sign(bench.OpenIdClaims()));
    }

    [Fact]
    public async Task A_token_of_one_issuer_is_not_good_for_another()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Host.KeySet = TestSigner.KeySetOf(TestSigner.OtherRsa);
        await bench.AssertRefusedAsync(TestSigner.Rsa.As("RS256", "rsa-2").Sign(bench.PoolClaims()), TokenRefusal.Signature);
        Assert.Same(ProtocolError.Unauthorized, (await bench.AuthorizeAsync(bench.PoolToken(("iss", "https://example.com")))).Error);
    }

    /// <summary>Whatever is changed about a valid token, it is refused.</summary>
    [Fact]
    public async Task No_mutation_of_a_valid_token_is_accepted()
    {
        await using var bench = await TokenBench.StartAsync();
        var random = new Random(20_250_611);
        string[] tokens =
        [
            bench.PoolToken(), bench.OpenIdToken(), TestSigner.Ec.Sign(bench.OpenIdClaims()),
            TestSigner.Rsa.As("RS256", null).Sign(bench.OpenIdClaims()),
        ];
        foreach (var token in tokens)
        {
            await bench.AssertGrantedAsync(token);
        }

        var pem = Encoding.ASCII.GetBytes(TestSigner.Rsa.ExportPem());
        for (var i = 0; i < 100_000; i++)
        {
            var variant = TokenMutation.Mutate(random, tokens, pem);
            if (!tokens.Contains(variant) && (await bench.DecideAsync(variant)).Error is null)
            {
                Assert.Fail($"variant {i} was accepted: {variant}");
            }
        }
    }
}
