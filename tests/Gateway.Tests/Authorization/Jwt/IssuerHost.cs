using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>An issuer over real HTTP: a Cognito with any pool, and an OpenID provider. It counts, rotates, stalls and dies as told.</summary>
public sealed class IssuerHost : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly ConcurrentQueue<string> _requests = [];
    private readonly SemaphoreSlim _arrived = new(0);
    private TaskCompletionSource? _gate;

    private IssuerHost(WebApplication application) => _application = application;

    /// <summary>Where it listens, without a slash at the end.</summary>
    public string Address { get; private set; } = "";

    /// <summary>The issuer of an OpenID provider.</summary>
    public string Issuer => Address + "/oidc";

    /// <summary>The JWK set that it answers with.</summary>
    public string KeySet { get; set; } = TestSigner.KeySetOf(TestSigner.Rsa, TestSigner.Ec);

    /// <summary>The discovery document; by default the right one.</summary>
    public string? Discovery { get; set; }

    /// <summary>The status of every answer.</summary>
    public int Status { get; set; } = 200;

    /// <summary>The paths asked for so far.</summary>
    public IReadOnlyCollection<string> Requests => _requests;

    /// <summary>How often keys were asked for.</summary>
    public int KeyRequests => _requests.Count(path => path.EndsWith("jwks.json", StringComparison.Ordinal));

    /// <summary>Starts a host on a port of its own.</summary>
    public static async Task<IssuerHost> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        var host = new IssuerHost(builder.Build());
        host._application.Run(host.AnswerAsync);
        await host._application.StartAsync(TestContext.Current.CancellationToken);
        host.Address = host._application.Urls.Single();
        return host;
    }

    /// <summary>Lets requests arrive and keeps them waiting.</summary>
    public void Stall() => _gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Answers what waits, and everything from now on.</summary>
    public void Resume() => Interlocked.Exchange(ref _gate, null)?.TrySetResult();

    /// <summary>Waits until one more request has arrived.</summary>
    public Task ArrivedAsync() => Deadline.WaitAsync(async token => await _arrived.WaitAsync(token), "a request at the issuer");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Resume();
        await _application.DisposeAsync();
        _arrived.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        _requests.Enqueue(path);
        _arrived.Release();
        if (_gate is { } gate)
        {
            await gate.Task.WaitAsync(context.RequestAborted);
        }

        context.Response.StatusCode = Status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(
            path.EndsWith("jwks.json", StringComparison.Ordinal) ? KeySet
                : Discovery ?? $$"""{"issuer":"{{Issuer}}","jwks_uri":"{{Address}}/oidc/jwks.json"}""",
            context.RequestAborted);
    }
}
