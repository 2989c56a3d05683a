using System.Security.Cryptography;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Connections;

/// <summary>Decides whether a connect is let in, whichever way it came: limits, then credentials.</summary>
internal sealed class Admission(ConnectionServices services)
{
    /// <summary>Decides.</summary>
    /// <returns>Why the connect is refused, or <see langword="null"/>.</returns>
    public async ValueTask<ProtocolError?> AdmitAsync(
        ServedApi api, ConnectRequest request, RequestOrigin origin, CancellationToken cancellationToken)
    {
        var rejection = request.Error ?? await AuthorizeAsync(api, request, origin, cancellationToken);
        services.Log.Operation(api, origin.RequestId, "EVENT_CONNECT", rejection);
        services.Metrics.Connects.Add(1, new("api", api.Model.Id), new("outcome", rejection is null ? "success" : "client_error"));
        return rejection;
    }

    /// <summary>The <c>Sec-WebSocket-Accept</c> of a key.</summary>
    // RFC 6455, section 4.2.2, item 5.4: the protocol fixes SHA-1; nothing secret depends on it.
#pragma warning disable CA5350
    public static string ComputeAccept(ReadOnlySpan<byte> key)
    {
        Span<byte> text = stackalloc byte[key.Length + AcceptGuid.Length];
        key.CopyTo(text);
        AcceptGuid.CopyTo(text[key.Length..]);
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
        SHA1.HashData(text, hash);
        return Convert.ToBase64String(hash);
    }
#pragma warning restore CA5350

    private static ReadOnlySpan<byte> AcceptGuid => "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"u8;

    private async ValueTask<ProtocolError?> AuthorizeAsync(
        ServedApi api, ConnectRequest request, RequestOrigin origin, CancellationToken cancellationToken)
    {
        if (api.ConnectRate is { } rate && !rate.TryTake())
        {
            return ProtocolError.ConnectLimitExceeded;
        }

        var max = services.Limits.ConnectionsMax;
        if (max > 0 && services.FanOut.ConnectionCount >= max)
        {
            return ProtocolError.ConnectLimitExceeded;
        }

        var decision = await services.Authorizer.AuthorizeAsync(
            new AuthRequest
            {
                Api = api,
                Operation = AuthOperation.Connect,
                Credentials = request.Credentials,
                Content = SignedContent.Connect,
                Origin = origin,
            },
            cancellationToken);
        return decision.Error;
    }
}
