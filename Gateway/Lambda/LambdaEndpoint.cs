using System.Buffers;
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
    private const int FirstReadBytes = 16 * 1024;

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
            return await ReadAsync(response.Content, cancellationToken) is { } body
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

    // An invoker hands the answer out as soon as its head is there, so the body comes through here alone.
    private static async Task<byte[]?> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        if (content.Headers.ContentLength > ResponseBytesMax)
        {
            return null;
        }

        await using var stream = await content.ReadAsStreamAsync(cancellationToken);
        var buffer = ArrayPool<byte>.Shared.Rent((int)(content.Headers.ContentLength + 1 ?? FirstReadBytes));
        try
        {
            var length = 0;
            while (true)
            {
                var read = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken);
                if (read == 0)
                {
                    return buffer.AsSpan(0, length).ToArray();
                }

                length += read;
                if (length > ResponseBytesMax)
                {
                    return null;
                }

                if (length == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(2 * length);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
                    buffer = larger;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
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
