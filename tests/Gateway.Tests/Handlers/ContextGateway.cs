using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.Authorization.Iam;
using Fanfare.Gateway.Tests.Authorization.Jwt;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>How an operation reaches a handler.</summary>
public enum HandledOperation
{
    PublishOverHttp,
    PublishOverWebSocket,
    Subscribe,
}

/// <summary>An API with all five modes and a custom domain, whose handlers tell the context that they were called with.</summary>
/// <remarks>The handlers of the namespace <c>code</c> are code, those of <c>direct</c> a function.</remarks>
public sealed class ContextGateway : IAsyncLifetime
{
    /// <summary>The API's custom domain.</summary>
    public const string Domain = "events.example.com";

    /// <summary>What the authorizer function allows.</summary>
    public const string AuthorizerToken = "custom-good";

    private const string PoolId = "eu-west-1_Ab12Cd34E";
    private const string AllModes =
        "[{AuthType: API_KEY}, {AuthType: AWS_IAM}, {AuthType: AMAZON_COGNITO_USER_POOLS}, {AuthType: OPENID_CONNECT}, {AuthType: AWS_LAMBDA}]";

    // A context does not show what is undefined, nor what only this realm can see.
    private const string Code = """
        const report = (ctx) => util.error(JSON.stringify({
          ctx,
          authType: util.authType(),
          types: [typeof ctx.channel, typeof ctx.args, typeof ctx.arguments, typeof ctx.source, typeof ctx.operation, typeof ctx.channelNamespace],
          keys: Object.keys(ctx.identity ?? {}),
        }))
        export const onPublish = (ctx) => report(ctx)
        export const onSubscribe = (ctx) => report(ctx)
        """;

    private IssuerHost? _issuer;
    private FakeLambda? _authorizer;
    private FakeLambda? _function;
    private GatewayServer? _server;
    private int _ids;

    /// <summary>The gateway.</summary>
    public GatewayServer Server => _server ?? throw new InvalidOperationException("The gateway has not started.");

    /// <summary>The address of the pool and the provider, without a slash at the end.</summary>
    public string IssuerAddress => _issuer!.Address;

