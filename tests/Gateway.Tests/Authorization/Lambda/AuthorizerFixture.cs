using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Lambda;

/// <summary>A gateway whose API asks an authorizer function, and the four ways to make it ask.</summary>
internal sealed class AuthorizerFixture : IAsyncDisposable
{
    public const string Token = "custom-token-123";

    private const string Template = """
        Resources:
          Authorizer:
            Type: AWS::Lambda::Function
            Properties: {FunctionName: auth}
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: guarded
              EventConfig:
                AuthProviders:
                  - AuthType: API_KEY
                  - AuthType: AWS_LAMBDA
                    LambdaAuthorizerConfig:
                      AuthorizerUri: !GetAtt Authorizer.Arn
                      SETTINGS
                ConnectionAuthModes: [{AuthType: AWS_LAMBDA}, {AuthType: API_KEY}]
                DefaultPublishAuthModes: [{AuthType: AWS_LAMBDA}]
                DefaultSubscribeAuthModes: [{AuthType: AWS_LAMBDA}]
          Chat:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: chat}
          Keys:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: keys, PublishAuthModes: [{AuthType: API_KEY}], SubscribeAuthModes: [{AuthType: API_KEY}]}
        """;

    private AuthorizerFixture(GatewayServer server) => Server = server;

    public GatewayServer Server { get; }

    /// <summary>Starts a gateway.</summary>
    /// <param name="address">Where the function is; <see langword="null"/> for nowhere.</param>
    /// <param name="settings">More of <c>LambdaAuthorizerConfig</c>, such as <c>AuthorizerResultTtlInSeconds: 30</c>.</param>
    /// <param name="clock">The gateway's clock.</param>
    /// <param name="arguments">More of the command line.</param>
    public static async Task<AuthorizerFixture> StartAsync(
        Uri? address, string settings = "", TimeProvider? clock = null, params string[] arguments)
    {
        string[] target = address is null ? [] : [$"--Fanfare:Lambda:Functions:auth={address}"];
        return new AuthorizerFixture(await GatewayServer.StartWithTemplateAsync(
            clock, Template.Replace("SETTINGS", settings, StringComparison.Ordinal), [.. target, .. arguments]));
    }

    /// <summary>The authorization object of a token.</summary>
    public static JsonObject Authorization(string token) => new() { ["host"] = Credentials.Host, ["Authorization"] = token };

    public Task<HttpAnswer> PostAsync(string token = Token, string channel = "/chat/a", params (string, string)[] headers) =>
        HttpPublisher.SendAsync(
            Server, HttpMethod.Post, "/event", Encoding.UTF8.GetBytes(Messages.HttpBody(channel, "1")), [("Authorization", token), .. headers]);

    /// <summary>Opens a WebSocket that may be refused, and returns the first answer to <c>connection_init</c>.</summary>
    public async Task<JsonObject> ConnectAsync(string token = Token)
    {
        await using var socket = await Server.ConnectAsync(
            Handshake.WithProtocols($"{Credentials.EventsProtocol}, {Credentials.HeaderProtocol(Authorization(token))}"));
        await socket.SendAsync(Messages.Init);
        return await socket.NextAsync();
    }

    /// <summary>Opens a WebSocket with the API key, which asks no function.</summary>
    public async Task<RawWebSocket> OpenAsync()
    {
        var socket = await Server.ConnectAsync();
        await socket.InitAsync();
        return socket;
    }

    public static async Task<JsonObject> PublishAsync(RawWebSocket socket, string id, string token = Token, string channel = "/chat/a")
    {
        await socket.SendAsync(Messages.Publish(id, channel, Authorization(token), "1"));
        return await socket.NextAsync();
    }

    public static async Task<JsonObject> SubscribeAsync(RawWebSocket socket, string id, string token = Token, string channel = "/chat/*")
    {
        await socket.SendAsync(Messages.Subscribe(id, channel, Authorization(token)));
        return await socket.NextAsync();
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
