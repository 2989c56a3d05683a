using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Tests.Apis;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.AspNetCore.Http;
using GatewayCredentials = Fanfare.Gateway.Authorization.Credentials;

namespace Fanfare.Gateway.Tests.Authorization;

/// <summary>Who may do what: credentials first, with one answer for all that is wrong with them, then the mode's right to this.</summary>
public sealed class AuthorizerTests : IDisposable
{
    private const string KeyJson = """{"host":"h","x-api-key":"good"}""";
    private const string WrongKeyJson = """{"host":"h","x-api-key":"wrong"}""";
    private const string SignatureJson = """{"host":"h","authorization":"AWS4-HMAC-SHA256 Credential=good"}""";
    private const string WrongSignatureJson = """{"host":"h","authorization":"AWS4-HMAC-SHA256 Credential=wrong"}""";

    private readonly ServedApis _apis = new();
    private readonly Authorizer _authorizer;

    public AuthorizerTests() =>
        _authorizer = _apis.CreateAuthorizer(new FakeAuthenticator(AuthMode.ApiKey), new FakeAuthenticator(AuthMode.AwsIam));

    public void Dispose() => _apis.Dispose();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    // Good credentials of a mode that a provider serves and that is allowed.
    [InlineData(KeyJson, AuthModes.ApiKey, AuthModes.ApiKey, 0)]
    [InlineData(KeyJson, AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.ApiKey, 0)]
    [InlineData(SignatureJson, AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.AwsIam, 0)]
    [InlineData(SignatureJson, AuthModes.AwsIam, AuthModes.ApiKey | AuthModes.AwsIam, 0)]
    // Good credentials of a mode that may not do this.
    [InlineData(KeyJson, AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.AwsIam, 403)]
    [InlineData(SignatureJson, AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.ApiKey, 403)]
    [InlineData(KeyJson, AuthModes.ApiKey, AuthModes.None, 403)]
    // No provider serves the mode, even where it is allowed.
    [InlineData(KeyJson, AuthModes.AwsIam, AuthModes.ApiKey, 401)]
    [InlineData(SignatureJson, AuthModes.ApiKey, AuthModes.AwsIam, 401)]
    // Wrong credentials say nothing of what is allowed.
    [InlineData(WrongKeyJson, AuthModes.ApiKey, AuthModes.ApiKey, 401)]
    [InlineData(WrongKeyJson, AuthModes.ApiKey, AuthModes.None, 401)]
    [InlineData(WrongSignatureJson, AuthModes.AwsIam, AuthModes.AwsIam, 401)]
    [InlineData("""{"host":"h"}""", AuthModes.ApiKey, AuthModes.ApiKey, 401)]
    [InlineData("", AuthModes.ApiKey, AuthModes.ApiKey, 401)]
    [InlineData("""{"authorization":"unheard of"}""", AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.ApiKey | AuthModes.AwsIam, 401)]
    // A provider whose mode nothing here can verify refuses.
    [InlineData("""{"authorization":"a.b.c"}""", AuthModes.OpenIdConnect, AuthModes.OpenIdConnect, 401)]
    // A key wins over an Authorization beside it.
    [InlineData("""{"x-api-key":"good","authorization":"AWS4-HMAC-SHA256 wrong"}""", AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.ApiKey, 0)]
    [InlineData("""{"x-api-key":"wrong","authorization":"AWS4-HMAC-SHA256 good"}""", AuthModes.ApiKey | AuthModes.AwsIam, AuthModes.AwsIam, 401)]
    public async Task Every_operation_needs_good_credentials_of_an_allowed_mode(
        string json, AuthModes providers, AuthModes allowed, int expectedStatus)
    {
        var credentials = Read(json);
        var byDefault = _apis.Create(providers: providers, connect: allowed, publish: allowed, subscribe: allowed);
        var forbidden = AllBut(allowed);
        var byNamespace = _apis.Create(
            providers: providers, connect: forbidden, publish: forbidden, subscribe: forbidden,
            namespaces: new ChannelNamespace { Name = "chat", PublishModes = allowed, SubscribeModes = allowed });

        // A connect answers the same whatever is wrong.
        var connect = await AskAsync(byDefault, AuthOperation.Connect, null, credentials);
        Assert.Equal(expectedStatus == 0 ? 0 : 401, connect?.Status ?? 0);
        foreach (var api in new[] { byDefault, byNamespace })
        {
            var ns = api.FindNamespace("chat");
            Assert.Equal(expectedStatus, (await AskAsync(api, AuthOperation.Publish, ns, credentials))?.Status ?? 0);
            Assert.Equal(expectedStatus, (await AskAsync(api, AuthOperation.Subscribe, ns, credentials))?.Status ?? 0);
        }
    }

