using Fanfare.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

/// <summary>A web host with the service defaults and nothing else, on a port of its own.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    private TestHost(WebApplication application)
    {
        Application = application;
        Client = new HttpClient { BaseAddress = new Uri(application.Urls.Single()) };
    }

    public WebApplication Application { get; }

    public HttpClient Client { get; }

    /// <summary>Builds without starting, for tests of the start itself.</summary>
    public static WebApplication Build(Dictionary<string, string?> configuration, Action<IServiceCollection>? configure = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(configuration);
        builder.WebHost.UseUrls(configuration.GetValueOrDefault("urls") ?? "http://127.0.0.1:0");
        builder.AddServiceDefaults("fanfare-test");
        configure?.Invoke(builder.Services);

        WebApplication application = builder.Build();
        application.MapDefaultEndpoints();
        application.MapGet("/hello", () => "hello");
        return application;
    }

    public static async Task<TestHost> StartAsync(
        Dictionary<string, string?>? configuration = null, Action<IServiceCollection>? configure = null)
    {
        WebApplication application = Build(configuration ?? [], configure);
        await application.StartAsync(TestContext.Current.CancellationToken);
        return new TestHost(application);
    }

    /// <summary>Gets a page: its status and its text.</summary>
    public async Task<(int Status, string Text)> GetAsync(string path)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        using HttpResponseMessage response = await Client.GetAsync(new Uri(path, UriKind.Relative), cancellationToken);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken));
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Application.DisposeAsync();
    }
}
