using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>What issuers write in their key sets, and what they should not.</summary>
public sealed class KeyReadingTests
{
    private const string Claims = """{"iss":"joe"}""";

    [Fact]
    public void Members_that_are_optional_may_be_missing()
    {
        var rsa = TestSigner.Rsa.ToJwk();
        foreach (var member in new[] { "alg", "use", "kid" })
        {
            rsa.Remove(member);
            Assert.True(Verifies(TestSigner.Rsa, rsa), $"without {member}");
        }
    }

    [Fact]
    public void Leading_zeros_of_numbers_mean_nothing()
    {
        // Some 1 of 256 coordinates begins with a zero byte; issuers that drop it, or add one, are all understood.
        var rsa = TestSigner.Rsa.ToJwk();
        rsa["n"] = Credentials.ToBase64Url([0, .. Decode((string)rsa["n"]!)]);
        rsa["e"] = Credentials.ToBase64Url([0, 0, .. Decode((string)rsa["e"]!)]);
        Assert.True(Verifies(TestSigner.Rsa, rsa));

        var signer = FindSignerWithShortCoordinate();
        var ec = signer.ToJwk();
        Assert.True(Verifies(signer, ec));
        ec["x"] = Credentials.ToBase64Url(Decode((string)ec["x"]!)[1..]);
        Assert.True(Verifies(signer, ec));
        ec["x"] = Credentials.ToBase64Url([0, 0, .. Decode((string)ec["x"]!)]);
        Assert.True(Verifies(signer, ec));
    }

    [Theory]
    [InlineData("use", "\"enc\"")]
    [InlineData("use", "[\"sig\"]")]
    [InlineData("key_ops", "[\"sign\"]")]
    [InlineData("key_ops", "\"verify\"")]
    [InlineData("alg", "\"RSA-OAEP\"")]
    [InlineData("alg", "\"ES256\"")]
    [InlineData("alg", "\"HS256\"")]
    [InlineData("kty", "\"EC\"")]
    [InlineData("kty", "\"rsa\"")]
    [InlineData("e", "\"AQ\"")]
    [InlineData("e", "\"Ag\"")]
    [InlineData("e", "\"AA\"")]
    [InlineData("e", "\"\"")]
    [InlineData("e", "65537")]
    [InlineData("n", "\"\"")]
    [InlineData("n", "\"not base64url!\"")]
    [InlineData("n", null)]
    public void A_key_that_may_not_verify_is_left_out(string member, string? json)
    {
        var jwk = TestSigner.Rsa.ToJwk();
        jwk.Remove(member);
        if (json is not null)
        {
            jwk[member] = JsonNode.Parse(json);
        }

        Assert.Equal(0, Parse(jwk).Count);
    }

    [Fact]
    public void A_key_may_name_its_operations()
    {
        var jwk = TestSigner.Rsa.ToJwk();
        jwk["key_ops"] = new JsonArray("sign", "verify");
        Assert.True(Verifies(TestSigner.Rsa, jwk));
    }

    [Theory]
    [InlineData("crv", "\"P-384\"")]
    [InlineData("crv", "\"secp256k1\"")]
    [InlineData("alg", "\"ES384\"")]
    [InlineData("x", "\"AQ\"")]
    [InlineData("y", "\"\"")]
    public void An_elliptic_key_off_its_curve_is_left_out(string member, string json)
    {
        var jwk = TestSigner.Ec.ToJwk();
        jwk[member] = JsonNode.Parse(json);
        Assert.Equal(0, Parse(jwk).Count);
    }

    [Theory]
    [InlineData(1024, 0)]
    [InlineData(2040, 0)]
    [InlineData(2048, 1)]
    [InlineData(3072, 1)]
    public void Rsa_keys_have_2048_bits_at_least(int bits, int expected) =>
        Assert.Equal(expected, Parse(TestSigner.Create("RS256", "k", bits).ToJwk()).Count);

