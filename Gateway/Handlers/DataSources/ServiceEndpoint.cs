using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Fanfare.Gateway.Signing;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary>What a service answered: an HTTP answer that was read to its end, or why there is none.</summary>
internal sealed class ServiceReply
{
    /// <summary>Why there is no answer.</summary>
    public DataSourceFault Fault { get; init; }

    /// <summary>The status.</summary>
    public int Status { get; init; }

    /// <summary>The headers, several values of one name joined by commas.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>The body.</summary>
    public byte[] Body { get; init; } = [];

    /// <summary>Whether there is an answer, and a good one.</summary>
    public bool IsSuccess => Fault == DataSourceFault.None && Status is >= 200 and < 300;
}

/// <summary>One request of a service.</summary>
/// <param name="Method">The method.</param>
/// <param name="Target">Path and query, with a slash in front, encoded.</param>
/// <param name="Body">The body; empty for none.</param>
internal sealed record ServiceRequest(HttpMethod Method, string Target, ReadOnlyMemory<byte> Body)
{
    /// <summary>The headers, that of the content's type among them.</summary>
    public List<KeyValuePair<string, string>> Headers { get; } = [];

    /// <summary>Whether the request may be sent again where it is unknown if it was carried out.</summary>
    public bool IsRepeatable { get; init; }

    /// <summary>Whether every answer is a result, also one that says that the service failed.</summary>
    public bool TakesAnyStatus { get; init; }
}

/// <summary>A service at an address, over connections that all data sources share, signed where there are credentials.</summary>
/// <remarks>
/// Tried again, after a growing pause: what surely was not carried out (no connection, or refused for want of capacity), and, once and
/// only where that does no harm, what the service failed at. Safe for concurrent use.
/// </remarks>
internal sealed class ServiceEndpoint(
    DataSourceHttp http, Uri address, SigV4Signer? signer, int responseBytesMax, TimeProvider timeProvider)
{
    /// <summary>How often a call is tried at most.</summary>
    public const int AttemptsMax = 3;

    private const int TooManyRequests = (int)HttpStatusCode.TooManyRequests;
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(100);
    private readonly string _base = address.GetLeftPart(UriPartial.Path).TrimEnd('/');

    /// <summary>How long to wait after an attempt, the first one being 1.</summary>
    public static TimeSpan GetPause(int attempt) => s_firstPause * (1 << (attempt - 1));

    /// <summary>Sends a request until there is an answer.</summary>
    /// <exception cref="InvalidRequestException">Its target leads to another host.</exception>
    public async Task<ServiceReply> SendAsync(ServiceRequest request, CancellationToken cancellationToken)
    {
        if (!Uri.TryCreate(_base + request.Target, UriKind.Absolute, out var target) || target.Authority != address.Authority
            || target.UserInfo != address.UserInfo)
        {
            throw new InvalidRequestException("the path is no path");
        }

        var mayRepeat = request.IsRepeatable;
        for (var attempt = 1; ; attempt++)
        {
            using var message = CreateMessage(request, target);
            signer?.Sign(message, request.Body.Span);
            var reply = await http.SendAsync(message, responseBytesMax, cancellationToken);
            if (attempt == AttemptsMax || !IsWorthAnother(request, reply, ref mayRepeat))
            {
                return reply;
            }

            await Task.Delay(GetPause(attempt), timeProvider, cancellationToken);
        }
    }

    private static bool IsWorthAnother(ServiceRequest request, ServiceReply reply, ref bool mayRepeat)
    {
        if (reply.Fault == DataSourceFault.Unreachable)
        {
            return true;
        }

        if (reply.Fault == DataSourceFault.None && (request.TakesAnyStatus || reply.IsSuccess))
        {
            return false;
        }

        if (reply.Fault == DataSourceFault.None && (reply.Status == TooManyRequests || ServiceError.IsThrottling(ServiceError.Read(reply).Type)))
        {
            return true;
        }

        var isServiceFault = reply.Fault == DataSourceFault.Disconnected || reply.Status >= 500;
        var again = isServiceFault && mayRepeat;
        mayRepeat = false;
        return again;
    }

    private static HttpRequestMessage CreateMessage(ServiceRequest request, Uri target)
    {
        var message = new HttpRequestMessage(request.Method, target);
        if (!request.Body.IsEmpty)
        {
            message.Content = new ReadOnlyMemoryContent(request.Body);
        }

        foreach (var (name, value) in request.Headers)
        {
            // Headers of the content are refused among the others.
            if (!message.Headers.TryAddWithoutValidation(name, value))
            {
                message.Content?.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return message;
    }
}

/// <summary>The connections of all data sources: one pool, by host.</summary>
/// <remarks>Safe for concurrent use.</remarks>
internal sealed class DataSourceHttp : IDisposable
{
    // Enough for a burst of every data source at one host; more of them wait for a free connection, within their timeouts.
    private const int ConnectionsMax = 256;

    // Addresses behind a host name change; the pool looks again this often.
    private static readonly TimeSpan s_connectionLifetime = TimeSpan.FromMinutes(5);

    private readonly HttpMessageInvoker _invoker;

    public DataSourceHttp()
    {
        Handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            MaxConnectionsPerServer = ConnectionsMax,
            PooledConnectionLifetime = s_connectionLifetime,
            RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
            UseCookies = false,
        };
        _invoker = new HttpMessageInvoker(Handler, disposeHandler: true);
    }

    /// <summary>The pool, for clients that bring their own requests.</summary>
    public SocketsHttpHandler Handler { get; }

    /// <summary>Sends a request once, and reads the answer through a limit.</summary>
    public async Task<ServiceReply> SendAsync(HttpRequestMessage message, int responseBytesMax, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _invoker.SendAsync(message, cancellationToken);

            // To HEAD, the length is that of a body that does not come.
            var body = message.Method == HttpMethod.Head
                ? []
                : await BoundedContent.ReadAsync(response.Content, responseBytesMax, cancellationToken);
            if (body is null)
            {
                return new ServiceReply { Fault = DataSourceFault.ResponseTooLarge, Status = (int)response.StatusCode };
            }

            var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            Add(headers, response.Headers.NonValidated);
            Add(headers, response.Content.Headers.NonValidated);
            return new ServiceReply { Status = (int)response.StatusCode, Headers = headers, Body = body };
        }
        catch (HttpRequestException exception)
        {
            return new ServiceReply { Fault = GetFault(exception) };
        }
        catch (IOException)
        {
            return new ServiceReply { Fault = DataSourceFault.Disconnected };
        }
    }

    /// <summary>What a failed request means.</summary>
    public static DataSourceFault GetFault(HttpRequestException exception) => exception.HttpRequestError is HttpRequestError.ConnectionError
        or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError
        ? DataSourceFault.Unreachable
        : DataSourceFault.Disconnected;

    /// <inheritdoc/>
    public void Dispose() => _invoker.Dispose();

    private static void Add(Dictionary<string, string> all, HttpHeadersNonValidated headers)
    {
        foreach (var (name, values) in headers)
        {
            all[name] = values.ToString();
        }
    }
}

