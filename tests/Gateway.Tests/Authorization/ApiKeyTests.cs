using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Authorization;

/// <summary>API keys are known by their hashes, and end when they should.</summary>
public sealed class ApiKeyTests
{
    private const string SecondKey = "a-second-key-of-the-configuration";

    private const string Template = """
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: keys
              EventConfig:
                AuthProviders: [{AuthType: API_KEY}]
                ConnectionAuthModes: [{AuthType: API_KEY}]
                DefaultPublishAuthModes: [{AuthType: API_KEY}]
                DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
          Chat:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: chat}
          First:
            Type: AWS::AppSync::ApiKey
            Properties: {ApiId: !GetAtt Api.ApiId}
          Second:
            Type: AWS::AppSync::ApiKey
            Properties: {ApiId: !GetAtt Api.ApiId, Expires: EXPIRES}
        Outputs:
          Key: {Value: !GetAtt Second.ApiKey}
        """;

    [Fact]
    public async Task Each_of_several_keys_opens_the_api_until_its_own_last_second()
    {
        var clock = new ManualTimeProvider();
        await using var server = await StartAsync(clock);
        var expires = server.Services.GetRequiredService<ServedModel>().Directory.Default.Model.Keys.Select(key => key.Expires!.Value).ToList();
        Assert.True(expires[1] < expires[0]);

        Assert.Equal(200, await PublishAsync(server, Credentials.ApiKey));
        Assert.Equal(200, await PublishAsync(server, SecondKey));
        Assert.Equal(401, await PublishAsync(server, Credentials.UnknownKey));
        Assert.Equal(401, await PublishAsync(server, SecondKey + "x"));
        Assert.Equal(401, await PublishAsync(server, SecondKey[..^1]));

        clock.Advance(expires[1] - clock.GetUtcNow() - TimeSpan.FromTicks(1));
        Assert.Equal(200, await PublishAsync(server, SecondKey));
        clock.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(401, await PublishAsync(server, SecondKey));
        Assert.Equal(200, await PublishAsync(server, Credentials.ApiKey));
    }

    [Fact]
    public async Task Once_the_banner_is_written_the_served_model_holds_no_key_in_plain()
    {
        await using var server = await StartAsync(new ManualTimeProvider());
        var model = server.Services.GetRequiredService<ServedModel>();
        Assert.NotEmpty(ObjectGraph.FindText(model, SecondKey));

        var banner = new StringWriter();
        StartBanner.Write(banner, [server.Address.ToString()], publicUrl: null, model);

        Assert.Contains($"API key    {Credentials.ApiKey}", banner.ToString(), StringComparison.Ordinal);
        Assert.Contains($"template.Key = {SecondKey}", banner.ToString(), StringComparison.Ordinal);
        Assert.Equal(200, await PublishAsync(server, SecondKey));
        Assert.Empty(ObjectGraph.FindText(model, Credentials.ApiKey));
        Assert.Empty(ObjectGraph.FindText(model, SecondKey));
        Assert.Throws<InvalidOperationException>(model.TakeStartDetails);
    }

    [Fact]
    public async Task The_default_api_keeps_no_key_in_plain_either()
    {
        await using var server = await GatewayServer.StartAsync();
        var model = server.Services.GetRequiredService<ServedModel>();

        StartBanner.Write(TextWriter.Null, [server.Address.ToString()], publicUrl: null, model);

        Assert.Empty(ObjectGraph.FindText(model, Credentials.ApiKey));
    }

    [Fact]
    public void Nothing_that_holds_a_key_shows_it_as_text()
    {
        var issued = new IssuedKey("api", SecondKey, null);
        Assert.DoesNotContain(SecondKey, issued.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(SecondKey, issued.ToApiKey().ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(SecondKey, new StoredIdentity("api", SecondKey, []).ToString(), StringComparison.Ordinal);
        Assert.Equal(ApiKey.HashLength, issued.ToApiKey().Hash.Length);
    }

    private static Task<GatewayServer> StartAsync(ManualTimeProvider clock) => GatewayServer.StartWithTemplateAsync(
        clock,
        Template.Replace("EXPIRES", clock.GetUtcNow().AddHours(30).ToUnixTimeSeconds().ToString(), StringComparison.Ordinal),
        $"--Fanfare:Resources:Second:ApiKey={SecondKey}");

    private static async Task<int> PublishAsync(GatewayServer server, string key) => (await HttpPublisher.SendAsync(
        server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(Messages.HttpBody("/chat/a", "1")), ("x-api-key", key))).Status;
}
