using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Connections;

/// <summary>An upgrade that is answered.</summary>
/// <param name="Api">The API that it reached.</param>
/// <param name="Origin">Where it comes from.</param>
/// <param name="Accept">Its <c>Sec-WebSocket-Accept</c>.</param>
/// <param name="IsProtocolOffered">Whether the answer selects the subprotocol.</param>
/// <param name="Began">When it came; a timestamp.</param>
internal readonly record struct AcceptedUpgrade(ServedApi Api, RequestOrigin Origin, string Accept, bool IsProtocolOffered, long Began);

/// <summary>The answer to a WebSocket's upgrade (RFC 6455, section 4.2.2), with what every answer of the gateway carries.</summary>
internal static class UpgradeAnswer
{
    private static readonly byte[] s_end = Encoding.ASCII.GetBytes(string.Concat(
        "\r\nx-amzn-appsync-TokensConsumed: 1\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: ",
        HttpReply.ExposedHeaders, "\r\n\r\n"));

    /// <summary>Encodes the answer, whose owner the caller becomes.</summary>
    public static PooledFrame Encode(in AcceptedUpgrade upgrade)
    {
        var builder = new FrameBuilder(512);
        builder.Append("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "u8);
        Append(ref builder, upgrade.Accept);
        if (upgrade.IsProtocolOffered)
        {
            // Never the "header-…" that came with it: that would reflect a credential.
            builder.Append("\r\nSec-WebSocket-Protocol: "u8);
            Append(ref builder, ConnectRequest.Subprotocol);
        }

        builder.Append("\r\nx-amzn-RequestId: "u8);
        Append(ref builder, upgrade.Origin.RequestId);
        builder.Append(s_end);
        return builder.CompletePayload();
    }

    private static void Append(ref FrameBuilder builder, string ascii)
    {
        Span<byte> bytes = stackalloc byte[ascii.Length];
        Encoding.ASCII.GetBytes(ascii, bytes);
        builder.Append(bytes);
    }
}
