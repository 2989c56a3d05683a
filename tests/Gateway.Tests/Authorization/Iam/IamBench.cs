using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Iam;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Credentials = Fanfare.Gateway.Authorization.Credentials;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

/// <summary>An authorizer with the real authenticator and no sockets: questions in, decisions out.</summary>
internal sealed class IamBench : IDisposable
{
    public const string ApiId = "abcdefghijklmnopqrstuvwxyz";
    public const string ApiArn = "arn:aws:appsync:eu-west-1:123456789012:apis/" + ApiId;

    private readonly ServiceProvider _services;
    private readonly ServedApi _api;

    public IamBench(params (string Key, string Value)[] settings)
    {
        Dictionary<string, string?> all = new()
        {
            ["Fanfare:Region"] = "eu-west-1",
            ["Fanfare:AccountId"] = "123456789012",
            ["Fanfare:Iam:Users:0:Name"] = "ana",
            ["Fanfare:Iam:Users:0:AccessKeyId"] = ReferenceSigner.ExampleId,
            ["Fanfare:Iam:Users:0:SecretAccessKey"] = ReferenceSigner.ExampleSecret,
            ["Fanfare:Iam:Users:0:Policies:0:Effect"] = "Allow",
            ["Fanfare:Iam:Users:0:Policies:0:Action"] = "*",
            ["Fanfare:Iam:Users:0:Policies:0:Resource"] = "*",
        };
        foreach (var (key, value) in settings)
        {
            all[key] = value;
        }

        var configuration = new ConfigurationBuilder().AddInMemoryCollection(all).Build();
        var section = configuration.GetSection(GatewayOptions.SectionName);
        Clock = new ManualTimeProvider();
        Start = new DateTimeOffset(Clock.GetUtcNow().UtcDateTime);
        var services = new ServiceCollection().AddSingleton<TimeProvider>(Clock);
        services.AddMetrics();
        services.AddOptions<GatewayOptions>().Bind(section);
        services.AddIam(section);
        services.AddSingleton<GatewayMetrics>();
        // What is tried here thousands of times is to be looked at every time.
        services.AddSingleton(Microsoft.Extensions.Options.Options.Create(new GatewayLimits { FailedAttemptsPerSecond = 0 }));
        services.AddSingleton<FailedAttempts>();
        services.AddSingleton(new AuthModeDetector(new TokenCache(new JwtOptions())));
        services.AddSingleton<Authorizer>();
        _services = services.BuildServiceProvider();
        Authorizer = _services.GetRequiredService<Authorizer>();
        const AuthModes modes = AuthModes.AwsIam;
        ChannelNamespace[] namespaces =
        [
            new() { Name = "default" },
            new() { Name = "other" },
            new() { Name = "keys", PublishModes = AuthModes.ApiKey, SubscribeModes = AuthModes.ApiKey },
        ];
        _api = new ServedApi(
            new Api
            {
                Id = ApiId,
                Name = "test",
                HttpHost = "localhost:8080",
                RealtimeHost = "localhost:8080",
                AuthProviders = [new AuthProvider { Mode = AuthMode.AwsIam }, new AuthProvider { Mode = AuthMode.ApiKey }],
                ConnectionModes = modes,
                DefaultPublishModes = modes,
                DefaultSubscribeModes = modes,
                Namespaces = System.Collections.Frozen.FrozenDictionary.ToFrozenDictionary(namespaces, ns => ns.Name),
            },
            new GatewayOptions(),
            new GatewayMetrics(_services.GetRequiredService<IMeterFactory>()),
            Clock);
    }

    public ManualTimeProvider Clock { get; }

    public DateTimeOffset Start { get; }

    public Authorizer Authorizer { get; }

    /// <summary>A signer of this bench's user and time.</summary>
    public ReferenceSigner Signer => new() { Time = Clock.GetUtcNow() };

    public GatewayOptions Options => _services.GetRequiredService<IOptions<GatewayOptions>>().Value;

    public AuthDecision Connect(JsonObject authorization, params (string Name, string Value)[] upgradeHeaders) =>
        Ask(Parse(authorization), AuthOperation.Connect, "", SignedContent.Connect, upgradeHeaders);