    [Fact]
    public async Task The_rights_to_publish_and_to_subscribe_are_apart()
    {
        var api = _apis.Create(publish: AuthModes.ApiKey, subscribe: AuthModes.None);
        var ns = api.FindNamespace("chat");

        Assert.Null(await AskAsync(api, AuthOperation.Publish, ns, Read(KeyJson)));
        Assert.Same(ProtocolError.NotAllowed, await AskAsync(api, AuthOperation.Subscribe, ns, Read(KeyJson)));
    }

    [Fact]
    public async Task A_namespace_that_does_not_exist_looks_like_one_that_is_not_allowed()
    {
        var api = _apis.Create();

        Assert.Same(ProtocolError.NotAllowed, await AskAsync(api, AuthOperation.Publish, null, Read(KeyJson)));
        Assert.Same(ProtocolError.NotAllowed, await AskAsync(api, AuthOperation.Subscribe, null, Read(KeyJson)));
        Assert.Same(ProtocolError.Unauthorized, await AskAsync(api, AuthOperation.Publish, null, Read(WrongKeyJson)));
        Assert.Same(ProtocolError.Unauthorized, await AskAsync(api, AuthOperation.Subscribe, null, Read(WrongKeyJson)));
    }

    [Fact]
    public async Task A_key_works_up_to_the_moment_it_expires_and_not_at_it()
    {
        var clock = new ManualTimeProvider();
        var authenticator = new ApiKeyAuthenticator(clock);
        var api = _apis.Create(keys: [new ApiKey { Hash = ApiKey.ComputeHash("good"), Expires = clock.GetUtcNow() + TimeSpan.FromHours(1) }]);

        clock.Advance(TimeSpan.FromHours(1) - TimeSpan.FromTicks(1));
        Assert.Null((await authenticator.AuthenticateAsync(Request(api, Read(KeyJson)), Token)).Error);
        clock.Advance(TimeSpan.FromTicks(1));
        Assert.Same(ProtocolError.Unauthorized, (await authenticator.AuthenticateAsync(Request(api, Read(KeyJson)), Token)).Error);
    }

    [Theory]
    [InlineData("first", true)]
    [InlineData("second", true)]
    [InlineData("last", true)]
    [InlineData("expired", false)]
    [InlineData("expired-and-renewed", true)]
    [InlineData("firs", false)]
    [InlineData("first ", false)]
    [InlineData("First", false)]
    [InlineData("first,second", false)]
    [InlineData("", false)]
    public async Task Any_live_key_of_several_works(string presented, bool expected)
    {
        var clock = new ManualTimeProvider();
        var past = clock.GetUtcNow() - TimeSpan.FromSeconds(1);
        var api = _apis.Create(keys:
        [
            new ApiKey { Hash = ApiKey.ComputeHash("first") },
            new ApiKey { Hash = ApiKey.ComputeHash("expired"), Expires = past },
            new ApiKey { Hash = ApiKey.ComputeHash("expired-and-renewed"), Expires = clock.GetUtcNow() + TimeSpan.FromDays(1) },
            new ApiKey { Hash = ApiKey.ComputeHash("expired-and-renewed"), Expires = past },
            new ApiKey { Hash = ApiKey.ComputeHash("second"), Expires = clock.GetUtcNow() + TimeSpan.FromDays(1) },
            new ApiKey { Hash = ApiKey.ComputeHash("last") },
        ]);

        Assert.Equal(expected, (await new ApiKeyAuthenticator(clock).AuthenticateAsync(
            Request(api, Read($$"""{"x-api-key":"{{presented}}"}""")), Token)).Error is null);
    }