/// <summary>How the JSON services of AWS say that something went wrong.</summary>
internal static class ServiceError
{
    private const int TypeLengthMax = 128;
    private const int MessageLengthMax = 1000;

    /// <summary>Reads type and message; every part may be missing.</summary>
    public static (string Type, string Message) Read(ServiceReply reply)
    {
        using var document = JsonValues.ParseObject(reply.Body);
        var type = reply.Headers.GetValueOrDefault("x-amzn-ErrorType") ?? Find(document, "__type") ?? Find(document, "code");
        var message = Find(document, "message") ?? Find(document, "Message") ?? Find(document, "errorMessage");
        return (CleanType(type) ?? $"Http{reply.Status}", Shorten(message) ?? $"The service answered with the status {reply.Status}.");
    }

    /// <summary>Whether an error says that nothing was done for want of capacity.</summary>
    public static bool IsThrottling(string type) => type is "ThrottlingException" or "Throttling" or "ThrottledException"
        or "TooManyRequestsException" or "RequestLimitExceeded" or "ProvisionedThroughputExceededException" or "LimitExceededException";

    /// <summary>Keeps the bare name: services put a namespace in front or an address behind.</summary>
    public static string? CleanType(string? type)
    {
        if (string.IsNullOrEmpty(type))
        {
            return null;
        }

        var name = type[(type.LastIndexOf('#') + 1)..];
        name = name.Split(':')[0];
        return name.Length is > 0 and <= TypeLengthMax && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_') ? name : null;
    }

    private static string? Shorten(string? text) =>
        text is null || text.Length <= MessageLengthMax ? text : string.Concat(text.AsSpan(0, MessageLengthMax), "…");

    private static string? Find(JsonDocument? document, string name)
    {
        try
        {
            return document is not null && document.RootElement.TryGetProperty(name, out var value)
                && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate: no text.
            return null;
        }
    }
}
