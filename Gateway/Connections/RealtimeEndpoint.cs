using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Transport;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Fanfare.Gateway.Connections;

/// <summary><c>/event/realtime</c>: turns an upgrade request into a <see cref="Connection"/>.</summary>
/// <remarks>
/// Serves HTTP/1.1 upgrades (RFC 6455, section 4.2) and HTTP/2 extended CONNECT (RFC 8441), which browsers use where the page
/// already has an HTTP/2 connection to the gateway. No extension is negotiated. Where there are event loops, plain upgrades do not
/// come here (<see cref="RealtimeSocket"/>); TLS, HTTP/2 and all that is refused do.
/// </remarks>
internal sealed class RealtimeEndpoint(ApiDirectory apis, ConnectionServices services, Admission admission)
{
    private const string WebSocketVersion = "13";

    private static readonly ProtocolError s_upgradeRequired =
        new("BadRequestException", "This path takes WebSocket upgrades (RFC 6455, version 13)", StatusCodes.Status426UpgradeRequired);

    private static readonly ProtocolError s_malformedUpgrade =
        new("BadRequestException", "The WebSocket upgrade is malformed", StatusCodes.Status400BadRequest);

    /// <summary>Answers one request to <c>/event/realtime</c>; for an upgrade, returns when the WebSocket has ended.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var response = context.Response;
        var requestId = RandomUuid.Create();
        HttpReply.AddHeaders(response.Headers, requestId);
        var connect = context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: "websocket" } extended
            ? extended
            : null;
        if (connect is null && context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true })
        {
            response.Headers.Upgrade = "websocket";
            await HttpReply.WriteErrorAsync(response, s_upgradeRequired);
            return;
        }

        if (context.Request.Headers.SecWebSocketVersion != WebSocketVersion)
        {
            response.Headers.SecWebSocketVersion = WebSocketVersion;
            await HttpReply.WriteErrorAsync(response, s_upgradeRequired);
            return;
        }

        var key = context.Request.Headers.SecWebSocketKey.ToString();
        if (connect is null && (!IsWebSocketUpgrade(context.Request.Headers) || !IsValidKey(key)))
        {
            await HttpReply.WriteErrorAsync(response, s_malformedUpgrade);
            return;
        }

        var began = services.TimeProvider.GetTimestamp();
        var api = apis.Find(HostNames.WithoutPort(context.Request.Headers.Host));
        if (services.FanOut.IsDraining)
        {
            // Rather than accepted and closed: Amplify tries a refused handshake again within a second, and a proxy can pass it to
            // another gateway; a connection that was closed is missed for five seconds.
            services.Metrics.Connects.Add(1, new("api", api.Model.Id), new("outcome", "server_error"));
            await HttpReply.WriteErrorAsync(response, ProtocolError.Unavailable);
            return;
        }

        var origin = new RequestOrigin(requestId.ToString(), context.Connection.RemoteIpAddress, context.Request.Headers);
        var request = ConnectRequest.Read(context.Request.Headers.SecWebSocketProtocol, origin, context.Request.Query["header"]);
        var rejection = await admission.AdmitAsync(api, request, origin, context.RequestAborted);

        LiftRequestLimits(context.Features);
        if (request.IsProtocolOffered)
        {
            // Never the "header-…" that came with it: that would reflect a credential.
            response.Headers.SecWebSocketProtocol = ConnectRequest.Subprotocol;
        }

        services.FanOut.ConnectionBegins();
        try
        {
            await using var stream = await AcceptAsync(context, connect, key);
            services.Metrics.HandshakeDuration.Record(
                services.TimeProvider.GetElapsedTime(began).TotalSeconds, api.Metrics.Tags);
            var transport = new StreamTransport(stream, context.Abort);
            var connection = new Connection(
                services, api, origin, services.FanOut.AssignShard(), transport, rejection, context.RequestAborted);
            await connection.RunAsync(transport);
        }
        finally
        {
            services.FanOut.ConnectionEnded();
        }
    }

    private static bool IsWebSocketUpgrade(IHeaderDictionary headers) =>
        headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase);

    private static bool IsValidKey(string key)
    {
        Span<byte> nonce = stackalloc byte[16];
        return key.Length == 24 && Convert.TryFromBase64String(key, nonce, out var length) && length == nonce.Length;
    }

    private static void LiftRequestLimits(IFeatureCollection features)
    {
        // A WebSocket is one long request whose body may pause for hours; what it sends is bounded message by message.
        if (features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } bodySize)
        {
            bodySize.MaxRequestBodySize = null;
        }

        if (features.Get<IHttpMinRequestBodyDataRateFeature>() is { } requestRate)
        {
            requestRate.MinDataRate = null;
        }

        if (features.Get<IHttpMinResponseDataRateFeature>() is { } responseRate)
        {
            responseRate.MinDataRate = null;
        }
    }

    private static async Task<Stream> AcceptAsync(HttpContext context, IHttpExtendedConnectFeature? connect, string key)
    {
        if (connect is not null)
        {
            return await connect.AcceptAsync();
        }

        context.Response.Headers.Upgrade = "websocket";
        context.Response.Headers.SecWebSocketAccept = Admission.ComputeAccept(Encoding.ASCII.GetBytes(key));
        return await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
    }
}
