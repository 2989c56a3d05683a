using System.Net;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization.Jwt;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary>What a request wants to do.</summary>
internal enum AuthOperation
{
    /// <summary>Open a WebSocket.</summary>
    Connect,

    /// <summary>Publish to a channel.</summary>
    Publish,

    /// <summary>Subscribe to a channel or pattern.</summary>
    Subscribe,
}

/// <summary>Where a request comes from: what stays the same for all messages of a WebSocket.</summary>
internal sealed class RequestOrigin
{
    private readonly byte[]? _upgrade;
    private IHeaderDictionary? _headers;

    /// <param name="requestId">The id that the client was told and that logs carry.</param>
    /// <param name="address">The client's address, or <see langword="null"/> where the transport has none.</param>
    /// <param name="headers">The HTTP headers of the publish or of the upgrade; valid while that request lasts.</param>
    public RequestOrigin(string requestId, IPAddress? address, IHeaderDictionary headers)
        : this(requestId, address) => _headers = headers;

    /// <param name="requestId">The id that the client was told and that logs carry.</param>
    /// <param name="address">The client's address.</param>
    /// <param name="upgrade">The <see cref="UpgradeRequest"/> that a WebSocket began with.</param>
    public RequestOrigin(string requestId, IPAddress? address, byte[] upgrade)
        : this(requestId, address) => _upgrade = upgrade;

    private RequestOrigin(string requestId, IPAddress? address) => (RequestId, Address) = (requestId, address);

    /// <summary>The id that the client was told and that logs carry.</summary>
    public string RequestId { get; }

    /// <summary>The client's address, or <see langword="null"/> where the transport has none.</summary>
    public IPAddress? Address { get; }

    /// <summary>The HTTP headers of the publish or of the upgrade; valid while that request lasts.</summary>
    /// <remarks>Of most connections nobody asks for them, and a dictionary is several times as large as the request's bytes.</remarks>
    public IHeaderDictionary Headers => _headers ??= ReadHeaders(_upgrade!);

    private static HeaderDictionary ReadHeaders(byte[] upgrade)
    {
        var headers = new HeaderDictionary();
        foreach (var (name, value) in UpgradeRequest.EnumerateHeaders(upgrade))
        {
            headers.Append(name, value);
        }

        return headers;
    }
}

/// <summary>The bytes that a Signature Version 4 signature covers besides headers (AppSync Events, "Signing").</summary>
internal readonly struct SignedContent
{
    private SignedContent(ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> channel, ReadOnlyMemory<byte> events, string query)
    {
        Body = body;
        Channel = channel;
        Events = events;
        Query = query;
    }

    /// <summary>The body of an HTTP publish, or <c>{}</c> for a connect; empty for WebSocket messages.</summary>
    public ReadOnlyMemory<byte> Body { get; }

    /// <summary>The JSON string token of a WebSocket message's <c>channel</c>, with quotes and escapes as sent; empty otherwise.</summary>
    public ReadOnlyMemory<byte> Channel { get; }

    /// <summary>The JSON of a WebSocket publish's <c>events</c> as sent; empty otherwise.</summary>
    public ReadOnlyMemory<byte> Events { get; }

    /// <summary>The raw query of an HTTP publish without the question mark; empty for everything else.</summary>
    public string Query { get; }

    /// <summary>A connect signs an empty object.</summary>
    public static SignedContent Connect { get; } = new("{}"u8.ToArray(), default, default, "");

    /// <summary>An HTTP publish signs its body.</summary>
    public static SignedContent HttpPublish(ReadOnlyMemory<byte> body, string query) => new(body, default, default, query);

    /// <summary>A WebSocket message signs channel and events, which are taken apart by now.</summary>
    public static SignedContent Message(ReadOnlyMemory<byte> channel, ReadOnlyMemory<byte> events) => new(default, channel, events, "");
}

/// <summary>One question to the <see cref="Authorizer"/>: may this request do that?</summary>
internal readonly struct AuthRequest
{
    /// <summary>Whether this is a publish over HTTP, rather than a WebSocket's upgrade or one of its messages.</summary>
    public bool IsHttp => Operation == AuthOperation.Publish && Content.Channel.IsEmpty;

    /// <summary>The API that the request reached.</summary>
    public required ServedApi Api { get; init; }

    /// <summary>What is asked.</summary>
    public required AuthOperation Operation { get; init; }

    /// <summary>The namespace; <see langword="null"/> for a connect, and where the API has none of that name.</summary>
    public ServedNamespace? Namespace { get; init; }

    /// <summary>The channel or pattern as the client wrote it, escapes resolved; empty for a connect.</summary>
    public ReadOnlyMemory<byte> Channel { get; init; }

    /// <summary>The request's own credentials.</summary>
    public required Credentials Credentials { get; init; }

    /// <summary>What the connection remembers of its credentials; <see langword="null"/> where nothing is to be remembered.</summary>
    public AuthorizationMemo? Memo { get; init; }

    /// <summary>The token among the credentials, where the mode is one of tokens; set by the <see cref="Authorizer"/>.</summary>
    public PresentedToken? Token { get; init; }

    /// <summary>What a signature covers.</summary>
    public required SignedContent Content { get; init; }

    /// <summary>Where the request comes from.</summary>
    public required RequestOrigin Origin { get; init; }
}
