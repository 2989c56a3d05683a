using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>Which mode a request is in (AppSync Events, "Authorization"); the function stands in for a Lambda authorizer.</summary>
public sealed class ModeDetectionTests
{
    [Theory]
    [InlineData("")]
    [InlineData("Bearer ")]
    [InlineData("bearer ")]
    [InlineData("BEARER   ")]
    public async Task A_token_may_follow_Bearer(string prefix)
    {
        await using var bench = await TokenBench.StartAsync();
        await bench.AssertGrantedAsync(prefix + bench.PoolToken());
        await bench.AssertGrantedAsync(prefix + bench.OpenIdToken());
    }

    [Theory]
    [InlineData("custom-token")]
    [InlineData("Bearer custom-token")]
    [InlineData("Basic YTpi")]
    [InlineData("a.b.c")]
    [InlineData("AWS4-HMAC-SHA256 Credential=x")]
    public async Task What_is_no_token_of_an_issuer_goes_to_the_function_if_there_is_one(string authorization)
    {
        await using var bench = await TokenBench.StartAsync();
        Assert.Same(ProtocolError.Unauthorized, (await bench.AuthorizeAsync(authorization)).Error);
        bench.Serve(TokenBench.Pool(), bench.OpenId(), TokenBench.Function());
        Assert.Same(TokenBench.FunctionStub.Asked, (await bench.AuthorizeAsync(authorization)).Error);
    }

