using System.Text;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

public sealed class TokenParsingTests
{
    private const string Header = """{"alg":"RS256"}""";
    private const string Payload = """{"iss":"joe"}""";

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a.b")]
    [InlineData("a.b.c.d")]
    public void What_has_not_three_parts_is_no_token(string text) => Assert.False(TryParse(text, out _));

    [Theory]
    [InlineData("7")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"iss":7}""")]
    [InlineData("""{"iss":null}""")]
    [InlineData("""{"iss":"joe"} x""")]
    [InlineData("""{"iss":"joe",}""")]
    [InlineData("""{"iss":"joe","iss":"eve"}""")]
    [InlineData("""{"iss":"joe","a":{"b":1,"b":2}}""")]
    [InlineData("""{"iss":"joe","\u0069ss":"eve"}""")]
    [InlineData("""{"iss":"\ud800"}""")]
    public void A_payload_without_one_issuer_is_no_token(string payload) => Assert.False(TryParse(Token(Header, payload), out _));

    [Fact]
    public void Bytes_that_are_no_utf8_are_no_token() =>
        Assert.False(TryParse($"{Encode(Header)}.{Credentials.ToBase64Url([.. "{\"iss\":\"joe\",\"a\":\""u8, 0xff, .. "\"}"u8])}.AA", out _));

    [Theory]
    [InlineData("""{"alg":"RS256","crit":["b64"],"b64":false}""")]
    [InlineData("""{"alg":"RS256","crit":[]}""")]
    [InlineData("""{"alg":"RS256","alg":"none"}""")]
    [InlineData("""{"alg":"RS256","kid":"a","kid":"b"}""")]
    [InlineData("""{"alg":"RS256","kid":7}""")]
    [InlineData("""{"alg":"RS256","kid":null}""")]
    [InlineData("""{"alg":["RS256"]}""")]
    [InlineData("""{"kid":"a"}""")]
    [InlineData("""["RS256"]""")]
    [InlineData("""{"alg":"RS256"} """ + "\u0001")]
    [InlineData("")]
    public void A_header_that_cannot_be_used_leaves_a_token_without_algorithm(string header)
    {
        Assert.True(TryParse(Token(header, Payload), out var token));
        Assert.Null(token!.Algorithm);
    }

    [Theory]
    [InlineData("""{"iss":"joe","\ud800":1}""")]
    [InlineData("""{"iss":"joe","a":{"\udc00":1,"b":2}}""")]
    [InlineData("""{"iss":"joe","sub":"\ud800"}""")]
    public void Lone_surrogates_never_throw(string payload)
    {
        if (TryParse(Token(Header, payload), out var token))
        {
            Assert.Null(token!.GetString("sub"));
            Assert.True(token.TryGetTime("exp", out _));
        }
    }

    [Theory]
    [InlineData("AB")] // bits that decode to nothing
    [InlineData("AAB")]
    [InlineData("AA==")]
    [InlineData("AAA=")]
    [InlineData("A")]
    [InlineData("AA+/")]
    [InlineData("AA\nA")]
    [InlineData(" AAAA")]
    [InlineData("AAé")]
    public void Every_part_has_one_spelling(string signature)
    {
        Assert.False(TryParse($"{Encode(Header)}.{Encode(Payload)}.{signature}", out _));
        Assert.False(StrictBase64Url.TryDecode(Encoding.UTF8.GetBytes(signature), out _));
    }

    [Fact]
    public void Base64url_agrees_with_the_framework_on_every_length()
    {
        var random = new Random(7);
        for (var length = 0; length < 100; length++)
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            Assert.True(StrictBase64Url.TryDecode(Encoding.ASCII.GetBytes(Credentials.ToBase64Url(bytes)), out var decoded));
            Assert.Equal(bytes, decoded);
        }
    }

    [Fact]
    public void A_token_of_16_KiB_is_the_longest()
    {
        var rest = $"{Encode(Header)}.{Encode(Payload)}.";
        var signature = new string('A', JsonWebToken.BytesMax - rest.Length);
        Assert.Equal(signature.Length % 4 != 1, TryParse(rest + signature, out _));
        Assert.False(TryParse(rest + signature + "A", out _));
        Assert.False(TryParse(rest + signature + "AA", out _));
    }

    [Theory]
    [InlineData("a.b.c", "a.b.c")]
    [InlineData("Bearer a.b.c", "a.b.c")]
    [InlineData("bEARER  a.b.c ", "a.b.c")]
    [InlineData(" Bearer a.b.c", "a.b.c")]
    [InlineData("Bearera.b.c", "Bearera.b.c")]
    [InlineData("Bearer Bearer a.b.c", "Bearer a.b.c")]
    [InlineData("Bearer", "Bearer")]
    [InlineData("Basic a.b.c", "Basic a.b.c")]
    [InlineData("", "")]
    public void One_bearer_prefix_is_stripped(string value, string expected) =>
        Assert.Equal(expected, Encoding.ASCII.GetString(JsonWebToken.StripBearer(Encoding.ASCII.GetBytes(value))));

    private static bool TryParse(string text, out JsonWebToken? token) => JsonWebToken.TryParse(Encoding.UTF8.GetBytes(text), out token);

    private static string Token(string header, string payload) => $"{Encode(header)}.{Encode(payload)}.AA";

    private static string Encode(string json) => Credentials.ToBase64Url(Encoding.UTF8.GetBytes(json));
}
