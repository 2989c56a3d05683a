using System.Globalization;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>Every rule about claims, on both sides of its boundary. The allowance for clocks is the default minute.</summary>
public sealed class ClaimTests
{
    [Theory]
    [InlineData("exp", -59, TokenRefusal.None)]
    [InlineData("exp", -60, TokenRefusal.Expired)]
    [InlineData("nbf", 60, TokenRefusal.None)]
    [InlineData("nbf", 61, TokenRefusal.NotYetValid)]
    [InlineData("iat", 60, TokenRefusal.None)]
    [InlineData("iat", 61, TokenRefusal.IssuedInFuture)]
    [InlineData("iat", -1_000_000, TokenRefusal.None)]
    internal async Task Times_hold_within_a_minute_of_clock_skew(string claim, int secondsFromNow, TokenRefusal expected)
    {
        await using var bench = await TokenBench.StartAsync();
        foreach (var token in new[] { bench.PoolToken((claim, bench.Now + secondsFromNow)), bench.OpenIdToken((claim, bench.Now + secondsFromNow)) })
        {
            await AssertAsync(bench, token, expected);
        }
    }

    [Theory]
    [InlineData("exp", null)]
    [InlineData("exp", "\"4102444800\"")]
    [InlineData("exp", "null")]
    [InlineData("exp", "1e999")]
    [InlineData("nbf", "\"0\"")]
    [InlineData("iat", "true")]
    [InlineData("iat", "[0]")]
    public async Task Times_that_are_no_numbers_are_refused(string claim, string? json)
    {
        await using var bench = await TokenBench.StartAsync();
        var claims = bench.PoolClaims((claim, null)).ToJsonString();
        var text = json is null ? claims : claims[..^1] + $",\"{claim}\":{json}}}";
        await bench.AssertRefusedAsync(TestSigner.Rsa.Sign("""{"alg":"RS256","kid":"rsa-1"}""", text), TokenRefusal.MalformedTime);
    }

    [Fact]
    public async Task A_token_without_iat_and_with_a_fractional_exp_is_granted()
    {
        await using var bench = await TokenBench.StartAsync();
        await bench.AssertGrantedAsync(bench.OpenIdToken(("iat", null), ("exp", bench.Now + 0.5)));
        await bench.AssertGrantedAsync(bench.OpenIdToken(("exp", 1e15)));
    }

    [Fact]
    public async Task A_remembered_token_stops_working_when_it_expires()
    {
        await using var bench = await TokenBench.StartAsync();
        var token = bench.PoolToken(("exp", bench.Now + 10));
        await bench.AssertGrantedAsync(token);
        bench.Clock.Advance(TimeSpan.FromMilliseconds(69_999));
        await bench.AssertGrantedAsync(token);
        bench.Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Same(ProtocolError.TokenExpired, (await bench.AuthorizeAsync(token)).Error);
    }

    [Fact]
    public async Task Expiry_is_told_only_for_a_genuine_token()
    {
        await using var bench = await TokenBench.StartAsync();
        var forged = TestSigner.OtherRsa.As("RS256", "rsa-1").Sign(bench.PoolClaims(("exp", bench.Now - 100)));
        await bench.AssertRefusedAsync(forged, TokenRefusal.Signature);
        Assert.Equal("Token has expired.", (await bench.AuthorizeAsync(bench.PoolToken(("exp", bench.Now - 100)))).Error?.Message);
    }

