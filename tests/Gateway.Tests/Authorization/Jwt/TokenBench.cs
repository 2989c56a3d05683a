using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>Authorization with real services, keys over real HTTP, on a clock of the test's own.</summary>
internal sealed class TokenBench : IAsyncDisposable
{
    public const string PoolId = "eu-west-1_Ab12Cd34E";

    private readonly ServiceProvider _services;
    private readonly Authorizer _authorizer;
    private ServedApi _api;

    private TokenBench(IssuerHost host, JwtOptions options)
    {
        Host = host;
        Options = new GatewayOptions();
        Options.Cognito.Endpoint = new Uri(host.Address);
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddProvider(Log).SetMinimumLevel(LogLevel.Debug));
        services.AddMetrics();
        services.AddSingleton<TimeProvider>(Clock);
        services.AddSingleton<GatewayMetrics>();
        services.AddJwtAuthenticators();
        services.AddSingleton(options);
        services.AddSingleton<IAuthenticator>(new FunctionStub());
        services.AddSingleton<AuthModeDetector>();
        // What is tried here thousands of times is to be looked at every time.
        services.AddSingleton(Microsoft.Extensions.Options.Options.Create(new GatewayLimits { FailedAttemptsPerSecond = 0 }));
        services.AddSingleton<FailedAttempts>();
        services.AddSingleton<Authorizer>();
        _services = services.BuildServiceProvider();
        _authorizer = _services.GetRequiredService<Authorizer>();
        _api = Serve(Pool(), OpenId());
    }

    public IssuerHost Host { get; }

    public ManualTimeProvider Clock { get; } = new();

    public RecordingLogger Log { get; } = new();

    public GatewayOptions Options { get; }

    public TokenCache Cache => _services.GetRequiredService<TokenCache>();

    public string PoolIssuer => $"{Host.Address}/{PoolId}";

    public long Now => Clock.GetUtcNow().ToUnixTimeSeconds();

    public static async Task<TokenBench> StartAsync(JwtOptions? options = null) =>
        new(await IssuerHost.StartAsync(), options ?? new JwtOptions());

    public static AuthProvider Pool(string? clients = null) => new()
    {
        Mode = AuthMode.CognitoUserPools,
        Cognito = new CognitoSettings { UserPoolId = PoolId, AwsRegion = "eu-west-1", AppIdClientRegex = clients },
    };

    public static AuthProvider Function() => new()
    {
        Mode = AuthMode.AwsLambda,
        LambdaAuthorizer = new LambdaAuthorizerSettings { AuthorizerUri = "arn:aws:lambda:eu-west-1:000000000000:function:f" },
    };

    public AuthProvider OpenId(string? clients = null, long iatTtl = 0, long authTtl = 0, string? issuer = null) => new()
    {
        Mode = AuthMode.OpenIdConnect,
        OpenIdConnect = new OpenIdConnectSettings
        {
            Issuer = issuer ?? Host.Issuer,
            ClientId = clients,
            IatTtlMilliseconds = iatTtl,
            AuthTtlMilliseconds = authTtl,
        },
    };

    /// <summary>Serves an API with these providers, all of whose modes may connect.</summary>
    public ServedApi Serve(params AuthProvider[] providers)
    {
        var modes = providers.Aggregate(AuthModes.ApiKey, (all, provider) => all | provider.Mode.ToSet());
        return _api = new ServedApi(
            new Api
            {
                Id = "aaaaaaaaaaaaaaaaaaaaaaaaaa",
                Name = "test",
                HttpHost = "localhost",
                RealtimeHost = "localhost",
                AuthProviders = providers,
                ConnectionModes = modes,
                DefaultPublishModes = modes,
                DefaultSubscribeModes = modes,
                Namespaces = System.Collections.Frozen.FrozenDictionary<string, ChannelNamespace>.Empty,
            },
            Options, _services.GetRequiredService<GatewayMetrics>(), Clock);
    }

    /// <summary>Claims of an ID token of the pool, valid for an hour.</summary>
    public JsonObject PoolClaims(params (string Name, JsonNode? Value)[] changes) => With(
        new JsonObject
        {
            ["sub"] = "3f1c",
            ["iss"] = PoolIssuer,
            ["cognito:username"] = "ana",
            ["aud"] = "web-client",
            ["token_use"] = "id",
            ["iat"] = Now,
            ["exp"] = Now + 3600,
        },
        changes);

    /// <summary>Claims of a token of the OpenID provider, valid for an hour.</summary>
    public JsonObject OpenIdClaims(params (string Name, JsonNode? Value)[] changes) => With(
        new JsonObject
        {
            ["sub"] = "user-1",
            ["iss"] = Host.Issuer,
            ["aud"] = "web-client",
            ["iat"] = Now,
            ["exp"] = Now + 3600,
        },
        changes);

    public string PoolToken(params (string Name, JsonNode? Value)[] changes) => TestSigner.Rsa.Sign(PoolClaims(changes));

    public string OpenIdToken(params (string Name, JsonNode? Value)[] changes) => TestSigner.Rsa.Sign(OpenIdClaims(changes));

    public Task<AuthDecision> AuthorizeAsync(string authorization) => Deadline.WaitAsync(
        token => _authorizer.AuthorizeAsync(RequestOf(authorization), token), "a decision");

    /// <summary>Decides without a deadline, for great numbers.</summary>
    public ValueTask<AuthDecision> DecideAsync(string authorization) =>
        _authorizer.AuthorizeAsync(RequestOf(authorization), TestContext.Current.CancellationToken);

    public AuthRequest RequestOf(string authorization)
    {
        var json = new JsonObject { ["host"] = "h", ["Authorization"] = authorization }.ToJsonString(TestKit.Credentials.Relaxed);
        Assert.True(Fanfare.Gateway.Authorization.Credentials.TryParse(Encoding.UTF8.GetBytes(json), out var credentials));
        return new AuthRequest
        {
            Api = _api,
            Operation = AuthOperation.Connect,
            Credentials = credentials,
            Content = SignedContent.Connect,
            Origin = new RequestOrigin("r", IPAddress.Parse("::ffff:203.0.113.9"), new HeaderDictionary()),
        };
    }

    public async Task AssertGrantedAsync(string token) =>
        Assert.True((await AuthorizeAsync(token)).Error is null, $"refused: {string.Join('\n', Log.Lines.TakeLast(3))}");

    /// <summary>Asserts a refusal that tells the client nothing, for a reason that the log tells.</summary>
    public async Task AssertRefusedAsync(string token, TokenRefusal reason)
    {
        Assert.Same(ProtocolError.Unauthorized, (await AuthorizeAsync(token)).Error);
        Assert.EndsWith($": {reason}. ", Log.Lines.Last(line => line.Text.StartsWith("A token", StringComparison.Ordinal)).Text, StringComparison.Ordinal);
    }

    public async Task<string> IdentityOfAsync(string token)
    {
        var decision = await AuthorizeAsync(token);
        Assert.NotNull(decision.Identity);
        using var stream = new MemoryStream();
        await using (var writer = new Utf8JsonWriter(stream))
        {
            decision.Identity.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await Host.DisposeAsync();
    }

    private static JsonObject With(JsonObject claims, (string Name, JsonNode? Value)[] changes)
    {
        foreach (var (name, value) in changes)
        {
            claims.Remove(name);
            if (value is not null)
            {
                claims[name] = value.DeepClone();
            }
        }

        return claims;
    }

    /// <summary>Stands for the Lambda authorizer: it refuses with an error that shows it was asked.</summary>
    public sealed class FunctionStub : IAuthenticator
    {
        public static readonly ProtocolError Asked = new("Asked", null, 401);

        public AuthMode Mode => AuthMode.AwsLambda;

        public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken) =>
            new(AuthDecision.Refuse(Asked));
    }
}
