using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Tests.Apis;
using Microsoft.AspNetCore.Http;

namespace Fanfare.Gateway.Tests.Authorization;

/// <summary>What a connection sends again and again is verified once a second, and believed no longer than it would be without that.</summary>
public sealed class AuthorizationMemoTests : IDisposable
{
    private const string Json = """{"host":"h","x-api-key":"good"}""";

    private readonly ServedApis _apis = new();
    private readonly Clock _clock = new();
    private readonly AuthorizationMemo _memo;
    private readonly CountingAuthenticator _authenticator = new(hasProof: true);
    private readonly Authorizer _authorizer;
    private readonly ServedApi _api;

    public AuthorizationMemoTests()
    {
        _memo = new AuthorizationMemo(_clock);
        _authorizer = _apis.CreateAuthorizer(_authenticator);
        _api = _apis.Create(
            namespaces: [new ChannelNamespace { Name = "chat" }, new ChannelNamespace { Name = "closed", PublishModes = AuthModes.AwsIam }]);
    }

    public void Dispose() => _apis.Dispose();

    [Fact]
    public async Task The_same_bytes_are_verified_once_in_a_second()
    {
        for (var i = 0; i < 10; i++)
        {
            Assert.Null(await PublishAsync(Json));
        }

        Assert.Equal(1, _authenticator.Count);
        _clock.Advance(TimeSpan.FromSeconds(1) - TimeSpan.FromTicks(1));
        Assert.Null(await PublishAsync(Json));
        Assert.Equal(1, _authenticator.Count);

        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.Null(await PublishAsync(Json));
        Assert.Null(await PublishAsync(Json));
        Assert.Equal(2, _authenticator.Count);
    }

    [Theory]
    [InlineData("""{"host":"h","x-api-key":"best"}""")]
    [InlineData("""{"host":"h","x-api-key":"good" }""")]
    [InlineData("""{"host":"h","x-api-key":"goo"}""")]
    [InlineData("""{"host":"h"}""")]
    [InlineData("")]
    public async Task Other_bytes_are_another_matter(string other)
    {
        Assert.Null(await PublishAsync(Json));
        _authenticator.Refuses = true;
        Assert.Same(ProtocolError.Unauthorized, await PublishAsync(other));

        // Nor is what was refused kept in place of what was good.
        Assert.Null(await PublishAsync(Json));
    }

    [Fact]
    public async Task What_is_no_longer_good_is_verified_again_at_once()
    {
        Assert.Null(await PublishAsync(Json));
        _authenticator.Refuses = true;
        Assert.Null(await PublishAsync(Json));
        _authenticator.IsGood = false;
        Assert.Same(ProtocolError.Unauthorized, await PublishAsync(Json));
        Assert.Equal(2, _authenticator.Count);
    }

    [Fact]
    public async Task A_namespace_is_asked_about_each_time()
    {
        Assert.Null(await PublishAsync(Json));
        Assert.Same(ProtocolError.NotAllowed, await PublishAsync(Json, "closed"));
        Assert.Same(ProtocolError.NotAllowed, await PublishAsync(Json, "nowhere"));
        Assert.Null(await PublishAsync(Json));
        Assert.Equal(1, _authenticator.Count);
    }

    [Fact]
    public async Task Nothing_is_kept_of_what_gives_no_proof()
    {
        var authenticator = new CountingAuthenticator(hasProof: false);
        var authorizer = _apis.CreateAuthorizer(authenticator);
        Assert.Null(await PublishAsync(Json, authorizer: authorizer));
        Assert.Null(await PublishAsync(Json, authorizer: authorizer));
        Assert.Equal(2, authenticator.Count);
    }

    [Fact]
    public async Task A_clock_that_is_set_back_has_credentials_verified_again()
    {
        Assert.Null(await PublishAsync(Json));
        _clock.Advance(-TimeSpan.FromHours(1));
        Assert.Null(await PublishAsync(Json));
        Assert.Equal(2, _authenticator.Count);
    }

    [Fact]
    public async Task What_is_kept_is_a_copy()
    {
        var json = Encoding.UTF8.GetBytes(Json);
        Assert.Null(await PublishAsync(json));
        json.AsSpan().Fill((byte)'x');

        Assert.True(_memo.TryParse(Encoding.UTF8.GetBytes(Json), out var credentials));
        Assert.Equal("good", Encoding.UTF8.GetString(credentials.ApiKey.Span));
        Assert.Null(await PublishAsync(Json));
        Assert.Equal(1, _authenticator.Count);
    }

    [Fact]
    public async Task A_key_ends_for_a_connection_that_uses_it_as_for_any_other()
    {
        var authorizer = _apis.CreateAuthorizer(new ApiKeyAuthenticator(_clock));
        var api = _apis.Create(keys: [new ApiKey { Hash = ApiKey.ComputeHash("good"), Expires = _clock.GetUtcNow() + TimeSpan.FromSeconds(0.5) }]);
        Assert.Null(await PublishAsync(Json, authorizer: authorizer, api: api));
        _clock.Advance(TimeSpan.FromSeconds(0.5) - TimeSpan.FromTicks(1));
        Assert.Null(await PublishAsync(Json, authorizer: authorizer, api: api));
        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.Same(ProtocolError.Unauthorized, await PublishAsync(Json, authorizer: authorizer, api: api));
    }

    private Task<ProtocolError?> PublishAsync(string json, string ns = "chat", Authorizer? authorizer = null, ServedApi? api = null) =>
        PublishAsync(Encoding.UTF8.GetBytes(json), ns, authorizer, api);

    private async Task<ProtocolError?> PublishAsync(byte[] json, string ns = "chat", Authorizer? authorizer = null, ServedApi? api = null)
    {
        Assert.True(_memo.TryParse(json, out var credentials));
        api ??= _api;
        var decision = await (authorizer ?? _authorizer).AuthorizeAsync(
            new AuthRequest
            {
                Api = api,
                Operation = AuthOperation.Publish,
                Namespace = api.FindNamespace(ns),
                Credentials = credentials,
                Content = SignedContent.Message("\"/chat/a\""u8.ToArray(), "[]"u8.ToArray()),
                Origin = new RequestOrigin("request", null, new HeaderDictionary()),
                Memo = _memo,
            },
            TestContext.Current.CancellationToken);
        return decision.Error;
    }

    /// <summary>A clock that also goes back.</summary>
    private sealed class Clock : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UnixEpoch.AddYears(60);

        public void Advance(TimeSpan time) => _now += time;

        public override DateTimeOffset GetUtcNow() => _now;
    }

    private sealed class CountingAuthenticator(bool hasProof) : IAuthenticator, IProof
    {
        public int Count { get; private set; }

        public bool Refuses { get; set; }

        public bool IsGood { get; set; } = true;

        public AuthMode Mode => AuthMode.ApiKey;

        public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken)
        {
            Count++;
            return new(Refuses ? AuthDecision.Refuse(ProtocolError.Unauthorized) : AuthDecision.Grant(null, hasProof ? this : null));
        }

        bool IProof.IsGood(DateTimeOffset now) => IsGood;
    }
}