    [Theory]
    [InlineData("id", "aud", "web-client", TokenRefusal.None)]
    [InlineData("id", "aud", "app-client", TokenRefusal.Client)]
    [InlineData("id", "client_id", "web-client", TokenRefusal.Client)]
    [InlineData("access", "client_id", "web-client", TokenRefusal.None)]
    [InlineData("access", "client_id", "app-client", TokenRefusal.Client)]
    [InlineData("access", "aud", "web-client", TokenRefusal.Client)]
    [InlineData("refresh", "aud", "web-client", TokenRefusal.TokenUse)]
    [InlineData("ID", "aud", "web-client", TokenRefusal.TokenUse)]
    [InlineData(null, "aud", "web-client", TokenRefusal.TokenUse)]
    internal async Task A_pools_client_is_in_aud_of_id_tokens_and_client_id_of_access_tokens(
        string? use, string claim, string client, TokenRefusal expected)
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(TokenBench.Pool("^web-"));
        await AssertAsync(bench, bench.PoolToken(("token_use", use), ("aud", null), (claim, client)), expected);
    }

    [Theory]
    [InlineData("\"web\"", null, null, TokenRefusal.None)]
    [InlineData("[\"api\",\"web\"]", null, null, TokenRefusal.None)]
    [InlineData("[7,null,\"web\"]", null, null, TokenRefusal.None)]
    [InlineData("\"api\"", "web", null, TokenRefusal.None)]
    [InlineData("\"api\"", null, "web", TokenRefusal.None)]
    [InlineData("\"api\"", "other", "other", TokenRefusal.Client)]
    [InlineData("[]", null, null, TokenRefusal.Client)]
    [InlineData("{\"web\":\"web\"}", null, null, TokenRefusal.Client)]
    [InlineData("[[\"web\"]]", null, null, TokenRefusal.Client)]
    [InlineData("7", null, null, TokenRefusal.Client)]
    internal async Task An_openid_client_is_in_aud_azp_or_client_id(string audience, string? party, string? client, TokenRefusal expected)
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId("^(web|mobile)$"));
        await AssertAsync(bench, bench.OpenIdToken(("aud", JsonNode.Parse(audience)), ("azp", party), ("client_id", client)), expected);
    }

    [Fact]
    public async Task A_client_pattern_is_searched_for_and_an_empty_one_admits_all()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId("web|mobile"));
        await bench.AssertGrantedAsync(bench.OpenIdToken(("aud", "my-web-app")));
        bench.Serve(bench.OpenId(""));
        await bench.AssertGrantedAsync(bench.OpenIdToken(("aud", null)));
    }

    [Fact]
    public async Task A_client_pattern_that_takes_forever_refuses()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId("^(?=x)(x+x+)+y$"));
        await bench.AssertRefusedAsync(bench.OpenIdToken(("aud", new string('x', 2000))), TokenRefusal.Client);
    }

    [Fact]
    public async Task A_token_needs_one_of_several_pools_and_clients()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(TokenBench.Pool("^web-"), TokenBench.Pool("^app-"), bench.OpenId());
        await bench.AssertGrantedAsync(bench.PoolToken(("aud", "web-1")));
        await bench.AssertGrantedAsync(bench.PoolToken(("aud", "app-1")));
        await bench.AssertRefusedAsync(bench.PoolToken(("aud", "tv-1")), TokenRefusal.Client);
        await bench.AssertGrantedAsync(bench.OpenIdToken());
    }

    [Theory]
    [InlineData("iat", -5.0, TokenRefusal.None)]
    [InlineData("iat", -5.001, TokenRefusal.IssuedTooLongAgo)]
    [InlineData("iat", null, TokenRefusal.IssuedTooLongAgo)]
    [InlineData("auth_time", -7.0, TokenRefusal.None)]
    [InlineData("auth_time", -7.001, TokenRefusal.AuthenticatedTooLongAgo)]
    [InlineData("auth_time", null, TokenRefusal.AuthenticatedTooLongAgo)]
    internal async Task Ages_are_limited_to_the_millisecond(string claim, double? secondsFromNow, TokenRefusal expected)
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId(null, iatTtl: 5000, authTtl: 7000));
        JsonNode? value = secondsFromNow is { } seconds
            ? JsonNode.Parse((bench.Now + (decimal)seconds).ToString(CultureInfo.InvariantCulture)) : null;
        await AssertAsync(bench, bench.OpenIdToken(("auth_time", bench.Now), (claim, value)), expected);
    }

    [Fact]
    public async Task A_remembered_token_stops_working_when_it_becomes_too_old()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId(null, iatTtl: 5000, authTtl: long.MaxValue));
        var token = bench.OpenIdToken(("auth_time", 0));
        await bench.AssertGrantedAsync(token);
        bench.Clock.Advance(TimeSpan.FromMilliseconds(5000));
        await bench.AssertGrantedAsync(token);
        bench.Clock.Advance(TimeSpan.FromMilliseconds(1));
        await bench.AssertRefusedAsync(token, TokenRefusal.IssuedTooLongAgo);
    }

    private static async Task AssertAsync(TokenBench bench, string token, TokenRefusal expected)
    {
        if (expected == TokenRefusal.None)
        {
            await bench.AssertGrantedAsync(token);
        }
        else if (expected == TokenRefusal.Expired)
        {
            Assert.Same(ProtocolError.TokenExpired, (await bench.AuthorizeAsync(token)).Error);
        }
        else
        {
            await bench.AssertRefusedAsync(token, expected);
        }
    }
}
