using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Fanfare.Micro;

/// <summary>What a gateway asks over HTTP before it can answer from memory: a user pool, an OpenID provider, an authorizer function.</summary>
internal sealed class Outside : IAsyncDisposable
{
    /// <summary>The user pool.</summary>
    public const string PoolId = "eu-west-1_Ab12Cd34E";

    private readonly WebApplication _application;

    private Outside(WebApplication application) => _application = application;

    /// <summary>Where it listens, without a slash at the end.</summary>
    public string Address { get; private set; } = "";

    /// <summary>The <c>iss</c> of the pool's tokens.</summary>
    public string PoolIssuer => $"{Address}/{PoolId}";

    /// <summary>The <c>iss</c> of the OpenID provider's tokens.</summary>
    public string OpenIdIssuer => Address + "/oidc";

    /// <summary>The address of the authorizer function, which allows everything.</summary>
    public string Function => Address + "/function";

    /// <summary>Signs the pool's tokens.</summary>
    public TokenSigner PoolSigner { get; } = new(RSA.Create(2048), "pool-key-1");

    /// <summary>Signs the OpenID provider's tokens.</summary>
    public TokenSigner OpenIdSigner { get; } = new(ECDsa.Create(ECCurve.NamedCurves.nistP256), "openid-key-1");

    /// <summary>Starts it on a port of its own.</summary>
    public static async Task<Outside> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        var outside = new Outside(builder.Build());
        outside._application.Run(outside.AnswerAsync);
        await outside._application.StartAsync();
        outside.Address = outside._application.Urls.Single();
        return outside;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        PoolSigner.Dispose();
        OpenIdSigner.Dispose();
    }

    private Task AnswerAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(context.Request.Path.Value switch
        {
            "/function" => """{"isAuthorized":true,"handlerContext":{"tenant":"eu-42"},"ttlOverride":3600}""",
            "/oidc/.well-known/openid-configuration" => $$"""{"issuer":"{{OpenIdIssuer}}","jwks_uri":"{{OpenIdIssuer}}/keys"}""",
            "/oidc/keys" => OpenIdSigner.ToKeySet(),
            _ => PoolSigner.ToKeySet(),
        });
    }
}
