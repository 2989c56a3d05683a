using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Fanfare.Handlers;

/// <summary>The function behind <c>DIRECT</c> handlers: a process with the Invoke API that gives the events of a publish back.</summary>
internal static class FunctionServer
{
    /// <summary>The path that tells how many calls have come to their end.</summary>
    public const string CountPath = "/count";

    /// <summary>Serves until the process is ended.</summary>
    public static async Task RunAsync(int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var application = builder.Build();
        application.Urls.Add($"http://127.0.0.1:{port}");
        long count = 0;
        application.MapGet("/health", () => "");
        application.MapGet(CountPath, () => Interlocked.Read(ref count).ToString(CultureInfo.InvariantCulture));
        application.MapPost("/2015-03-31/functions/{name}/invocations", async (HttpContext context) =>
        {
            using var document = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
            Interlocked.Increment(ref count);
            if (context.Request.Headers["X-Amz-Invocation-Type"] == "Event")
            {
                context.Response.StatusCode = StatusCodes.Status202Accepted;
                return;
            }

            await using var writer = new Utf8JsonWriter(context.Response.BodyWriter);
            writer.WriteStartObject();
            writer.WritePropertyName("events");
            document.RootElement.GetProperty("events").WriteTo(writer);
            writer.WriteEndObject();
        });
        await application.RunAsync();
    }
}
