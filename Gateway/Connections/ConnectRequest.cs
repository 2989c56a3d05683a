using System.Buffers.Text;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Protocol;
using Microsoft.Extensions.Primitives;

namespace Fanfare.Gateway.Connections;

/// <summary>What a WebSocket's upgrade request says: the subprotocol and who asks.</summary>
/// <param name="IsProtocolOffered">Whether <see cref="Subprotocol"/> is among the subprotocols.</param>
/// <param name="Credentials">The credentials, if they can be read.</param>
/// <param name="Error">What is wrong with the request itself, or <see langword="null"/>.</param>
internal readonly record struct ConnectRequest(bool IsProtocolOffered, Credentials Credentials, ProtocolError? Error)
{
    /// <summary>The subprotocol that clients offer and the gateway selects.</summary>
    public const string Subprotocol = "aws-appsync-event-ws";

    private const string CredentialsPrefix = "header-";

    // Room for the longest session tokens; request headers as a whole are bounded by the server.
    private const int EncodedLengthMax = 32 * 1024;

    /// <summary>Reads the request.</summary>
    /// <param name="subprotocols">The values of <c>Sec-WebSocket-Protocol</c>.</param>
    /// <param name="origin">The request's headers.</param>
    /// <param name="fromQuery">The query's <c>header</c>; <see langword="null"/> or empty where there is none.</param>
    /// <remarks>
    /// Credentials come, in this order of precedence, from a second subprotocol <c>header-{base64url JSON}</c> (browsers and most
    /// clients), from real HTTP headers (AWS's Android and Swift libraries), or from the query's <c>header</c> (the GraphQL scheme).
    /// </remarks>
    public static ConnectRequest Read(StringValues subprotocols, RequestOrigin origin, string? fromQuery)
    {
        var (isOffered, encoded) = ReadSubprotocols(subprotocols);
        if (!isOffered)
        {
            return new ConnectRequest(false, default, ProtocolError.NoProtocol);
        }

        if (encoded is null)
        {
            var fromHeaders = Credentials.FromHeaders(origin.Headers);
            if (fromHeaders.ApiKey.Length > 0 || fromHeaders.Authorization.Length > 0)
            {
                return new ConnectRequest(true, fromHeaders, null);
            }

            encoded = string.IsNullOrEmpty(fromQuery) ? null : fromQuery;
        }

        if (encoded is null)
        {
            return new ConnectRequest(true, default, ProtocolError.Unauthorized);
        }

        return TryDecode(encoded, out var credentials) && !string.IsNullOrEmpty(credentials.GetHeader("host"))
            ? new ConnectRequest(true, credentials, null)
            : new ConnectRequest(true, default, ProtocolError.MalformedConnectAuthorization);
    }

    private static (bool IsOffered, string? Encoded) ReadSubprotocols(StringValues headers)
    {
        var isOffered = false;
        string? encoded = null;
        foreach (var header in headers)
        {
            foreach (var range in header.AsSpan().Split(','))
            {
                var subprotocol = header.AsSpan()[range].Trim();
                if (subprotocol.SequenceEqual(Subprotocol))
                {
                    isOffered = true;
                }
                else if (encoded is null && subprotocol.StartsWith(CredentialsPrefix, StringComparison.Ordinal))
                {
                    encoded = subprotocol[CredentialsPrefix.Length..].ToString();
                }
            }
        }

        return (isOffered, encoded);
    }

    private static bool TryDecode(string encoded, out Credentials credentials)
    {
        credentials = default;
        if (encoded.Length > EncodedLengthMax)
        {
            return false;
        }

        // Some clients write the standard alphabet, with padding or without.
        var normalized = encoded.Replace('+', '-').Replace('/', '_').TrimEnd('=');
        var json = new byte[Base64Url.GetMaxDecodedLength(normalized.Length)];
        return Base64Url.IsValid(normalized)
            && Base64Url.TryDecodeFromChars(normalized, json, out var length)
            && System.Text.Unicode.Utf8.IsValid(json.AsSpan(0, length))
            && length > 0
            && Credentials.TryParse(json.AsMemory(0, length), out credentials);
    }
}
