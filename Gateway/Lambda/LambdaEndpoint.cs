using System.Net;
using System.Net.Http.Headers;

namespace Fanfare.Gateway.Lambda;

/// <summary>One host that functions are called at: its pooled connections, and its turn where it can do one thing at a time.</summary>
/// <remarks>Safe for concurrent use.</remarks>
internal sealed class LambdaEndpoint(bool isSerial) : IDisposable
{
    /// <summary>The greatest answer that is read: what Lambda allows a function to return.</summary>
    public const int ResponseBytesMax = 6 * 1024 * 1024;

    // Enough for a burst of connects; more of them wait for a free connection, within their timeouts.
    private const int ConnectionsMax = 256;

    // Addresses behind a host name change; the pool looks again this often.
    private static readonly TimeSpan s_connectionLifetime = TimeSpan.FromMinutes(5);

    private readonly SemaphoreSlim? _turn = isSerial ? new SemaphoreSlim(1) : null;
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        MaxConnectionsPerServer = ConnectionsMax,
        PooledConnectionLifetime = s_connectionLifetime,
        UseCookies = false,
    });

    /// <summary>Posts an event once.</summary>
    /// <param name="request">The request; disposed by the caller.</param>
    /// <param name="kind">What is at the address.</param>
    /// <param name="type">How the function is called.</param>
    /// <param name="cancellationToken">Ends the call, the wait for its turn included.</param>
    public async Task<LambdaResult> SendAsync(
        HttpRequestMessage request, LambdaTargetKind kind, LambdaInvocationType type, CancellationToken cancellationToken)
    {
        if (_turn is null)
        {
            return await SendCoreAsync(request, kind, type, cancellationToken);
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            return await SendCoreAsync(request, kind, type, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _http.Dispose();
        _turn?.Dispose();
    }

    private async Task<LambdaResult> SendCoreAsync(
        HttpRequestMessage request, LambdaTargetKind kind, LambdaInvocationType type, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _http.SendAsync(request, cancellationToken);
            // An invoker hands the answer out as soon as its head is there, so the body comes through here alone.
            return await BoundedContent.ReadAsync(response.Content, ResponseBytesMax, cancellationToken) is { } body
                ? LambdaResponse.Interpret(kind, type, response, body)
                : LambdaResult.Failed(new LambdaFailure(LambdaFailureKind.ResponseTooLarge) { Status = (int)response.StatusCode });
        }
        catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.ConnectionError
            or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError)
        {
            return LambdaResult.Failed(new LambdaFailure(LambdaFailureKind.Unreachable));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return LambdaResult.Failed(new LambdaFailure(LambdaFailureKind.Disconnected));
        }
    }

    /// <summary>Makes the request of a call.</summary>
    public static HttpRequestMessage CreateRequest(LambdaTarget target, in LambdaInvocation invocation)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, target.GetInvokeAddress(invocation.Function))
        {
            // The emulator speaks nothing newer.
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ReadOnlyMemoryContent(invocation.Payload),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        if (target.Kind == LambdaTargetKind.Lambda)
        {
            request.Headers.Add("X-Amz-Invocation-Type", invocation.Type.ToString());
        }

        return request;
    }
}
