using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary>The answer to an <see cref="AuthRequest"/>.</summary>
internal readonly struct AuthDecision
{
    private AuthDecision(ProtocolError? error, Identity? identity)
    {
        Error = error;
        Identity = identity;
    }

    /// <summary>Why not, or <see langword="null"/> when the request may go on.</summary>
    public ProtocolError? Error { get; }

    /// <summary>Who the request is from; <see langword="null"/> for an API key.</summary>
    public Identity? Identity { get; }

    /// <summary>The request may go on.</summary>
    public static AuthDecision Grant(Identity? identity) => new(null, identity);

    /// <summary>The request is refused.</summary>
    public static AuthDecision Refuse(ProtocolError error) => new(error, null);
}
