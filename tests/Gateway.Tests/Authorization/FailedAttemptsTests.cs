using System.Net;
using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ClientCredentials = Fanfare.Gateway.Tests.TestKit.Credentials;
using ServerCredentials = Fanfare.Gateway.Authorization.Credentials;

namespace Fanfare.Gateway.Tests.Authorization;

/// <summary>Who fails to authenticate too often is held back, and nobody else for long.</summary>
public sealed class FailedAttemptsTests : IAsyncDisposable
{
    private const int PerSecond = 10;
    private const int Burst = 100;

    private readonly ManualTimeProvider _clock = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly GatewayMetrics _metrics;
    private readonly FailedAttempts _attempts;
    private readonly ServedApi _api;

    public FailedAttemptsTests()
    {
        _metrics = ActivatorUtilities.CreateInstance<GatewayMetrics>(_services);
        _attempts = Create(PerSecond);
        _api = new ServedApi(
            new Api
            {
                Id = "api",
                Name = "api",
                HttpHost = "h",
                RealtimeHost = "h",
                AuthProviders = [],
                ConnectionModes = AuthModes.None,
                DefaultPublishModes = AuthModes.None,
                DefaultSubscribeModes = AuthModes.None,
                Namespaces = System.Collections.Frozen.FrozenDictionary<string, ChannelNamespace>.Empty,
            },
            new GatewayOptions(), _metrics, _clock);
    }

    public async ValueTask DisposeAsync()
    {
        _metrics.Dispose();
        await _services.DisposeAsync();
    }

