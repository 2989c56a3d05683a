using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>A namespace of a <see cref="HandlerFixture"/>: code, or what else decides.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Code">Its code, or <see langword="null"/>.</param>
/// <param name="Configs">The properties of <c>HandlerConfigs</c> as YAML flow text, such as <c>OnPublish: {…}</c>; empty for none.</param>
internal sealed record TestNamespace(string Name, string? Code = null, string Configs = "");

/// <summary>A gateway with namespaces that have handlers, open to the test's key.</summary>
internal sealed class HandlerFixture : IAsyncDisposable
{
    /// <summary>The function <c>worker</c>, and the data source of that name, which is it.</summary>
    public const string FunctionSource = """
          Function:
            Type: AWS::Lambda::Function
            Properties: {FunctionName: worker}
          Source:
            Type: AWS::AppSync::DataSource
            Properties:
              ApiId: !GetAtt Api.ApiId
              Name: worker
              Type: AWS_LAMBDA
              ServiceRoleArn: arn:aws:iam::000000000000:role/x
              LambdaConfig: {LambdaFunctionArn: !GetAtt Function.Arn}

        """;

    /// <summary>A handler that is the function <c>worker</c>.</summary>
    public const string Direct = "{Behavior: DIRECT, Integration: {DataSourceName: worker}}";

    /// <summary>A handler that only notifies the function <c>worker</c>.</summary>
    public const string DirectEvent = "{Behavior: DIRECT, Integration: {DataSourceName: worker, LambdaConfig: {InvokeType: EVENT}}}";

    private HandlerFixture(GatewayServer server) => Server = server;

    public GatewayServer Server { get; }

    /// <summary>Starts one with a single namespace, <c>chat</c>, that has this code, and another, <c>other</c>, that has none.</summary>
    public static Task<HandlerFixture> StartAsync(string code, params string[] arguments) =>
        StartAsync([new TestNamespace("chat", code)], sources: "", arguments);

    /// <summary>Starts one.</summary>
    /// <param name="namespaces">Its namespaces, besides <c>other</c>, which has no handlers.</param>
    /// <param name="sources">Further resources as YAML, such as data sources, indented by two.</param>
    /// <param name="arguments">More of the command line.</param>
    public static async Task<HandlerFixture> StartAsync(
        IReadOnlyList<TestNamespace> namespaces, string sources = "", params string[] arguments) =>
        new(await GatewayServer.StartWithTemplateAsync(CreateTemplate(namespaces, sources), arguments));

    /// <summary>Starts one whose namespace <c>chat</c> is handled by the function <c>worker</c>.</summary>
    /// <param name="address">Where the function is; <see langword="null"/> for nowhere.</param>
    /// <param name="handler">How it is called: <see cref="Direct"/> or <see cref="DirectEvent"/>.</param>
    /// <param name="arguments">More of the command line.</param>
    public static Task<HandlerFixture> StartDirectAsync(Uri? address, string handler = Direct, params string[] arguments) => StartAsync(
        [new TestNamespace("chat", Configs: $"OnPublish: {handler}, OnSubscribe: {handler}")],
        FunctionSource,
        address is null ? arguments : [$"--Fanfare:Lambda:Functions:worker={address}", .. arguments]);

    /// <summary>The template of such a gateway.</summary>
    public static string CreateTemplate(IReadOnlyList<TestNamespace> namespaces, string sources = "", string logLevel = "DEBUG")
    {
        var template = new StringBuilder("""
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: handled
                  EventConfig:
                    AuthProviders: [{AuthType: API_KEY}]
                    ConnectionAuthModes: [{AuthType: API_KEY}]
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
                    DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
                    LogConfig: {LogLevel: LEVEL, CloudWatchLogsRoleArn: 'arn:aws:iam::000000000000:role/logs'}
              Key:
                Type: AWS::AppSync::ApiKey
                Properties: {ApiId: !GetAtt Api.ApiId}

            """);
        template.Replace("LEVEL", logLevel);
        template.Append(sources);
        var index = 0;
        foreach (var ns in namespaces.Append(new TestNamespace("other")))
        {
            // JSON is YAML, so a JSON string carries any code.
            template.Append($"  Namespace{index++}:\n    Type: AWS::AppSync::ChannelNamespace\n    Properties:\n      ApiId: !GetAtt Api.ApiId\n");
            template.Append($"      Name: {ns.Name}\n");
            if (ns.Code is not null)
            {
                template.Append($"      CodeHandlers: {((JsonNode)ns.Code).ToJsonString()}\n");
            }

            if (ns.Configs.Length > 0)
            {
                template.Append($"      HandlerConfigs: {{{ns.Configs}}}\n");
            }
        }

        return template.ToString();
    }

    /// <summary>Opens a WebSocket, ready for messages.</summary>
    public async Task<RawWebSocket> ConnectAsync()
    {
        var socket = await Server.ConnectAsync();
        await socket.InitAsync();
        return socket;
    }

    /// <summary>Publishes JSON texts over HTTP.</summary>
    public Task<HttpAnswer> PostAsync(string channel, params string[] events) =>
        HttpPublisher.PostAsync(Server, Messages.HttpBody(channel, events));

    /// <summary>Publishes over a WebSocket and returns the answer, whatever it is.</summary>
    public static async Task<JsonObject> PublishAsync(RawWebSocket socket, string id, string channel, params string[] events)
    {
        await socket.SendAsync(Messages.Publish(id, channel, events));
        return await socket.NextAsync($"the answer to {id}");
    }

    /// <summary>Subscribes and returns the answer, whatever it is.</summary>
    public static async Task<JsonObject> SubscribeAsync(RawWebSocket socket, string id, string channel)
    {
        await socket.SendAsync(Messages.Subscribe(id, channel));
        return await socket.NextAsync($"the answer to {id}");
    }

    /// <summary>Asserts that these events, and no others, arrive at a subscriber of the channel; a marker over HTTP ends the wait.</summary>
    public async Task AssertDeliveredAsync(RawWebSocket subscriber, string id, params string[] events)
    {
        foreach (var expected in events)
        {
            Assert.Equal(expected, await subscriber.NextEventAsync(id));
        }

        // Answered by the same connection behind all that was under way to it.
        await subscriber.SendAsync(Messages.Subscribe("marker", "/other/marker"));
        await subscriber.NextAsync("subscribe_success", "marker");
        Assert.Equal(200, (await PostAsync("/other/marker", "\"marker\"")).Status);
        Assert.Equal("\"marker\"", await subscriber.NextEventAsync("marker"));
        await subscriber.UnsubscribeAsync("marker");
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
