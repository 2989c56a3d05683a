using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>Handlers see what proves who somebody is; the log does not.</summary>
public sealed class SecretTests
{
    [Theory]
    [InlineData("console.log(ctx)")]
    [InlineData("console.log(ctx.request.headers['x-api-key'])")]
    [InlineData("console.error('the key is', ctx.request.headers)")]
    [InlineData("util.error(ctx.request.headers['x-api-key'], 'T' + ctx.request.headers['x-api-key'], ctx.request.headers, ctx)")]
    [InlineData("ctx.nothing[ctx.request.headers['x-api-key']].more")]
    [InlineData("ctx.stash.missing[`${ctx.request.headers['x-api-key']}`]()")]
    public async Task What_a_handler_logs_of_credentials_is_masked(string statement)
    {
        await using var fixture = await HandlerFixture.StartAsync(
            $"export const onPublish = (ctx) => {{ {statement}; return ctx.events }}\nexport const onSubscribe = (ctx) => {{ {statement} }}");
        await using var socket = await fixture.ConnectAsync();

        await fixture.PostAsync("/chat/a", "1");
        await HandlerFixture.PublishAsync(socket, "p", "/chat/a", "1");
        await HandlerFixture.SubscribeAsync(socket, "s", "/chat/a");

        var lines = fixture.Server.Log.Entries.Where(line => line.Category == "Fanfare.Api").ToList();
        Assert.True(lines.Count >= 3, "The handlers logged nothing.");
        Assert.DoesNotContain(lines, line => line.Text.Contains(Credentials.ApiKey, StringComparison.Ordinal)
            || line.Values.Contains(Credentials.ApiKey, StringComparison.Ordinal)
            || line.Text.Contains(Credentials.HeaderProtocol(Credentials.KeyAuthorization()), StringComparison.Ordinal));
    }
}
