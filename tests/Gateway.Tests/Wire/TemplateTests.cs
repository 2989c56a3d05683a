using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>What a template says about an API is what its clients meet.</summary>
public sealed class TemplateTests
{
    private const string Template = """
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: two-namespaces
              EventConfig:
                AuthProviders: [{AuthType: API_KEY}, {AuthType: AWS_IAM}]
                ConnectionAuthModes: [{AuthType: API_KEY}]
                DefaultPublishAuthModes: [{AuthType: API_KEY}]
                DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
          Open:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: open}
          Guarded:
            Type: AWS::AppSync::ChannelNamespace
            Properties:
              ApiId: !GetAtt Api.ApiId
              Name: guarded
              PublishAuthModes: [{AuthType: AWS_IAM}]
          Key:
            Type: AWS::AppSync::ApiKey
            Properties: {ApiId: !GetAtt Api.ApiId}
        """;

    [Fact]
    public async Task Namespaces_and_their_modes_come_from_the_template()
    {
        await using var server = await GatewayServer.StartWithTemplateAsync(Template);
        await using var socket = await server.ConnectAsync();
        await socket.InitAsync();
        await socket.SubscribeAsync("open", "/open/*");
        await socket.SubscribeAsync("guarded", "/guarded/*");

        await socket.SendAsync(Messages.Publish("p", "/guarded/a", "1"));
        Assert.Null(WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "UnauthorizedException").Message);
        (await HttpPublisher.PostAsync(server, Messages.HttpBody("/guarded/a", "1")))
            .AssertError(403, "UnauthorizedException", null);

        Assert.Equal(200, (await HttpPublisher.PostAsync(server, Messages.HttpBody("/open/a", "2"))).Status);
        Assert.Equal("2", await socket.NextEventAsync("open"));
        await socket.AssertNothingElseAsync();
    }

    [Fact]
    public async Task Template_leaves_no_namespace_that_it_does_not_name()
    {
        await using var server = await GatewayServer.StartWithTemplateAsync(Template);

        var answer = await HttpPublisher.SendAsync(
            server,
            HttpMethod.Post,
            "/event",
            Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1")),
            ("x-api-key", Credentials.ApiKey));

        answer.AssertError(403, "UnauthorizedException", null);
    }
}
