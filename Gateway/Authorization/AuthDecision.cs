using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization;

/// <summary>The answer to an <see cref="AuthRequest"/>.</summary>
internal readonly struct AuthDecision
{
    private AuthDecision(ProtocolError? error, Identity? identity, IProof? proof)
    {
        Error = error;
        Identity = identity;
        Proof = proof;
    }

    /// <summary>Why not, or <see langword="null"/> when the request may go on.</summary>
    public ProtocolError? Error { get; }

    /// <summary>Who the request is from; <see langword="null"/> for an API key.</summary>
    public Identity? Identity { get; }

    /// <summary>How to tell that the same credentials are still good; <see langword="null"/> where every request is verified anew.</summary>
    public IProof? Proof { get; }

    /// <summary>The request may go on.</summary>
    /// <param name="identity">Who it is from.</param>
    /// <param name="proof">
    /// Why, where that is nothing but the credentials: no other part of the request, nothing that <see cref="IAuthenticator.PermitAsync"/> decides.
    /// </param>
    public static AuthDecision Grant(Identity? identity, IProof? proof = null) => new(null, identity, proof);

    /// <summary>The request is refused.</summary>
    public static AuthDecision Refuse(ProtocolError error) => new(error, null, null);
}