    /// <summary>The issuer of the pool's tokens.</summary>
    public string PoolIssuer => $"{IssuerAddress}/{PoolId}";

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        _issuer = await IssuerHost.StartAsync();
        _authorizer = await FakeLambda.ReturningAsync("""{"isAuthorized":true,"handlerContext":{"tenant":"t-9","level":"3"}}""");
        _function = await FakeLambda.StartAsync();
        _server = await GatewayServer.StartWithTemplateAsync(
            $$"""
            Resources:
              Authorizer:
                Type: AWS::Lambda::Function
                Properties: {FunctionName: auth}
              Domain:
                Type: AWS::AppSync::DomainName
                Properties: {DomainName: {{Domain}}, CertificateArn: 'arn:aws:acm:us-east-1:000000000000:certificate/x'}
              Association:
                Type: AWS::AppSync::DomainNameApiAssociation
                Properties: {DomainName: !GetAtt Domain.DomainName, ApiId: !GetAtt Api.ApiId}
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: contexts
                  EventConfig:
                    AuthProviders:
                      - AuthType: API_KEY
                      - AuthType: AWS_IAM
                      - AuthType: AMAZON_COGNITO_USER_POOLS
                        CognitoConfig: {UserPoolId: {{PoolId}}, AwsRegion: eu-west-1}
                      - AuthType: OPENID_CONNECT
                        OpenIDConnectConfig: {Issuer: '{{_issuer.Issuer}}'}
                      - AuthType: AWS_LAMBDA
                        LambdaAuthorizerConfig: {AuthorizerUri: !GetAtt Authorizer.Arn, IdentityValidationExpression: '^custom-'}
                    ConnectionAuthModes: {{AllModes}}
                    DefaultPublishAuthModes: {{AllModes}}
                    DefaultSubscribeAuthModes: {{AllModes}}
              Key:
                Type: AWS::AppSync::ApiKey
                Properties: {ApiId: !GetAtt Api.ApiId}
            {{HandlerFixture.FunctionSource}}
              Code:
                Type: AWS::AppSync::ChannelNamespace
                Properties: {ApiId: !GetAtt Api.ApiId, Name: code, CodeHandlers: {{((JsonNode)Code).ToJsonString()}}}
              Direct:
                Type: AWS::AppSync::ChannelNamespace
                Properties: {ApiId: !GetAtt Api.ApiId, Name: direct, HandlerConfigs: {OnPublish: {{HandlerFixture.Direct}}, OnSubscribe: {{HandlerFixture.Direct}} } }
            """,
            $"--Fanfare:Lambda:Functions:auth={_authorizer.Address}",
            $"--Fanfare:Lambda:Functions:worker={_function.Address}",
            $"--Fanfare:Cognito:Endpoint={_issuer.Address}",
            "--Fanfare:Iam:Users:0:Name=ana", "--Fanfare:Iam:Users:0:AccessKeyId=AKIDANA", "--Fanfare:Iam:Users:0:SecretAccessKey=secret",
            "--Fanfare:Iam:Users:0:Policies:0:Effect=Allow", "--Fanfare:Iam:Users:0:Policies:0:Action=appsync:*",
            "--Fanfare:Iam:Users:0:Policies:0:Resource=*");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var part in (IAsyncDisposable?[])[_server, _function, _authorizer, _issuer])
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }
    }

    /// <summary>The headers, or members of an authorization object, that sign a request in.</summary>
    /// <param name="mode">How.</param>
    /// <param name="host">The host that it goes to.</param>
    /// <param name="payload">What a signature covers.</param>
    /// <param name="claims">More claims of a token, over the usual ones.</param>
    public IReadOnlyList<(string Name, string Value)> Sign(AuthMode mode, string host, string payload, JsonObject? claims = null)
    {
        return mode switch
        {
            AuthMode.ApiKey => [("host", host), ("x-api-key", Credentials.ApiKey)],
            AuthMode.AwsIam => new ReferenceSigner
            {
                AccessKeyId = "AKIDANA", Secret = "secret", Region = "us-east-1", Time = DateTimeOffset.UtcNow, Headers = [("host", host)],
            }.Sign(payload),
            AuthMode.CognitoUserPools => Token(TestSigner.Rsa.Sign(Claims(PoolIssuer, ("cognito:username", "ana"), ("token_use", "id"), ("aud", "web")))),
            AuthMode.OpenIdConnect => Token(TestSigner.Ec.Sign(Claims(_issuer!.Issuer, ("aud", "web")))),
            _ => Token(AuthorizerToken),
        };

        IReadOnlyList<(string, string)> Token(string token) => [("host", host), ("Authorization", token)];

        JsonObject Claims(string issuer, params (string Name, string Value)[] more)
        {
            var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
            var all = new JsonObject { ["sub"] = "3f1c", ["iss"] = issuer, ["iat"] = now, ["exp"] = now + 3600 };
            foreach (var (name, value) in more)
            {
                all[name] = value;
            }

            foreach (var (name, value) in claims ?? [])
            {
                all[name] = value?.DeepClone();
            }

            return all;
        }
    }

    /// <summary>Does an operation, and returns the context that the handler was called with; of code with all that <see cref="Code"/> adds.</summary>
    /// <param name="ns">The namespace: <c>code</c> or <c>direct</c>.</param>
    /// <param name="operation">The operation.</param>
    /// <param name="mode">How it signs in.</param>
    /// <param name="claims">More claims of a token.</param>
    /// <param name="path">The channel below the namespace.</param>
    /// <param name="events">The events.</param>
    public async Task<JsonObject> ReportAsync(
        string ns, HandledOperation operation, AuthMode mode, JsonObject? claims = null, string path = "/a", params string[] events)
    {
        var channel = $"/{ns}{path}";
        events = events.Length == 0 ? ["1"] : events;
        var body = Messages.HttpBody(channel, events);
        if (operation == HandledOperation.PublishOverHttp)
        {
            var answer = await HttpPublisher.SendAsync(
                Server, HttpMethod.Post, "/event", Encoding.UTF8.GetBytes(body), [.. Sign(mode, Domain, body, claims)]);
            return await FindAsync(ns, answer.Json);
        }

        await using var socket = await ConnectAsync();
        return await ReportAsync(socket, ns, operation, Authorize(mode, operation == HandledOperation.Subscribe ? $$"""{"channel":"{{channel}}"}""" : body, claims), path, events);
    }

    /// <summary>Does an operation over a WebSocket that is there, and returns the context.</summary>
    public async Task<JsonObject> ReportAsync(
        RawWebSocket socket, string ns, HandledOperation operation, JsonObject authorization, string path = "/a", params string[] events)
    {
        ArgumentNullException.ThrowIfNull(socket);
        var id = $"id-{Interlocked.Increment(ref _ids)}";
        await socket.SendAsync(operation == HandledOperation.Subscribe
            ? Messages.Subscribe(id, $"/{ns}{path}", authorization)
            : Messages.Publish(id, $"/{ns}{path}", authorization, events.Length == 0 ? ["1"] : events));
        return await FindAsync(ns, await socket.NextAsync($"the answer to {id}"));
    }

    /// <summary>The authorization object that <see cref="Sign"/> makes.</summary>
    public JsonObject Authorize(AuthMode mode, string payload = "{}", JsonObject? claims = null)
    {
        var json = new JsonObject();
        foreach (var (name, value) in Sign(mode, Domain, payload, claims))
        {
            json[name] = value;
        }

        return json;
    }

    /// <summary>Opens a WebSocket with the key, at the custom domain unless told otherwise.</summary>
    public async Task<RawWebSocket> ConnectAsync(string? host = Domain, params (string Name, string Value)[] headers)
    {
        var socket = await Server.ConnectAsync(Handshake.WithKey() with { Host = host, Headers = headers });
        await socket.InitAsync();
        return socket;
    }

    /// <summary>The context that led to an answer.</summary>
    public async Task<JsonObject> FindAsync(string ns, JsonObject answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        if (ns == "direct")
        {
            Assert.False(answer.ContainsKey("errors"), answer.ToJsonString());
            return (await _function!.NextCallAsync()).Json;
        }

        var message = (string)answer["errors"]![0]!["message"]!;
        Assert.True(message.StartsWith('{'), answer.ToJsonString());
        return JsonNode.Parse(message)!.AsObject();
    }

    /// <summary>The context of a report alone.</summary>
    public static JsonObject ContextOf(string ns, JsonObject report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return ns == "direct" ? report : report["ctx"]!.AsObject();
    }
}
