using Fanfare.Gateway.Authorization.Jwt;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>How keys are fetched, from a host that rotates them, stalls, dies and comes back.</summary>
public sealed class KeyRefreshTests
{
    private static readonly TimeSpan s_interval = new JwtOptions().KeysRefreshInterval;

    [Fact]
    public async Task Keys_are_fetched_once_for_many_tokens()
    {
        await using var bench = await TokenBench.StartAsync();
        Assert.Empty(bench.Host.Requests);
        bench.Host.Stall();
        var waiting = Enumerable.Range(0, 50).Select(i => bench.AuthorizeAsync(bench.PoolToken(("n", i)))).ToList();
        await bench.Host.ArrivedAsync();
        bench.Host.Resume();
        Assert.All(await Task.WhenAll(waiting), decision => Assert.Null(decision.Error));
        Assert.Equal([$"/{TokenBench.PoolId}/.well-known/jwks.json"], bench.Host.Requests);

        await bench.AssertGrantedAsync(bench.OpenIdToken());
        Assert.Equal(["/oidc/.well-known/openid-configuration", "/oidc/jwks.json"], bench.Host.Requests.Skip(1));
    }

    [Fact]
    public async Task A_new_key_works_at_once_and_a_withdrawn_one_until_the_next_refresh()
    {
        await using var bench = await TokenBench.StartAsync();
        var old = bench.PoolToken();
        await bench.AssertGrantedAsync(old);

        bench.Host.KeySet = TestSigner.KeySetOf(TestSigner.OtherRsa, TestSigner.Rsa);
        await bench.AssertGrantedAsync(TestSigner.OtherRsa.Sign(bench.PoolClaims()));
        Assert.Equal(2, bench.Host.KeyRequests);

        bench.Host.KeySet = TestSigner.KeySetOf(TestSigner.OtherRsa);
        await bench.AssertGrantedAsync(old);
        bench.Clock.Advance(s_interval);
        await RefreshedAsync(bench);
        await bench.AssertRefusedAsync(old, TokenRefusal.UnknownKey);
        await bench.AssertGrantedAsync(TestSigner.OtherRsa.Sign(bench.PoolClaims()));
    }

    [Fact]
    public async Task A_key_that_is_replaced_under_the_same_id_invalidates_remembered_tokens()
    {
        await using var bench = await TokenBench.StartAsync();
        var token = bench.PoolToken();
        await bench.AssertGrantedAsync(token);
        bench.Host.KeySet = TestSigner.KeySetOf(TestSigner.OtherRsa.As("RS256", "rsa-1"));
        bench.Clock.Advance(s_interval);
        await RefreshedAsync(bench);
        await bench.AssertRefusedAsync(token, TokenRefusal.Signature);
    }

    [Fact]
    public async Task Unknown_key_ids_fetch_once_per_30_seconds()
    {
        await using var bench = await TokenBench.StartAsync();
        await bench.AssertGrantedAsync(bench.PoolToken());
        await FloodAsync(bench);
        Assert.Equal(2, bench.Host.KeyRequests);
        await FloodAsync(bench);
        Assert.Equal(2, bench.Host.KeyRequests);
        bench.Clock.Advance(KeySource.UnknownKeyInterval - TimeSpan.FromTicks(1));
        await FloodAsync(bench);
        Assert.Equal(2, bench.Host.KeyRequests);
        bench.Clock.Advance(TimeSpan.FromTicks(1));
        await FloodAsync(bench);
        Assert.Equal(3, bench.Host.KeyRequests);
    }

    [Fact]
    public async Task A_slow_issuer_delays_nobody_whose_key_is_known()
    {
        await using var bench = await TokenBench.StartAsync();
        var token = bench.PoolToken();
        await bench.AssertGrantedAsync(token);
        await bench.Host.ArrivedAsync();

        bench.Host.Stall();
        bench.Clock.Advance(s_interval);
        await bench.Host.ArrivedAsync(); // the refresh is under way and gets no answer
        foreach (var known in new[] { token, bench.PoolToken(("n", 1)) })
        {
            var decision = bench.DecideAsync(known).AsTask();
            Assert.True(decision.IsCompletedSuccessfully, "the decision waits");
            Assert.Null((await decision).Error);
        }
    }

    [Fact]
    public async Task A_request_waits_five_seconds_for_the_first_keys_and_the_next_does_not_wait()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Host.Stall();
        var waiting = bench.AssertRefusedAsync(bench.PoolToken(), TokenRefusal.NoKeys);
        await bench.Host.ArrivedAsync();
        bench.Clock.Advance(KeySource.FetchTimeout - TimeSpan.FromTicks(1));
        Assert.False(waiting.IsCompleted);
        bench.Clock.Advance(TimeSpan.FromTicks(1));
        await waiting;

        await bench.AssertRefusedAsync(bench.PoolToken(("n", 1)), TokenRefusal.NoKeys);
        Assert.Equal(1, bench.Host.KeyRequests);