    [Fact]
    public void An_enormous_rsa_key_is_left_out()
    {
        var jwk = TestSigner.Rsa.ToJwk();
        jwk["n"] = Credentials.ToBase64Url([.. Enumerable.Repeat((byte)255, 1025)]);
        Assert.Equal(0, Parse(jwk).Count);
    }

    [Fact]
    public void A_certificate_alone_is_no_key_and_does_not_spoil_its_neighbours()
    {
        var certificate = JsonNode.Parse("""{"kty":"RSA","kid":"c","use":"sig","x5c":["MIIB"]}""")!.AsObject();
        var okp = JsonNode.Parse("""{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}""")!.AsObject();
        var keys = KeySet.Parse(Encoding.UTF8.GetBytes(new JsonObject
        {
            ["keys"] = new JsonArray(certificate, okp, null, 7, "x", new JsonArray(), new JsonObject(), TestSigner.Rsa.ToJwk()),
        }.ToJsonString()));
        Assert.Equal(1, keys.Count);
        Assert.False(keys.Names("c"));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"keys":{}}""")]
    [InlineData("\"keys\"")]
    public void What_is_no_key_set_is_an_error(string json) =>
        Assert.Throws<KeyFetchException>(() => KeySet.Parse(Encoding.UTF8.GetBytes(json)));

    [Theory]
    [InlineData("")]
    [InlineData("{\"keys\":[")]
    [InlineData("<html>")]
    public void What_is_no_json_is_an_error(string text) =>
        Assert.ThrowsAny<JsonException>(() => KeySet.Parse(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Keys_without_ids_are_tried_in_turn()
    {
        var (first, second) = (TestSigner.Rsa.As("RS256", null), TestSigner.OtherRsa.As("RS256", null));
        var keys = Parse(first.ToJwk(), TestSigner.Ec.ToJwk(), second.ToJwk());
        Assert.NotNull(FindSigner(keys, first.Sign("""{"alg":"RS256"}""", Claims)));
        Assert.NotNull(FindSigner(keys, second.Sign("""{"alg":"RS256"}""", Claims)));
        Assert.NotNull(FindSigner(keys, second.Sign("""{"alg":"RS256","kid":"unlisted"}""", Claims)));
        Assert.NotNull(FindSigner(keys, TestSigner.Ec.Sign("""{"alg":"ES256"}""", Claims)));
        Assert.Null(FindSigner(keys, second.Sign("""{"alg":"RS256","kid":"ec-1"}""", Claims)));
    }

    [Fact]
    public void Two_keys_of_one_id_are_told_apart_by_their_kind()
    {
        var keys = Parse(TestSigner.Rsa.As("RS256", "k").ToJwk(), TestSigner.Ec.As("ES256", "k").ToJwk());
        Assert.NotNull(FindSigner(keys, TestSigner.Rsa.Sign("""{"alg":"RS256","kid":"k"}""", Claims)));
        Assert.NotNull(FindSigner(keys, TestSigner.Ec.Sign("""{"alg":"ES256","kid":"k"}""", Claims)));
    }

    private static KeySet Parse(params JsonObject[] keys) => KeySet.Parse(Encoding.UTF8.GetBytes(TestSigner.KeySetOf(keys)));

    private static VerificationKey? FindSigner(KeySet keys, string text)
    {
        Assert.True(JsonWebToken.TryParse(Encoding.ASCII.GetBytes(text), out var token));
        return keys.FindSigner(token, token.Algorithm!);
    }

    private static bool Verifies(TestSigner signer, JsonObject jwk) =>
        FindSigner(Parse(jwk.DeepClone().AsObject()), signer.Sign(JsonNode.Parse(Claims)!.AsObject())) is not null;

    private static TestSigner FindSignerWithShortCoordinate()
    {
        while (true)
        {
            var signer = TestSigner.Create("ES256", "short");
            if (Decode((string)signer.ToJwk()["x"]!)[0] == 0)
            {
                return signer;
            }
        }
    }

    private static byte[] Decode(string text) =>
        Convert.FromBase64String(text.Replace('-', '+').Replace('_', '/') + new string('=', (4 - (text.Length % 4)) % 4));
}
