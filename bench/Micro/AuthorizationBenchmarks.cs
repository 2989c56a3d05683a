using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Signing;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Micro;

/// <summary>What a publish over WebSocket pays for being authorized, by mode, beside what the whole of it costs.</summary>
/// <remarks>
/// A check is the parsing of the message's authorization object and one call of the authorizer, rate limit of failures included. A
/// publish is all that a connection does with the message's text up to the encoded answer, on the embedded backplane with nobody
/// subscribed; frames and sockets, which come on top, are left out, so a check's share of it is an upper bound.
/// </remarks>
[MemoryDiagnoser]
public class AuthorizationBenchmarks
{
    private const string AccessKeyId = "AKIDEXAMPLE";
    private const string Secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    private const string FunctionArn = "arn:aws:lambda:eu-west-1:123456789012:function:auth";

    // An event of 200 bytes.
    private static readonly string s_content =
        $$"""
        "channel":"/orders/eu/42","events":["{\"text\":\"{{new string('x', 189)}}\"}"]
        """;

    private static readonly JsonSerializerOptions s_relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private Outside _outside = null!;
    private MeasuredGateway _gateway = null!;
    private byte[] _text = [];
    private ClientMessage _message;

    /// <summary>A whole publish with an API key: the yardstick.</summary>
    [Benchmark(Baseline = true)]
    public int PublishWithApiKey() => Publish();

    /// <summary>A whole publish with a token that was verified before.</summary>
    [Benchmark]
    public int PublishWithCognitoCached() => Publish();

    /// <summary>A whole publish that is signed.</summary>
    [Benchmark]
    public int PublishWithIam() => Publish();

    /// <summary>An API key, the API's only one.</summary>
    [Benchmark]
    public bool ApiKeyOf1() => Authorize();

    /// <summary>An API key, the last of 50, AppSync's limit.</summary>
    [Benchmark]
    public bool ApiKeyOf50() => Authorize();

    /// <summary>A Signature Version 4 signature by a user with a policy of two statements.</summary>
    [Benchmark]
    public bool Iam() => Authorize();

    /// <summary>A user pool's token that was verified before, as on all messages of a WebSocket but the first.</summary>
    [Benchmark]
    public bool CognitoCached() => Authorize();

    /// <summary>A user pool's token, RS256, that is verified each time.</summary>
    [Benchmark]
    public bool CognitoUncachedRs256() => Authorize();

    /// <summary>An OpenID provider's token that was verified before.</summary>
    [Benchmark]
    public bool OidcCachedEs256() => Authorize();

    /// <summary>An OpenID provider's token, ES256, that is verified each time.</summary>
    [Benchmark]
    public bool OidcUncachedEs256() => Authorize();

    /// <summary>A token that the authorizer function allowed before.</summary>
    [Benchmark]
    public bool LambdaCached() => Authorize();