    [Fact]
    public void An_address_is_held_back_after_its_burst_and_let_on_as_the_bucket_refills()
    {
        var request = Request("192.0.2.1", "wrong");
        for (var i = 0; i < Burst; i++)
        {
            Assert.True(_attempts.MayTry(request), $"attempt {i}");
            _attempts.NoteFailure(request, AuthMode.ApiKey);
        }

        Assert.False(_attempts.MayTry(request));
        _clock.Advance(TimeSpan.FromSeconds(1.0 / PerSecond) - TimeSpan.FromTicks(1));
        Assert.False(_attempts.MayTry(request));
        _clock.Advance(TimeSpan.FromTicks(2));
        Assert.True(_attempts.MayTry(request));
        _attempts.NoteFailure(request, AuthMode.ApiKey);
        Assert.False(_attempts.MayTry(request));
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", true)]
    [InlineData("::ffff:192.0.2.1", "::ffff:192.0.2.2", false)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("127.0.0.1", "127.0.0.1", true)]
    public void A_limit_falls_on_one_ipv4_address_or_a_slash_64(string failing, string other, bool isSame)
    {
        Exhaust(_attempts, Request(failing, "wrong"));

        Assert.Equal(!isSame, _attempts.MayTry(Request(other, "other")));
    }

    [Fact]
    public void Credentials_that_were_good_lately_are_looked_at_whatever_the_neighbours_do()
    {
        var good = Request("192.0.2.1", "good");
        _attempts.NoteSuccess(good);
        Exhaust(_attempts, Request("192.0.2.1", "wrong"));

        Assert.True(_attempts.MayTry(good));
        Assert.True(_attempts.MayTry(Request("192.0.2.9", "new")));
        Assert.False(_attempts.MayTry(Request("192.0.2.1", "new")));

        _clock.Advance(TimeSpan.FromMinutes(10));
        Exhaust(_attempts, Request("192.0.2.1", "wrong"));
        Assert.False(_attempts.MayTry(good));
    }

    [Fact]
    public void A_signer_who_was_good_lately_is_looked_at_with_every_signature_but_from_that_network_only()
    {
        _attempts.NoteSuccess(Signed("192.0.2.1", "AKIDANA", "first"));
        Exhaust(_attempts, Request("192.0.2.1", "wrong"));
        Exhaust(_attempts, Request("192.0.2.2", "wrong"));

        Assert.True(_attempts.MayTry(Signed("192.0.2.1", "AKIDANA", "second")));
        Assert.False(_attempts.MayTry(Signed("192.0.2.1", "AKIDBO", "first")));
        Assert.False(_attempts.MayTry(Signed("192.0.2.2", "AKIDANA", "first")));
    }

    [Fact]
    public void Requests_without_credentials_take_nothing()
    {
        for (var i = 0; i < 2 * Burst; i++)
        {
            _attempts.NoteFailure(Request("192.0.2.1", ""), mode: null);
        }

        Assert.True(_attempts.MayTry(Request("192.0.2.1", "any")));
    }

    [Fact]
    public void Zero_switches_the_limit_off()
    {
        var attempts = Create(perSecond: 0);
        var request = Request("192.0.2.1", "wrong");
        Exhaust(attempts, request);

        Assert.True(attempts.MayTry(request));
    }

    [Fact]
    public void No_more_networks_are_watched_than_the_table_holds_and_full_buckets_make_room()
    {
        for (var i = 0; i < FailedAttempts.NetworksMax; i++)
        {
            _attempts.NoteFailure(Request($"10.0.{i / 256}.{i % 256}", "wrong"), AuthMode.ApiKey);
        }

        var late = Request("192.0.2.1", "wrong");
        Exhaust(_attempts, late);
        Assert.True(_attempts.MayTry(late));

        _clock.Advance(TimeSpan.FromSeconds(10));
        Exhaust(_attempts, late);
        Assert.False(_attempts.MayTry(late));
    }

    [Fact]
    public async Task Beyond_the_limit_every_operation_is_refused_in_its_own_words_and_known_clients_go_on()
    {
        var clock = new ManualTimeProvider();
        await using var server = await GatewayServer.StartAsync(clock, "--Fanfare:Limits:FailedAttemptsPerSecond=1");
        await using var known = await server.ConnectAsync();
        await known.InitAsync();
        for (var i = 0; i < 10; i++)
        {
            (await PostAsync(server, ClientCredentials.UnknownKey)).AssertError(401, "UnauthorizedException");
        }

        (await PostAsync(server, ClientCredentials.UnknownKey)).AssertError(429, "ThrottlingException", "Rate exceeded");
        Assert.Equal(200, (await PostAsync(server, ClientCredentials.ApiKey)).Status);

        await known.SendAsync(Messages.Publish("p", "/default/a", ClientCredentials.KeyAuthorization("another"), "1"));
        WireError.AssertReply(await known.NextAsync(), "publish_error", "p", "LimitExceededError");
        await known.SendAsync(Messages.Subscribe("s", "/default/a", ClientCredentials.KeyAuthorization("another")));
        WireError.AssertReply(await known.NextAsync(), "subscribe_error", "s", "LimitExceededError");
        await known.PublishAsync("/default/a", "1");

        await using var stranger = await server.ConnectAsync(Handshake.WithKey("another"));
        await stranger.SendAsync(Messages.Init);
        var error = WireError.AssertReply(await stranger.NextAsync(), "connection_error", null, "LimitExceededError");
        Assert.Equal(429, error.ErrorCode);

        clock.Advance(TimeSpan.FromSeconds(1));
        (await PostAsync(server, ClientCredentials.UnknownKey)).AssertError(401, "UnauthorizedException");
        (await PostAsync(server, ClientCredentials.UnknownKey)).AssertError(429, "ThrottlingException");

        var metrics = (await HttpPublisher.SendAsync(server, HttpMethod.Get, "/metrics", null)).Body.Split('\n');
        var failures = Assert.Single(metrics, line => line.StartsWith("fanfare_auth_failures_total{", StringComparison.Ordinal));
        Assert.Contains("mode=\"API_KEY\"", failures, StringComparison.Ordinal);
        Assert.Contains("operation=\"publish\"", failures, StringComparison.Ordinal);
        Assert.EndsWith(" 11", failures, StringComparison.Ordinal);
    }

    private static Task<HttpAnswer> PostAsync(GatewayServer server, string key) => HttpPublisher.SendAsync(
        server, HttpMethod.Post, "/event", Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1")), ("x-api-key", key));

    private static void Exhaust(FailedAttempts attempts, AuthRequest request)
    {
        for (var i = 0; i < Burst; i++)
        {
            attempts.NoteFailure(request, AuthMode.ApiKey);
        }
    }

    private FailedAttempts Create(int perSecond) =>
        new(Options.Create(new GatewayLimits { FailedAttemptsPerSecond = perSecond }), _metrics, _clock);

    private AuthRequest Signed(string address, string accessKeyId, string signature) => Request(address, "Authorization",
        $"AWS4-HMAC-SHA256 Credential={accessKeyId}/20260102/us-east-1/appsync/aws4_request, SignedHeaders=host, Signature={signature}");

    private AuthRequest Request(string address, string key) => Request(address, "x-api-key", key);

    private AuthRequest Request(string address, string name, string value)
    {
        var headers = new HeaderDictionary { [name] = value };
        return new AuthRequest
        {
            Api = _api,
            Operation = AuthOperation.Publish,
            Credentials = ServerCredentials.FromHeaders(headers),
            Content = SignedContent.HttpPublish(default, ""),
            Origin = new RequestOrigin("id", IPAddress.Parse(address), headers),
        };
    }
}