    [Fact]
    public async Task A_token_of_an_issuer_never_reaches_the_function_however_wrong_it_is()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(TokenBench.Pool(), bench.OpenId(), TokenBench.Function());
        await bench.AssertGrantedAsync(bench.PoolToken());
        var input = TestSigner.SigningInput("""{"alg":"none"}""", bench.PoolClaims().ToJsonString());
        await bench.AssertRefusedAsync(input + ".", TokenRefusal.Algorithm);
        await bench.AssertRefusedAsync(TestSigner.Rsa.Sign("{", bench.PoolClaims().ToJsonString()), TokenRefusal.Algorithm);
        Assert.Same(ProtocolError.TokenExpired, (await bench.AuthorizeAsync(bench.PoolToken(("exp", 0)))).Error);
    }

    [Fact]
    public async Task A_token_of_another_issuer_or_with_something_added_goes_to_the_function()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(TokenBench.Pool(), bench.OpenId(), TokenBench.Function());
        foreach (var token in new[]
        {
            bench.PoolToken(("iss", bench.PoolIssuer + "/")), bench.PoolToken(("iss", null)), "x " + bench.PoolToken(),
            bench.PoolToken() + ".", bench.PoolToken() + "=",
        })
        {
            Assert.Same(TokenBench.FunctionStub.Asked, (await bench.AuthorizeAsync(token)).Error);
        }

        bench.Serve(TokenBench.Function());
        Assert.Same(TokenBench.FunctionStub.Asked, (await bench.AuthorizeAsync(bench.PoolToken())).Error);
    }

    [Fact]
    public async Task A_signature_goes_to_the_function_only_where_iam_is_not_configured()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(new AuthProvider { Mode = AuthMode.AwsIam }, TokenBench.Function());
        Assert.Same(ProtocolError.Unauthorized, (await bench.AuthorizeAsync("AWS4-HMAC-SHA256 Credential=x")).Error);
    }

    [Fact]
    public async Task Nothing_at_all_is_no_mode()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(TokenBench.Pool(), TokenBench.Function());
        Assert.Same(ProtocolError.Unauthorized, (await bench.AuthorizeAsync("")).Error);
    }

    [Fact]
    public async Task A_token_remembered_for_one_api_is_nothing_to_another()
    {
        await using var bench = await TokenBench.StartAsync();
        var token = bench.OpenIdToken();
        await bench.AssertGrantedAsync(token);
        bench.Serve(bench.OpenId("^other$"));
        await bench.AssertRefusedAsync(token, TokenRefusal.Client);
        bench.Serve(TokenBench.Pool());
        Assert.NotNull((await bench.AuthorizeAsync(token)).Error);
    }

    [Fact]
    public async Task A_pool_that_is_also_an_openid_provider_is_a_pool()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId(issuer: bench.PoolIssuer), TokenBench.Pool());
        Assert.IsType<CognitoIdentity>((await bench.AuthorizeAsync(bench.PoolToken())).Identity);
    }

    [Theory]
    [InlineData("eu-west-1", "https://cognito-idp.eu-west-1.amazonaws.com/p")]
    [InlineData("cn-north-1", "https://cognito-idp.cn-north-1.amazonaws.com.cn/p")]
    public void A_pool_at_aws_is_known_by_its_region(string region, string issuer)
    {
        var provider = new AuthProvider
        {
            Mode = AuthMode.CognitoUserPools,
            Cognito = new CognitoSettings { UserPoolId = "p", AwsRegion = region },
        };
        Assert.NotNull(TokenIssuers.Create([provider], null).Find(issuer));
        Assert.NotNull(TokenIssuers.Create([provider], new Uri("http://idp:9229/")).Find("http://idp:9229/p"));
        Assert.True(TokenIssuers.Create([], null).IsEmpty);
    }

    [Fact]
    public async Task An_id_token_is_written_as_the_identity_of_a_pool()
    {
        await using var bench = await TokenBench.StartAsync();
        var claims = $$"""
            {"sub":"3f1c","iss":"{{bench.PoolIssuer}}","cognito:username":"ana","cognito:groups":["staff","ops"],"aud":"web","token_use":"id","exp":{{bench.Now + 5}},"n":1.50,"ok":true,"none":null,"deep":{"a":[1e3]},"name":"Zoë \u0026 <co>"}
            """;
        var token = TestSigner.Rsa.Sign("""{"alg":"RS256","kid":"rsa-1"}""", claims);
        Assert.Equal(
            $$"""
            {"sub":"3f1c","issuer":"{{bench.PoolIssuer}}","username":"ana","claims":{{claims}},"groups":["staff","ops"],"sourceIp":["203.0.113.9"],"defaultAuthStrategy":"ALLOW"}
            """,
            await bench.IdentityOfAsync(token));
    }

    [Fact]
    public async Task An_access_token_without_groups_is_written_as_the_identity_of_a_pool()
    {
        await using var bench = await TokenBench.StartAsync();
        var claims = $$"""{"sub":"3f1c","iss":"{{bench.PoolIssuer}}","username":"ana","client_id":"web","token_use":"access","exp":{{bench.Now + 5}}}""";
        Assert.Equal(
            $$"""
            {"sub":"3f1c","issuer":"{{bench.PoolIssuer}}","username":"ana","claims":{{claims}},"groups":null,"sourceIp":["203.0.113.9"],"defaultAuthStrategy":"ALLOW"}
            """,
            await bench.IdentityOfAsync(TestSigner.Rsa.Sign("""{"alg":"RS256","kid":"rsa-1"}""", claims)));
    }

    [Fact]
    public async Task An_openid_token_is_written_as_sub_issuer_and_claims()
    {
        await using var bench = await TokenBench.StartAsync();
        var claims = bench.OpenIdClaims(("email", "a@b.c")).ToJsonString();
        Assert.Equal(
            $$"""{"sub":"user-1","issuer":"{{bench.Host.Issuer}}","claims":{{claims}}}""",
            await bench.IdentityOfAsync(TestSigner.Ec.Sign("""{"alg":"ES256","kid":"ec-1"}""", claims)));
        var decision = await bench.AuthorizeAsync(bench.OpenIdToken(("sub", null)));
        Assert.DoesNotContain("web-client", decision.Identity!.ToString(), StringComparison.Ordinal);
        Assert.StartsWith("""{"sub":null,""", await bench.IdentityOfAsync(bench.OpenIdToken(("sub", null))), StringComparison.Ordinal);
    }
}
