using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>Publishes over HTTP with an ordinary client.</summary>
public static class HttpPublisher
{
    private static readonly HttpClient s_client = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false })
    {
        Timeout = Timeout.InfiniteTimeSpan, // every wait has a deadline of its own
    };

    /// <summary>Posts a body to <c>/event</c> with the test key.</summary>
    public static Task<HttpAnswer> PostAsync(GatewayServer server, string body, params (string Name, string Value)[] headers) =>
        SendAsync(server, HttpMethod.Post, "/event", Encoding.UTF8.GetBytes(body), [("x-api-key", Credentials.ApiKey), .. headers]);

    /// <summary>Sends any request; a body is <c>application/json</c> unless a header says otherwise.</summary>
    public static async Task<HttpAnswer> SendAsync(
        GatewayServer server, HttpMethod method, string path, byte[]? body, params (string Name, string Value)[] headers)
    {
        ArgumentNullException.ThrowIfNull(server);
        using var request = new HttpRequestMessage(method, new Uri(server.Address, path));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        foreach (var (name, value) in headers)
        {
            if (name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase))
            {
                request.Content!.Headers.Remove(name);
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
            else
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return await Deadline.WaitAsync(
            async token =>
            {
                using var response = await s_client.SendAsync(request, token);
                var text = await response.Content.ReadAsStringAsync(token);
                var all = response.Headers.Concat(response.Content.Headers)
                    .SelectMany(header => header.Value.Select(value => (header.Key, value)))
                    .ToList();
                return new HttpAnswer((int)response.StatusCode, all, text);
            },
            $"an answer to {method} {path}");
    }
}

/// <summary>The answer to a publish over HTTP.</summary>
public sealed record HttpAnswer(int Status, IReadOnlyList<(string Name, string Value)> Headers, string Body)
{
    /// <summary>The body as a JSON object.</summary>
    public JsonObject Json => JsonNode.Parse(Body)!.AsObject();

    /// <summary>A header's value, several joined by a comma; <see langword="null"/> where it is missing.</summary>
    public string? Header(string name)
    {
        var values = Headers.Where(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).ToList();
        return values.Count == 0 ? null : string.Join(", ", values.Select(header => header.Value));
    }

    /// <summary>Asserts an error in the protocol's shape, in body and headers alike.</summary>
    public WireError AssertError(int status, string errorType)
    {
        Assert.True(Status == status, $"expected {status} {errorType}, got {Status}: {Body}");
        var error = WireError.Of(Json);
        Assert.Equal(errorType, error.ErrorType);
        Assert.Equal(errorType, Header("x-amzn-errortype"));
        Assert.True(Guid.TryParse(Header("x-amzn-RequestId"), out _), "x-amzn-RequestId is no UUID");
        Assert.StartsWith("application/json", Header("Content-Type"), StringComparison.Ordinal);
        Assert.Equal("*", Header("Access-Control-Allow-Origin"));
        return error;
    }

    /// <summary>Asserts an error with its text; <see langword="null"/> where it must have none.</summary>
    public void AssertError(int status, string errorType, string? message) =>
        Assert.Equal(message, AssertError(status, errorType).Message);
}
