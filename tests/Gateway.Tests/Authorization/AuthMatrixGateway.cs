using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.Authorization.Iam;
using Fanfare.Gateway.Tests.Authorization.Jwt;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization;

/// <summary>What a client can ask for.</summary>
public enum ClientOperation
{
    Connect,
    PublishOverHttp,
    PublishOverWebSocket,
    Subscribe,
}

/// <summary>Where a client in some mode asks: what the API and the namespace there say of its mode.</summary>
public enum Place
{
    /// <summary>The API allows all modes everything, the namespace says nothing.</summary>
    AllowedEverything,

    /// <summary>The API does not let the mode connect; the namespace lists it for all else.</summary>
    NotAllowedToConnect,

    /// <summary>The API's default does not let the mode publish, the namespace says nothing.</summary>
    NotAllowedToPublish,

    /// <summary>The API's default does not let the mode subscribe, the namespace says nothing.</summary>
    NotAllowedToSubscribe,

    /// <summary>The API's default does not let the mode publish, the namespace does.</summary>
    AllowedToPublishByTheNamespace,

    /// <summary>The API's default does not let the mode subscribe, the namespace does.</summary>
    AllowedToSubscribeByTheNamespace,

    /// <summary>The API's default lets the mode publish, the namespace does not.</summary>
    NotAllowedToPublishByTheNamespace,

    /// <summary>The API's default lets the mode subscribe, the namespace does not.</summary>
    NotAllowedToSubscribeByTheNamespace,

    /// <summary>The API has no provider for the mode.</summary>
    WithoutAProvider,

    /// <summary>The API allows all modes everything, but has no such namespace.</summary>
    WithoutTheNamespace,
}

/// <summary>What a client is told that may not do what it asks. A message of a WebSocket carries no status.</summary>
public sealed record Refusal(string ErrorType, string? Message, int Status);

/// <summary>An API, and a channel of it.</summary>
public sealed record Target(string ApiId, string Namespace, string Channel)
{
    /// <summary>The host that the API is reached at.</summary>
    public string Host => $"{ApiId}.events.example.com";
}

/// <summary>Signs in: the headers, or members of an authorization object, for a host and what is sent there.</summary>
public delegate IReadOnlyList<(string Name, string Value)> Credential(string host, string payload);

/// <summary>Credentials that end: the last moment that they are good, and what ends them where that is not the time alone.</summary>
public sealed record FleetingCredential(Credential Credential, DateTimeOffset LastGood, Action? End = null);

/// <summary>
/// A gateway with an API for everything that can be said of a mode, and the clients, the issuer and the function of all five modes.
/// Time stands still until a test advances it.
/// </summary>
public sealed class AuthMatrixGateway : IAsyncLifetime
{
    /// <summary>How long the function's allowance of the fleeting token is kept.</summary>
    private const int KeptSeconds = 30;

    private const string PoolId = "eu-west-1_Ab12Cd34E";
    private const string AnaKeyId = "AKIDANA";
    private const string BoKeyId = "AKIDBO";
    private const string Secret = "secret/of+both";
    private const string FleetingKey = "key-that-expires";
    private const string GoodToken = "custom-good";
    private const string FleetingToken = "custom-fleeting";
    private const string CrashToken = "custom-crash";
    private const string DeniedToken = "custom-denied";
    private static readonly string[] s_slugs = ["key", "iam", "pool", "openid", "function"];

    private readonly DateTimeOffset _fleetingKeyExpires;
    private IssuerHost? _issuer;
    private FakeLambda? _function;
    private GatewayServer? _server;
    private int _targets;
    private int _events;
    private volatile bool _isTokenRevoked;

    public AuthMatrixGateway()
    {
        // Keys expire on the hour (AppSync Events, "API_KEY").
        var later = Clock.GetUtcNow().AddHours(30);
        _fleetingKeyExpires = new DateTimeOffset(later.Year, later.Month, later.Day, later.Hour, 0, 0, TimeSpan.Zero);
    }

    /// <summary>All modes.</summary>
    public static IReadOnlyList<AuthMode> Modes { get; } = Enum.GetValues<AuthMode>();

    /// <summary>The gateway's clock.</summary>
    public ManualTimeProvider Clock { get; } = new();

    /// <summary>How often the function was asked about the token that it denies.</summary>
    public int DenialCount => _function?.Calls.Count(call => TokenOf(call) == DeniedToken) ?? 0;

    private IssuerHost Issuer => _issuer ?? throw new InvalidOperationException("The issuer has not started.");

    private GatewayServer Server => _server ?? throw new InvalidOperationException("The gateway has not started.");