    /// <summary>A connect whose credentials are the upgrade's own headers.</summary>
    public AuthDecision ConnectByHeaders(params (string Name, string Value)[] headers) =>
        Ask(Credentials.FromHeaders(Headers(headers)), AuthOperation.Connect, "", SignedContent.Connect, headers);

    /// <summary>A WebSocket message; its members are given as JSON, the way they came.</summary>
    public AuthDecision Message(
        AuthOperation operation, string channelJson, string? eventsJson, JsonObject authorization, params (string Name, string Value)[] upgradeHeaders) =>
        Message(operation, channelJson, eventsJson, authorization.ToJsonString(TestKit.Credentials.Relaxed), upgradeHeaders);

    public AuthDecision Message(
        AuthOperation operation, string channelJson, string? eventsJson, string authorization, params (string Name, string Value)[] upgradeHeaders)
    {
        Assert.True(Credentials.TryParse(Encoding.UTF8.GetBytes(authorization), out var credentials));
        return Ask(
            credentials,
            operation,
            JsonNode.Parse(channelJson)!.GetValue<string>(),
            SignedContent.Message(Encoding.UTF8.GetBytes(channelJson), Encoding.UTF8.GetBytes(eventsJson ?? "")),
            upgradeHeaders);
    }

    public AuthDecision HttpPublish(string channel, string body, IEnumerable<(string Name, string Value)> headers, string query = "")
    {
        (string, string)[] all = [.. headers];
        return Ask(
            Credentials.FromHeaders(Headers(all)), AuthOperation.Publish, channel,
            SignedContent.HttpPublish(Encoding.UTF8.GetBytes(body), query), all);
    }

    public void Dispose() => _services.Dispose();

    private static Credentials Parse(JsonObject authorization)
    {
        Assert.True(Credentials.TryParse(
            Encoding.UTF8.GetBytes(authorization.ToJsonString(TestKit.Credentials.Relaxed)), out var credentials));
        return credentials;
    }

    private static HeaderDictionary Headers((string Name, string Value)[] headers)
    {
        var dictionary = new HeaderDictionary();
        foreach (var (name, value) in headers)
        {
            dictionary.Append(name, value);
        }

        return dictionary;
    }

    private AuthDecision Ask(
        Credentials credentials, AuthOperation operation, string channel, SignedContent content, (string Name, string Value)[] headers)
    {
        var ns = operation == AuthOperation.Connect ? null : _api.FindNamespace(channel.TrimStart('/').Split('/')[0]);
        var task = Authorizer.AuthorizeAsync(
            new AuthRequest
            {
                Api = _api,
                Operation = operation,
                Namespace = ns,
                Channel = Encoding.UTF8.GetBytes(channel),
                Credentials = credentials,
                Content = content,
                Origin = new RequestOrigin("request", IPAddress.Parse("192.0.2.7"), Headers(headers)),
            },
            CancellationToken.None).AsTask();
        Assert.True(task.IsCompletedSuccessfully, "The mode has nothing to wait for.");
        return task.GetAwaiter().GetResult();
    }
}

/// <summary>Assertions on decisions.</summary>
internal static class AuthDecisionAssertions
{
    public static void AssertGranted(this AuthDecision decision) =>
        Assert.True(decision.Error is null, $"refused: {decision.Error?.ErrorType} {decision.Error?.Message}");

    public static void AssertRefused(this AuthDecision decision, string errorType, string? message, int status)
    {
        Assert.True(decision.Error is not null, "granted");
        Assert.Equal((errorType, message, status), (decision.Error.ErrorType, decision.Error.Message, decision.Error.Status));
    }

    public static void AssertBadRequest(this AuthDecision decision, string message) =>
        decision.AssertRefused("BadRequestException", message, 400);

    public static void AssertMismatch(this AuthDecision decision) => decision.AssertBadRequest("signature mismatch");

    public static void AssertUnauthorized(this AuthDecision decision) =>
        decision.AssertRefused("UnauthorizedException", "You are not authorized to make this call.", 401);

    public static void AssertRefusedAsMalformed(this AuthDecision decision) => Assert.Same(IamErrors.MalformedHeader, decision.Error);

    public static ProtocolError AssertError(this AuthDecision decision) =>
        decision.Error ?? throw new InvalidOperationException("granted");
}