    [Fact]
    public async Task Without_keys_no_key_works()
    {
        var api = _apis.Create(keys: []);

        Assert.Same(ProtocolError.Unauthorized, (await new ApiKeyAuthenticator(TimeProvider.System).AuthenticateAsync(Request(api, Read(KeyJson)), Token)).Error);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(256)]
    public async Task A_key_of_the_greatest_length_works(int length)
    {
        var key = new string('k', length);
        var api = _apis.Create(keys: [new ApiKey { Hash = ApiKey.ComputeHash(key) }]);

        Assert.Null((await new ApiKeyAuthenticator(TimeProvider.System).AuthenticateAsync(
            Request(api, Read($$"""{"x-api-key":"{{key}}"}""")), Token)).Error);
    }

    [Theory]
    [InlineData("""{"X-API-KEY":"good"}""", "good")]
    [InlineData("""{"x-api-key":"g\u006fod"}""", "good")]
    [InlineData("""{"x-api-key":"first","x-api-key":"good"}""", "good")]
    [InlineData("""{"x-api-key":7}""", "")]
    [InlineData("""{"x-api-key":{"x-api-key":"good"}}""", "")]
    [InlineData("""{"other":{"x-api-key":"good"}}""", "")]
    [InlineData("{}", "")]
    public void An_authorization_object_is_a_flat_map(string json, string expectedKey) =>
        Assert.Equal(expectedKey, Encoding.UTF8.GetString(Read(json).ApiKey.Span));

    [Theory]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("{} x")]
    [InlineData("""{"x-api-key":"\ud800"}""")]
    public void Anything_but_an_object_is_no_authorization(string json) =>
        Assert.False(GatewayCredentials.TryParse(Encoding.UTF8.GetBytes(json), out _));

    private async Task<ProtocolError?> AskAsync(ServedApi api, AuthOperation operation, ServedNamespace? ns, GatewayCredentials credentials) =>
        (await _authorizer.AuthorizeAsync(Request(api, credentials, operation, ns), Token)).Error;

    private static AuthRequest Request(
        ServedApi api, GatewayCredentials credentials, AuthOperation operation = AuthOperation.Publish, ServedNamespace? ns = null) => new()
        {
            Api = api,
            Operation = operation,
            Namespace = ns,
            Credentials = credentials,
            Content = SignedContent.Connect,
            Origin = new RequestOrigin("request", null, new HeaderDictionary()),
        };

    private static AuthModes AllBut(AuthModes modes) =>
        (AuthModes.ApiKey | AuthModes.AwsIam | AuthModes.CognitoUserPools | AuthModes.OpenIdConnect | AuthModes.AwsLambda) & ~modes;

    private static GatewayCredentials Read(string json)
    {
        Assert.True(GatewayCredentials.TryParse(Encoding.UTF8.GetBytes(json), out var credentials), json);
        return credentials;
    }

    /// <summary>Believes whoever says "good".</summary>
    private sealed class FakeAuthenticator(AuthMode mode) : IAuthenticator
    {
        public AuthMode Mode { get; } = mode;

        public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken)
        {
            var value = Mode == AuthMode.ApiKey ? request.Credentials.ApiKey : request.Credentials.Authorization;
            return new(value.Span.IndexOf("good"u8) >= 0 ? AuthDecision.Grant(null) : AuthDecision.Refuse(ProtocolError.Unauthorized));
        }
    }
}