        bench.Host.Resume();
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await bench.AssertGrantedAsync(bench.PoolToken());
    }

    [Fact]
    public async Task Keys_of_a_dead_issuer_are_used_for_a_day_and_it_is_asked_ever_less_often()
    {
        await using var bench = await TokenBench.StartAsync();
        var token = bench.PoolToken(("exp", bench.Now + 1_000_000));
        await bench.AssertGrantedAsync(token);
        bench.Host.Status = 500;
        bench.Clock.Advance(s_interval);
        await bench.AssertRefusedAsync(TestSigner.OtherRsa.Sign(bench.PoolClaims()), TokenRefusal.UnknownKey);
        var asked = bench.Host.KeyRequests;

        // Distances of 1, 2, 4, 8, 16, 32, 60 and 60 seconds.
        foreach (var seconds in new[] { 1, 2, 4, 8, 16, 32, 60, 60 })
        {
            bench.Clock.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromTicks(1));
            Assert.Equal(asked, bench.Host.KeyRequests);
            bench.Clock.Advance(TimeSpan.FromTicks(1));
            await bench.AssertRefusedAsync(TestSigner.OtherRsa.Sign(bench.PoolClaims()), TokenRefusal.UnknownKey);
            Assert.Equal(++asked, bench.Host.KeyRequests);
            await bench.AssertGrantedAsync(token);
        }

        Assert.Single(bench.Log.Lines, line => line.Level == LogLevel.Warning);
        bench.Clock.Advance(TimeSpan.FromDays(1) - s_interval - TimeSpan.FromSeconds(183));
        await bench.AssertGrantedAsync(token);
        bench.Clock.Advance(TimeSpan.FromTicks(1));
        await bench.AssertRefusedAsync(token, TokenRefusal.NoKeys);

        bench.Host.Status = 200;
        bench.Clock.Advance(TimeSpan.FromMinutes(1));
        await bench.AssertGrantedAsync(token);
    }

    [Theory]
    [InlineData("""{"issuer":"https://id.example.com","jwks_uri":"{host}/oidc/jwks.json"}""", "names another issuer")]
    [InlineData("""{"issuer":"{host}/oidc/","jwks_uri":"{host}/oidc/jwks.json"}""", "names another issuer")]
    [InlineData("""{"jwks_uri":"{host}/oidc/jwks.json"}""", "names another issuer")]
    [InlineData("""{"issuer":"{host}/oidc"}""", "no jwks_uri")]
    [InlineData("""{"issuer":"{host}/oidc","jwks_uri":"http://id.example.com/jwks.json"}""", "must be https")]
    [InlineData("""{"issuer":"{host}/oidc","jwks_uri":"file:///etc/passwd"}""", "must be https")]
    [InlineData("""{"issuer":"{host}/oidc","jwks_uri":"/oidc/jwks.json"}""", "must be https")]
    [InlineData("[]", "names another issuer")]
    [InlineData("<html>", "invalid")]
    public async Task A_wrong_discovery_document_gives_no_keys(string document, string reason)
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Host.Discovery = document.Replace("{host}", bench.Host.Address, StringComparison.Ordinal);
        await bench.AssertRefusedAsync(bench.OpenIdToken(), TokenRefusal.NoKeys);
        Assert.Equal(0, bench.Host.KeyRequests);
        Assert.Contains(reason, Assert.Single(bench.Log.Lines, line => line.Level == LogLevel.Warning).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slash_at_the_end_of_an_issuer_belongs_to_its_name_and_not_to_its_address()
    {
        await using var bench = await TokenBench.StartAsync();
        var issuer = bench.Host.Issuer + "/";
        bench.Serve(bench.OpenId(issuer: issuer));
        bench.Host.Discovery = $$"""{"issuer":"{{issuer}}","jwks_uri":"{{bench.Host.Address}}/oidc/jwks.json"}""";
        await bench.AssertGrantedAsync(bench.OpenIdToken(("iss", issuer)));
        Assert.Equal("/oidc/.well-known/openid-configuration", bench.Host.Requests.First());
        Assert.NotNull((await bench.AuthorizeAsync(bench.OpenIdToken())).Error);
    }

    [Fact]
    public async Task An_issuer_elsewhere_must_speak_https()
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Serve(bench.OpenId(issuer: "http://id.example.com"));
        await bench.AssertRefusedAsync(bench.OpenIdToken(("iss", "http://id.example.com")), TokenRefusal.NoKeys);
        Assert.Contains(bench.Log.Lines, line => line.Text.Contains("must be https", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("huge")]
    [InlineData("moved")]
    [InlineData("broken")]
    public async Task An_answer_that_is_no_key_set_gives_no_keys(string kind)
    {
        await using var bench = await TokenBench.StartAsync();
        bench.Host.KeySet = kind switch
        {
            "huge" => $$"""{"x":"{{new string('x', 300_000)}}","keys":[{{TestSigner.Rsa.ToJwk().ToJsonString()}}]}""",
            "broken" => TestSigner.KeySetOf(TestSigner.Rsa)[..^2],
            _ => TestSigner.KeySetOf(TestSigner.Rsa),
        };
        bench.Host.Status = kind == "moved" ? 302 : 200;
        await bench.AssertRefusedAsync(bench.PoolToken(), TokenRefusal.NoKeys);
    }

    /// <summary>Waits for the fetch that the timer has started: a token that lacks its key joins it.</summary>
    private static async Task RefreshedAsync(TokenBench bench) =>
        Assert.NotNull((await bench.AuthorizeAsync(TestSigner.Rsa.As("RS256", "nobody's").Sign(bench.PoolClaims()))).Error);

    private static async Task FloodAsync(TokenBench bench)
    {
        var all = Enumerable.Range(0, 100)
            .Select(i => bench.AuthorizeAsync(TestSigner.Rsa.As("RS256", $"made-up-{i}").Sign(bench.PoolClaims())));
        Assert.All(await Task.WhenAll(all), decision => Assert.NotNull(decision.Error));
    }
}