    /// <summary>A mode that may do everything, wherever <paramref name="mode"/> may not.</summary>
    public static AuthMode Neighbour(AuthMode mode) => Modes[((int)mode + 1) % Modes.Count];

    /// <summary>Starts a gateway of a test's own.</summary>
    public static async Task<AuthMatrixGateway> StartAsync()
    {
        var gateway = new AuthMatrixGateway();
        await gateway.InitializeAsync();
        return gateway;
    }

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        _issuer = await IssuerHost.StartAsync();
        _function = await FakeLambda.StartAsync(JudgeAsync);
        var (template, arguments) = CreateTemplate();
        _server = await GatewayServer.StartWithTemplateAsync(
            Clock,
            template,
            [
                .. arguments,
                $"--Fanfare:Lambda:Functions:auth={_function.Address}",
                $"--Fanfare:Cognito:Endpoint={_issuer.Address}",
                "--Fanfare:Limits:FailedAttemptsPerSecond=0",
                "--Fanfare:Iam:Users:0:Name=ana", $"--Fanfare:Iam:Users:0:AccessKeyId={AnaKeyId}",
                $"--Fanfare:Iam:Users:0:SecretAccessKey={Secret}", "--Fanfare:Iam:Users:0:Policies:0:Effect=Allow",
                "--Fanfare:Iam:Users:0:Policies:0:Action=appsync:*", "--Fanfare:Iam:Users:0:Policies:0:Resource=*",
                "--Fanfare:Iam:Users:1:Name=bo", $"--Fanfare:Iam:Users:1:AccessKeyId={BoKeyId}",
                $"--Fanfare:Iam:Users:1:SecretAccessKey={Secret}",
            ]);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var part in (IAsyncDisposable?[])[_server, _function, _issuer])
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }
    }

    /// <summary>A channel that no other test uses, in a place of a mode.</summary>
    public Target Find(Place place, AuthMode mode)
    {
        var slug = s_slugs[(int)mode];
        var (api, ns) = place switch
        {
            Place.AllowedEverything => ("everyone", "open"),
            Place.NotAllowedToConnect => ($"shut-{slug}", "listed"),
            Place.NotAllowedToPublish => ($"mute-{slug}", "open"),
            Place.NotAllowedToSubscribe => ($"deaf-{slug}", "open"),
            Place.AllowedToPublishByTheNamespace => ($"mute-{slug}", "listed"),
            Place.AllowedToSubscribeByTheNamespace => ($"deaf-{slug}", "listed"),
            Place.NotAllowedToPublishByTheNamespace => ("everyone", $"mute-{slug}"),
            Place.NotAllowedToSubscribeByTheNamespace => ("everyone", $"deaf-{slug}"),
            Place.WithoutAProvider => ($"without-{slug}", "open"),
            Place.WithoutTheNamespace => ("everyone", "nowhere"),
            _ => throw new ArgumentOutOfRangeException(nameof(place)),
        };
        return new Target(api, ns, $"/{ns}/{Interlocked.Increment(ref _targets)}");
    }

    /// <summary>An event that no other test publishes.</summary>
    public string NextEvent() => Interlocked.Increment(ref _events).ToString(CultureInfo.InvariantCulture);

    /// <summary>Good credentials of a mode, made now.</summary>
    public Credential Good(AuthMode mode) => mode switch
    {
        AuthMode.ApiKey => (host, _) => [("host", host), ("x-api-key", KeyOf(host.Split('.')[0]))],
        AuthMode.AwsIam => Signature(signer => signer),
        AuthMode.CognitoUserPools => Authorization(TestSigner.Rsa.Sign(PoolClaims())),
        AuthMode.OpenIdConnect => Authorization(TestSigner.Ec.Sign(OpenIdClaims())),
        _ => Authorization(GoodToken),
    };

    /// <summary>Credentials of a mode that end.</summary>
    public FleetingCredential Fleeting(AuthMode mode)
    {
        // A token is good for a minute longer than it says, a signature for five and not a tick more.
        var tick = TimeSpan.FromTicks(1);
        var now = Clock.GetUtcNow();
        return mode switch
        {
            AuthMode.ApiKey => new(Key(FleetingKey), _fleetingKeyExpires - tick),
            AuthMode.AwsIam => new(Good(mode), now.AddMinutes(5)),
            AuthMode.CognitoUserPools or AuthMode.OpenIdConnect => new(Good(mode), now.AddMinutes(61) - tick),
            _ => new(Authorization(FleetingToken), now.AddSeconds(KeptSeconds) - tick, () => _isTokenRevoked = true),
        };
    }

    /// <summary>Credentials that are wrong in some way.</summary>
    public Credential Bad(BadCredential kind) => kind switch
    {
        BadCredential.UnknownKey => Key(Credentials.UnknownKey),
        BadCredential.KeyOfAnotherApi => (host, _) => [("host", host), ("x-api-key", KeyOf("another"))],
        BadCredential.KeyInCapitals => (host, _) => [("host", host), ("x-api-key", KeyOf(host.Split('.')[0]).ToUpperInvariant())],
        BadCredential.WrongSecret => Signature(signer => signer with { Secret = Secret + "x" }),
        BadCredential.UnknownAccessKey => Signature(signer => signer with { AccessKeyId = "AKIDNONE" }),
        BadCredential.SignatureOfAnotherPayload => (host, payload) => Signature(signer => signer)(host, payload + " "),
        BadCredential.SignatureOfAnotherRegion => Signature(signer => signer with { Region = "eu-west-1" }),
        BadCredential.SignatureOfThePast => Signature(signer => signer with { Time = signer.Time.AddMinutes(-5).AddSeconds(-1) }),
        BadCredential.SignatureOfTheFuture => Signature(signer => signer with { Time = signer.Time.AddMinutes(5).AddSeconds(1) }),
        BadCredential.MalformedSignature => Authorization("AWS4-HMAC-SHA256 Credential=x"),
        BadCredential.SignatureWithoutPermission => Signature(signer => signer with { AccessKeyId = BoKeyId }),
        BadCredential.ForgedPoolToken => Authorization(TestSigner.OtherRsa.As("RS256", TestSigner.Rsa.KeyId).Sign(PoolClaims())),
        BadCredential.PoolTokenOfAnotherClient => Authorization(TestSigner.Rsa.Sign(PoolClaims("aud", "webmail"))),
        BadCredential.PoolTokenOfTheFuture => Authorization(TestSigner.Rsa.Sign(PoolClaims("nbf", Seconds(TimeSpan.FromMinutes(2))))),
        BadCredential.ForgedOpenIdToken => Authorization(TestSigner.OtherRsa.As("RS256", TestSigner.Rsa.KeyId).Sign(OpenIdClaims())),
        BadCredential.OpenIdTokenOfAnotherClient => Authorization(TestSigner.Ec.Sign(OpenIdClaims("aud", "desktop"))),
        BadCredential.OpenIdTokenOfTheFuture => Authorization(TestSigner.Ec.Sign(OpenIdClaims("nbf", Seconds(TimeSpan.FromMinutes(2))))),
        BadCredential.DeniedToken => Authorization(DeniedToken),
        BadCredential.TokenOfAnotherForm => Authorization("good"),
        BadCredential.TokenThatCrashesTheFunction => Authorization(CrashToken),
        BadCredential.TokenOfAnotherIssuer => Authorization(TestSigner.Rsa.Sign(PoolClaims("iss", "https://id.example.com"))),
        _ => (host, _) => [("host", host)],
    };

    /// <summary>The authorization object of a credential.</summary>
    public static JsonObject Sign(Target target, Credential credential, string payload)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(credential);
        var json = new JsonObject();
        foreach (var (name, value) in credential(target.Host, payload))
        {
            json[name] = value;
        }

        return json;
    }

    /// <summary>Opens a WebSocket with a credential and asserts the upgrade, which is agreed to whatever the credential is.</summary>
    public async Task<RawWebSocket> OpenAsync(Target target, Credential credential)
    {
        var protocols = $"{Credentials.EventsProtocol}, {Credentials.HeaderProtocol(Sign(target, credential, "{}"))}";
        var socket = await RawWebSocket.ConnectAsync(
            Server.EndPoint, Handshake.WithProtocols(protocols) with { Host = target.Host });
        Assert.Equal(Credentials.EventsProtocol, socket.Response.Header("Sec-WebSocket-Protocol"));
        return socket;
    }

    /// <summary>Opens a WebSocket with good credentials of a mode.</summary>
    public async Task<RawWebSocket> OpenAsync(Target target, AuthMode mode)
    {
        var socket = await OpenAsync(target, Good(mode));
        await socket.InitAsync();
        return socket;
    }

    /// <summary>Publishes over HTTP.</summary>
    public Task<HttpAnswer> PostAsync(Target target, Credential credential, string text)
    {
        var body = Messages.HttpBody(target.Channel, text);
        return HttpPublisher.SendAsync(
            Server, HttpMethod.Post, "/event", Encoding.UTF8.GetBytes(body), [.. credential(target.Host, body)]);
    }

    /// <summary>Sends <c>publish</c>.</summary>
    public static Task SendPublishAsync(RawWebSocket socket, string id, Target target, Credential credential, string text) =>
        socket.SendAsync(Messages.Publish(
            id, target.Channel, Sign(target, credential, Messages.HttpBody(target.Channel, text)), text));

    /// <summary>Sends <c>subscribe</c>.</summary>
    public static Task SendSubscribeAsync(RawWebSocket socket, string id, Target target, Credential credential) =>
        socket.SendAsync(Messages.Subscribe(
            id, target.Channel, Sign(target, credential, $$"""{"channel":"{{target.Channel}}"}""")));

    // The first API's key is the one that every test gateway is started with.
    private static string KeyOf(string apiId) => apiId == "everyone" ? Credentials.ApiKey : $"key-of-{apiId}";

    private static Credential Key(string key) => (host, _) => [("host", host), ("x-api-key", key)];

    private static Credential Authorization(string value) => (host, _) => [("host", host), ("Authorization", value)];

    private Credential Signature(Func<ReferenceSigner, ReferenceSigner> change)
    {
        var signer = change(new ReferenceSigner
        {
            AccessKeyId = AnaKeyId,
            Secret = Secret,
            Region = "us-east-1",
            Time = Clock.GetUtcNow(),
        });
        return (host, payload) => (signer with { Headers = [("host", host)] }).Sign(payload);
    }

    private long Seconds(TimeSpan ahead) => (Clock.GetUtcNow() + ahead).ToUnixTimeSeconds();

    private JsonObject PoolClaims(string? name = null, JsonNode? value = null)
    {
        var claims = new JsonObject
        {
            ["sub"] = "3f1c",
            ["iss"] = $"{Issuer.Address}/{PoolId}",
            ["cognito:username"] = "ana",
            ["aud"] = "web",
            ["token_use"] = "id",
            ["iat"] = Seconds(TimeSpan.Zero),
            ["exp"] = Seconds(TimeSpan.FromHours(1)),
        };
        claims[name ?? "jti"] = value;
        return claims;
    }

    private JsonObject OpenIdClaims(string? name = null, JsonNode? value = null)
    {
        var claims = new JsonObject
        {
            ["sub"] = "user-1",
            ["iss"] = Issuer.Issuer,
            ["aud"] = "mobile",
            ["iat"] = Seconds(TimeSpan.Zero),
            ["exp"] = Seconds(TimeSpan.FromHours(1)),
        };
        claims[name ?? "jti"] = value;
        return claims;
    }

    private static string? TokenOf(FakeCall call) => (string?)call.Json["authorizationToken"];

    private Task JudgeAsync(FakeCall call) => TokenOf(call) switch
    {
        GoodToken => call.ReturnAsync("""{"isAuthorized":true}"""),
        FleetingToken when !_isTokenRevoked => call.ReturnAsync($$"""{"isAuthorized":true,"ttlOverride":{{KeptSeconds}}}"""),
        CrashToken => call.AnswerAsync(
            200, """{"errorType":"Error","errorMessage":"the text it threw"}""", ("X-Amz-Function-Error", "Unhandled")),
        _ => call.ReturnAsync("""{"isAuthorized":false}"""),
    };

    private (string Template, List<string> Arguments) CreateTemplate()
    {
        var text = new StringBuilder("""
            Resources:
              Authorizer:
                Type: AWS::Lambda::Function
                Properties: {FunctionName: auth}

            """);
        List<string> arguments = [];
        AddApi("everyone", Modes, Modes, Modes, Modes);
        AddApi("another", [AuthMode.ApiKey], [AuthMode.ApiKey], [AuthMode.ApiKey], [AuthMode.ApiKey]);
        foreach (var mode in Modes)
        {
            var slug = s_slugs[(int)mode];
            AuthMode[] others = [.. Modes.Where(other => other != mode)];
            AuthMode[] listed = [mode, Neighbour(mode)];
            AddNamespace("everyone", $"mute-{slug}", publish: others);
            AddNamespace("everyone", $"deaf-{slug}", subscribe: others);
            AddApi($"shut-{slug}", Modes, others, Modes, Modes);
            AddNamespace($"shut-{slug}", "listed", listed, listed);
            AddApi($"mute-{slug}", Modes, Modes, others, Modes);
            AddNamespace($"mute-{slug}", "listed", publish: listed);
            AddApi($"deaf-{slug}", Modes, Modes, Modes, others);
            AddNamespace($"deaf-{slug}", "listed", subscribe: listed);
            AddApi($"without-{slug}", others, others, others, others);
        }

        text.Append(CultureInfo.InvariantCulture, $$"""
              FleetingKey:
                Type: AWS::AppSync::ApiKey
                Properties: {ApiId: !GetAtt Everyone.ApiId, Expires: {{Clock.GetUtcNow().AddHours(30).ToUnixTimeSeconds()}}}
            """);
        arguments.Add($"--Fanfare:Resources:FleetingKey:ApiKey={FleetingKey}");
        return (text.ToString(), arguments);

        void AddApi(
            string id, IReadOnlyList<AuthMode> providers, IReadOnlyList<AuthMode> connect, IReadOnlyList<AuthMode> publish,
            IReadOnlyList<AuthMode> subscribe)
        {
            var resource = ResourceOf(id);
            text.Append(CultureInfo.InvariantCulture, $$"""
                  {{resource}}:
                    Type: AWS::AppSync::Api
                    Properties:
                      Name: {{id}}
                      EventConfig:
                        AuthProviders: [{{string.Join(", ", providers.Select(ProviderOf))}}]
                        ConnectionAuthModes: {{ListOf(connect)}}
                        DefaultPublishAuthModes: {{ListOf(publish)}}
                        DefaultSubscribeAuthModes: {{ListOf(subscribe)}}

                """);
            arguments.Add($"--Fanfare:Resources:{resource}:ApiId={id}");
            AddNamespace(id, "open");
            if (providers.Contains(AuthMode.ApiKey))
            {
                text.Append(CultureInfo.InvariantCulture, $$"""
                      {{resource}}Key:
                        Type: AWS::AppSync::ApiKey
                        Properties: {ApiId: !GetAtt {{resource}}.ApiId}

                    """);
                arguments.Add($"--Fanfare:Resources:{resource}Key:ApiKey={KeyOf(id)}");
            }
        }

        void AddNamespace(
            string apiId, string name, IReadOnlyList<AuthMode>? publish = null, IReadOnlyList<AuthMode>? subscribe = null) =>
            text.Append(CultureInfo.InvariantCulture, $$"""
                  {{ResourceOf(apiId)}}{{ResourceOf(name)}}:
                    Type: AWS::AppSync::ChannelNamespace
                    Properties:
                      ApiId: !GetAtt {{ResourceOf(apiId)}}.ApiId
                      Name: {{name}}
                {{(publish is null ? "" : $"      PublishAuthModes: {ListOf(publish)}\n")}}{{(subscribe is null ? "" : $"      SubscribeAuthModes: {ListOf(subscribe)}\n")}}
                """);
    }

    private static string ResourceOf(string id) => string.Concat(id.Split('-').Select(part => char.ToUpperInvariant(part[0]) + part[1..]));

    private static string ListOf(IEnumerable<AuthMode> modes) =>
        $"[{string.Join(", ", modes.Select(mode => $"{{AuthType: {AuthModeNames.GetName(mode)}}}"))}]";

    private string ProviderOf(AuthMode mode) => mode switch
    {
        AuthMode.CognitoUserPools =>
            $"{{AuthType: AMAZON_COGNITO_USER_POOLS, CognitoConfig: {{UserPoolId: {PoolId}, AwsRegion: eu-west-1, AppIdClientRegex: '^web$'}}}}",
        AuthMode.OpenIdConnect =>
            $"{{AuthType: OPENID_CONNECT, OpenIDConnectConfig: {{Issuer: '{Issuer.Issuer}', ClientId: '^(web|mobile)$'}}}}",
        AuthMode.AwsLambda =>
            "{AuthType: AWS_LAMBDA, LambdaAuthorizerConfig: {AuthorizerUri: !GetAtt Authorizer.Arn, IdentityValidationExpression: '^custom-'}}",
        _ => $"{{AuthType: {AuthModeNames.GetName(mode)}}}",
    };
}

/// <summary>What can be wrong with credentials.</summary>
public enum BadCredential
{
    None,
    TokenOfAnotherIssuer,
    UnknownKey,
    KeyOfAnotherApi,
    KeyInCapitals,
    WrongSecret,
    UnknownAccessKey,
    SignatureOfAnotherPayload,
    SignatureOfAnotherRegion,
    SignatureOfThePast,
    SignatureOfTheFuture,
    MalformedSignature,
    SignatureWithoutPermission,
    ForgedPoolToken,
    PoolTokenOfAnotherClient,
    PoolTokenOfTheFuture,
    ForgedOpenIdToken,
    OpenIdTokenOfAnotherClient,
    OpenIdTokenOfTheFuture,
    DeniedToken,
    TokenOfAnotherForm,
    TokenThatCrashesTheFunction,
}
