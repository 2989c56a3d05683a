using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary><c>--watch</c>, and code in files of its own.</summary>
public sealed class WatchTests : IDisposable
{
    private const string Api = """
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: watched
              EventConfig:
                AuthProviders: [{AuthType: API_KEY}]
                ConnectionAuthModes: [{AuthType: API_KEY}]
                DefaultPublishAuthModes: [{AuthType: API_KEY}]
                DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
          Key:
            Type: AWS::AppSync::ApiKey
            Properties: {ApiId: !GetAtt Api.ApiId}
          Chat:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: chat, CodeS3Location: ./handlers/chat.js}

        """;

    private readonly TemporaryFolder _folder = new();

    private string Template => Path.Combine(_folder.Path, "template.yaml");

    private string Code => Path.Combine(_folder.Path, "handlers", "chat.js");

    [Fact]
    public async Task A_changed_file_changes_the_handlers_of_a_running_gateway()
    {
        await WriteAsync("export const onPublish = (ctx) => util.error('first')");
        await using var server = await GatewayServer.StartAsync("--template", Template, "--watch");
        await AssertAnswerAsync(server, "first");

        await WriteAsync("export const onPublish = (ctx) => util.error('second')");
        await LoggedAsync(server, "Loaded the handlers of 'chat' anew.");
        await AssertAnswerAsync(server, "second");
    }

    [Fact]
    public async Task Code_that_cannot_run_leaves_the_handlers_as_they_were_until_it_is_mended()
    {
        await WriteAsync("export const onPublish = (ctx) => util.error('first')");
        await using var server = await GatewayServer.StartAsync("--template", Template, "--watch");

        await WriteAsync("export const onPublish = (ctx) =>\n  util.error('second'");
        await LoggedAsync(server, "The handlers stay as they were: The code of the namespace 'chat': code.js:2:");
        await AssertAnswerAsync(server, "first");

        await WriteAsync("export const onPublish = (ctx) =>\n  util.error('second')");
        await LoggedAsync(server, "Loaded the handlers of 'chat' anew.");
        await AssertAnswerAsync(server, "second");
    }

    [Fact]
    public async Task A_file_that_is_gone_leaves_the_handlers_as_they_were_until_it_is_back()
    {
        await WriteAsync("export const onPublish = (ctx) => util.error('first')");
        await using var server = await GatewayServer.StartAsync("--template", Template, "--watch");

        File.Delete(Code);
        await LoggedAsync(server, "The handlers stay as they were: ");
        await AssertAnswerAsync(server, "first");

        await WriteAsync("export const onPublish = (ctx) => util.error('back')");
        await LoggedAsync(server, "Loaded the handlers of 'chat' anew.");
        await AssertAnswerAsync(server, "back");
    }

    [Fact]
    public async Task A_change_of_the_template_that_is_no_handlers_is_said_to_need_a_restart()
    {
        await WriteAsync("export const onPublish = (ctx) => util.error('first')");
        await using var server = await GatewayServer.StartAsync("--template", Template, "--watch");

        await File.WriteAllTextAsync(
            Template, Api + "  More:\n    Type: AWS::AppSync::ChannelNamespace\n    Properties: {ApiId: !GetAtt Api.ApiId, Name: more}\n",
            TestContext.Current.CancellationToken);
        await LoggedAsync(server, "the rest takes effect at the next start");
        Assert.DoesNotContain(server.Log.Lines, line => line.Text.Contains("anew", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_watches_sees_what_handlers_log_though_the_API_logs_nothing()
    {
        await WriteAsync("export const onPublish = (ctx) => { console.log('seen', ctx.events[0].payload); return ctx.nothing.here }");
        await using var server = await GatewayServer.StartAsync("--template", Template, "--watch");
        await HttpPublisher.PostAsync(server, Messages.HttpBody("/chat/a", "{\"n\":1}"));
        await LoggedAsync(server, "INFO - code.js:1:45: seen {\"n\":1}");
        await LoggedAsync(server, "onPublish of chat failed: code.js:1:");

        await using var quiet = await GatewayServer.StartAsync("--template", Template);
        await HttpPublisher.PostAsync(quiet, Messages.HttpBody("/chat/a", "{\"n\":1}"));
        Assert.DoesNotContain(quiet.Log.Lines, line => line.Text.Contains("code.js", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("../outside.js")]
    [InlineData("/etc/hostname")]
    [InlineData("http://example.com/chat.js")]
    public async Task Code_elsewhere_is_not_read(string location)
    {
        await WriteAsync("export const onPublish = (ctx) => ctx.events");
        await File.WriteAllTextAsync(
            Template, Api.Replace("./handlers/chat.js", location, StringComparison.Ordinal), TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAnyAsync<Exception>(() => GatewayServer.StartAsync("--template", Template));
        Assert.Contains("must be s3://bucket/key or a file in the template's folder or below", refused.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private async Task WriteAsync(string code)
    {
        if (!File.Exists(Template))
        {
            await File.WriteAllTextAsync(Template, Api, TestContext.Current.CancellationToken);
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Code)!);
        await File.WriteAllTextAsync(Code, code, TestContext.Current.CancellationToken);
    }

    private static async Task AssertAnswerAsync(GatewayServer server, string message) =>
        (await HttpPublisher.PostAsync(server, Messages.HttpBody("/chat/a", "1"))).AssertError(403, "HandlerExecutionError", message);

    private static Task LoggedAsync(GatewayServer server, string text) => Deadline.WaitAsync(
        async token =>
        {
            while (!server.Log.Lines.Any(line => line.Level >= LogLevel.Information && line.Text.Contains(text, StringComparison.Ordinal)))
            {
                await Task.Delay(10, token); // a log tells nobody that it grew
            }
        },
        $"the line \"{text}\"");
}
