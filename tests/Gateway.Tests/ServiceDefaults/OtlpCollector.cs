using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

/// <summary>What arrived at a collector. The body is the bytes as Latin-1 text, so that strings in them can be found.</summary>
internal sealed record OtlpPost(string Path, IReadOnlyDictionary<string, string> Headers, string Body);

/// <summary>A collector of OTLP over HTTP that keeps what it is sent.</summary>
internal sealed class OtlpCollector : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly ConcurrentQueue<OtlpPost> _posts = [];

    private OtlpCollector()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _application = builder.Build();
        _application.Run(ReceiveAsync);
    }

    public string Endpoint => _application.Urls.Single();

    public IReadOnlyCollection<OtlpPost> Posts => _posts;

    public static async Task<OtlpCollector> StartAsync()
    {
        OtlpCollector collector = new();
        await collector._application.StartAsync(TestContext.Current.CancellationToken);
        return collector;
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task ReceiveAsync(HttpContext context)
    {
        using MemoryStream body = new();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        _posts.Enqueue(new OtlpPost(
            context.Request.Path,
            context.Request.Headers.ToDictionary(
                header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            Encoding.Latin1.GetString(body.ToArray())));
        context.Response.ContentType = "application/x-protobuf"; // an empty answer is a full success
    }
}