    /// <summary>Starts what every case needs.</summary>
    [GlobalSetup(Targets = [nameof(PublishWithApiKey), nameof(ApiKeyOf1)])]
    public void SetUpApiKey() => SetUpApiKeys(1);

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Target = nameof(ApiKeyOf50))]
    public void SetUp50ApiKeys() => SetUpApiKeys(50);

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Targets = [nameof(PublishWithIam), nameof(Iam)])]
    public void SetUpIam() => SetUp(
        _ => new AuthProvider { Mode = AuthMode.AwsIam },
        _ => SignedHeaders(),
        [
            // The same signature comes again and again, which is refused after a while by default.
            "--Fanfare:Iam:RepeatTime=1.00:00:00",
            "--Fanfare:Iam:Users:0:Name=ana",
            $"--Fanfare:Iam:Users:0:AccessKeyId={AccessKeyId}",
            $"--Fanfare:Iam:Users:0:SecretAccessKey={Secret}",
            "--Fanfare:Iam:Users:0:Policies:0:Effect=Allow",
            "--Fanfare:Iam:Users:0:Policies:0:Action=appsync:Event*",
            "--Fanfare:Iam:Users:0:Policies:0:Resource=arn:aws:appsync:eu-west-1:123456789012:apis/*/channelNamespace/orders",
            "--Fanfare:Iam:Users:0:Policies:1:Effect=Deny",
            "--Fanfare:Iam:Users:0:Policies:1:Action=appsync:EventPublish",
            "--Fanfare:Iam:Users:0:Policies:1:Resource=arn:aws:appsync:*:*:apis/*/channelNamespace/audit",
        ]);

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Targets = [nameof(PublishWithCognitoCached), nameof(CognitoCached)])]
    public void SetUpCognitoCached() => SetUpCognito();

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Target = nameof(CognitoUncachedRs256))]
    public void SetUpCognitoUncached() => SetUpCognito("--Fanfare:Jwt:CachedTokensMax=0");

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Target = nameof(OidcCachedEs256))]
    public void SetUpOidcCached() => SetUpOidc();

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Target = nameof(OidcUncachedEs256))]
    public void SetUpOidcUncached() => SetUpOidc("--Fanfare:Jwt:CachedTokensMax=0");

    /// <inheritdoc cref="SetUpApiKey"/>
    [GlobalSetup(Target = nameof(LambdaCached))]
    public void SetUpLambda() => SetUp(
        _ => new AuthProvider
        {
            Mode = AuthMode.AwsLambda,
            LambdaAuthorizer = new LambdaAuthorizerSettings { AuthorizerUri = FunctionArn, ResultTtlSeconds = 3600 },
        },
        _ => Header("Authorization", "custom-5b8d1f0c7a3e49d2"));

    /// <summary>Stops what was started.</summary>
    [GlobalCleanup]
    public void CleanUp()
    {
        _gateway.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _outside.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private static JsonObject Header(string name, string value) => new() { ["host"] = "localhost:8080", [name] = value };

    /// <summary>What Amplify sends: the headers it signs and the signature.</summary>
    private static JsonObject SignedHeaders()
    {
        var now = TimeProvider.System.GetUtcNow();
        Dictionary<string, string> headers = new()
        {
            ["accept"] = "application/json, text/javascript",
            ["content-encoding"] = "amz-1.0",
            ["content-type"] = "application/json; charset=UTF-8",
            ["host"] = "localhost:8080",
            ["x-amz-date"] = now.UtcDateTime.ToString(SignatureV4.TimeFormat, CultureInfo.InvariantCulture),
        };
        var signer = new SigV4Signer(new SigV4Credentials(AccessKeyId, Secret), "eu-west-1", "appsync", TimeProvider.System);
        var payloadHash = SHA256.HashData(Encoding.UTF8.GetBytes($$"""{{{s_content}}}"""));
        var authorization = signer.CreateAuthorization("POST", "/event", "", headers, payloadHash, now);
        return new JsonObject([.. headers.Append(new("Authorization", authorization))
            .Select(header => KeyValuePair.Create(header.Key, (JsonNode?)header.Value))]);
    }

    /// <summary>The claims of an ID token of ordinary size, valid for an hour.</summary>
    private static JsonObject Claims(string issuer)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        return new JsonObject
        {
            ["sub"] = "3f1c2b7e-7a53-4c58-9d0f-4a1d2f5f8e11",
            ["iss"] = issuer,
            ["aud"] = "4e1v7n0c2k9p5q8r3s6t1u2w3x",
            ["token_use"] = "id",
            ["cognito:username"] = "ana",
            ["cognito:groups"] = new JsonArray("traders", "eu"),
            ["email"] = "ana@example.com",
            ["email_verified"] = true,
            ["event_id"] = "0c9f5e5d-6ad9-4c2b-9a0e-1f1f3d0f4a77",
            ["auth_time"] = now,
            ["iat"] = now,
            ["exp"] = now + 3600,
        };
    }

    private void SetUpApiKeys(int count)
    {
        string[] keys = [.. Enumerable.Range(0, count).Select(i => $"da2-{i:D26}")];
        SetUp(_ => new AuthProvider { Mode = AuthMode.ApiKey }, _ => Header("x-api-key", keys[^1]), keys: keys);
    }

    private void SetUpCognito(params string[] settings) => SetUp(
        _ => new AuthProvider
        {
            Mode = AuthMode.CognitoUserPools,
            Cognito = new CognitoSettings { UserPoolId = Outside.PoolId, AwsRegion = "eu-west-1" },
        },
        outside => Header("Authorization", outside.PoolSigner.Sign(Claims(outside.PoolIssuer))),
        settings);

    private void SetUpOidc(params string[] settings) => SetUp(
        outside => new AuthProvider
        {
            Mode = AuthMode.OpenIdConnect,
            OpenIdConnect = new OpenIdConnectSettings { Issuer = outside.OpenIdIssuer },
        },
        outside => Header("Authorization", outside.OpenIdSigner.Sign(Claims(outside.OpenIdIssuer))),
        settings);

    // Waits here rather than in the callers: BenchmarkDotNet 0.14 runs asynchronous setups in its own process without awaiting them.
    private void SetUp(
        Func<Outside, AuthProvider> provider, Func<Outside, JsonObject> authorization, string[]? settings = null, string[]? keys = null) =>
        SetUpAsync(provider, authorization, settings ?? [], keys ?? []).GetAwaiter().GetResult();

    private async Task SetUpAsync(
        Func<Outside, AuthProvider> provider, Func<Outside, JsonObject> authorization, string[] settings, string[] keys)
    {
        _outside = await Outside.StartAsync();
        _gateway = new MeasuredGateway(
            [$"--Fanfare:Cognito:Endpoint={_outside.Address}", $"--Fanfare:Lambda:Functions:auth={_outside.Function}", .. settings],
            provider(_outside), keys);
        _text = MeasuredGateway.Message(s_content, authorization(_outside).ToJsonString(s_relaxed));
        if (!ClientMessage.TryParse(_text, out _message))
        {
            throw new InvalidOperationException("The message is not one.");
        }

        // The first one fetches keys or asks the function.
        if ((await _gateway.AuthorizeAsync(_message)).Error is { } error)
        {
            throw new InvalidOperationException($"Refused: {error.ErrorType} {error.Message}");
        }
    }

    private bool Authorize()
    {
        var decision = _gateway.AuthorizeAsync(_message);
        return !decision.IsCompleted ? throw new InvalidOperationException("Not answered from memory.")
            : decision.GetAwaiter().GetResult().Error is { } error ? throw new InvalidOperationException($"Refused: {error.Message}")
            : true;
    }

    private int Publish()
    {
        var length = _gateway.PublishAsync(_text);
        return length.IsCompleted ? length.GetAwaiter().GetResult() : throw new InvalidOperationException("Not answered from memory.");
    }
}
