using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

public sealed class TokenCacheTests
{
    [Fact]
    public async Task A_token_is_remembered_once_it_was_verified()
    {
        await using var bench = await TokenBench.StartAsync();
        await bench.AssertRefusedAsync(bench.OpenIdToken(("nbf", bench.Now + 900)), TokenRefusal.NotYetValid);
        Assert.Equal(0, bench.Cache.Count);
        var token = bench.PoolToken();
        await bench.AssertGrantedAsync(token);
        await bench.AssertGrantedAsync("Bearer " + token);
        Assert.Equal(1, bench.Cache.Count);
        Assert.InRange(bench.Cache.Bytes, 2 * token.Length, 3000);
    }

    [Fact]
    public async Task The_number_of_tokens_is_bounded_and_those_in_use_stay()
    {
        await using var bench = await TokenBench.StartAsync(new JwtOptions { CachedTokensMax = 10 });
        var busy = bench.PoolToken();
        await bench.AssertGrantedAsync(busy);
        Assert.True(IsRemembered(bench, busy));
        for (var i = 0; i < 100; i++)
        {
            await bench.AssertGrantedAsync(bench.PoolToken(("n", i)));
            Assert.True(IsRemembered(bench, busy), $"forgotten after {i}");
        }

        Assert.Equal(10, bench.Cache.Count);
        Assert.False(IsRemembered(bench, bench.PoolToken(("n", 0))));
    }

    [Fact]
    public async Task Their_bytes_are_bounded()
    {
        await using var bench = await TokenBench.StartAsync(new JwtOptions { CachedTokenBytesMax = 20_000 });
        for (var i = 0; i < 50; i++)
        {
            await bench.AssertGrantedAsync(bench.PoolToken(("n", i)));
        }

        Assert.InRange(bench.Cache.Bytes, 10_000, 20_000);
        Assert.InRange(bench.Cache.Count, 5, 20);
    }

    [Fact]
    public async Task Without_a_cache_every_token_is_verified_again()
    {
        await using var bench = await TokenBench.StartAsync(new JwtOptions { CachedTokensMax = 0 });
        var token = bench.PoolToken();
        await bench.AssertGrantedAsync(token);
        await bench.AssertGrantedAsync(token);
        Assert.Equal(0, bench.Cache.Count);
    }

    [Theory]
    [InlineData("Fanfare:Jwt:ClockSkew", "-00:00:01")]
    [InlineData("Fanfare:Jwt:ClockSkew", "00:10:01")]
    [InlineData("Fanfare:Jwt:KeysRefreshInterval", "00:00:09")]
    [InlineData("Fanfare:Jwt:KeysAgeMax", "00:10:00")]
    [InlineData("Fanfare:Jwt:CachedTokensMax", "-1")]
    [InlineData("Fanfare:Jwt:CachedTokenBytesMax", "-1")]
    [InlineData("Fanfare:Cognito:Endpoint", "localhost:9229")]
    [InlineData("Fanfare:Cognito:Endpoint", "http://localhost:9229/?a=b")]
    public async Task A_wrong_setting_stops_the_start_with_its_name(string key, string value)
    {
        var error = await Assert.ThrowsAnyAsync<Exception>(async () => await GatewayServer.StartAsync($"--{key}={value}"));
        Assert.IsType<OptionsValidationException>(error);
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_setting_stops_the_start_with_its_name()
    {
        var error = await Assert.ThrowsAsync<GatewayStartException>(async () => await GatewayServer.StartAsync("--Fanfare:Jwt:Skew=1"));
        Assert.Contains("Fanfare:Jwt:Skew", error.Message, StringComparison.Ordinal);
    }

    private static bool IsRemembered(TokenBench bench, string token)
    {
        var request = bench.RequestOf(token);
        return bench.Cache.Find(request.Api.Issuers, request.Credentials.Authorization.Span) is not null;
    }
}
