using System.ComponentModel;
using System.Diagnostics;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Lambda;

/// <summary>A function in Node as users write them, behind a server that speaks the Invoke API.</summary>
public sealed class NodeAuthorizerTests
{
    private const string Prefix = "listening on ";

    [Fact]
    public async Task Tenants_reach_their_own_channels_and_no_others()
    {
        using var node = Start();
        var rest = Task.FromResult(""); // what it prints is read, so that it never waits for a reader
        try
        {
            var line = await Deadline.WaitAsync(async token => await node.StandardOutput.ReadLineAsync(token), "the function's address");
            Assert.StartsWith(Prefix, line, StringComparison.Ordinal);
            rest = node.StandardOutput.ReadToEndAsync(CancellationToken.None);
            await using var fixture = await AuthorizerFixture.StartAsync(new Uri(line![Prefix.Length..]));
            await using var socket = await fixture.OpenAsync();

            Assert.Equal("connection_ack", (string?)(await fixture.ConnectAsync("token-of-acme"))["type"]);
            WireError.AssertReply(await fixture.ConnectAsync("unknown"), "connection_error", null, "UnauthorizedException");
            var crash = WireError.AssertReply(
                await fixture.ConnectAsync("token-that-crashes"), "connection_error", null, "AuthorizerFailureException");
            Assert.Equal("tenants is not a function", crash.Message);

            Assert.Equal(200, (await fixture.PostAsync("token-of-acme", "/chat/acme/a")).Status);
            Assert.Equal(200, (await fixture.PostAsync("token-of-acme", "chat/acme/a/")).Status);
            (await fixture.PostAsync("token-of-acme", "/chat/zeta")).AssertError(401, "UnauthorizedException");
            Assert.Equal(
                "subscribe_success",
                (string?)(await AuthorizerFixture.SubscribeAsync(socket, "1", "token-of-zeta", "/chat/zeta/*"))["type"]);
            WireError.AssertReply(
                await AuthorizerFixture.SubscribeAsync(socket, "2", "token-of-zeta", "/chat/*"), "subscribe_error", "2", "UnauthorizedException");
            Assert.Equal(
                "publish_success", (string?)(await AuthorizerFixture.PublishAsync(socket, "3", "token-of-acme", "/chat/acme"))["type"]);
        }
        finally
        {
            node.Kill();
            await node.WaitForExitAsync(CancellationToken.None);
            await rest;
        }
    }

    private static Process Start()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "Cluster.sln")))
        {
            root = root.Parent;
        }

        var folder = Path.Combine(root!.FullName, "tests", "clients", "lambda");
        try
        {
            return Process.Start(new ProcessStartInfo("node", ["server.mjs", "authorizer.cjs"])
            {
                WorkingDirectory = folder,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("Node is not installed.");
            throw;
        }
    }
}
