namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>Why a token was refused. For the log: clients are told no more than that a token has expired.</summary>
internal enum TokenRefusal
{
    /// <summary>It was not refused.</summary>
    None,

    /// <summary>The header is unusable, or its algorithm is none that the issuer's tokens may have.</summary>
    Algorithm,

    /// <summary>The issuer's keys could not be fetched.</summary>
    NoKeys,

    /// <summary>None of the issuer's keys is the one that the token names.</summary>
    UnknownKey,

    /// <summary>The signature is not by the key that the token names.</summary>
    Signature,

    /// <summary><c>exp</c>, <c>nbf</c> or <c>iat</c> is missing where it must be there, or is no number.</summary>
    MalformedTime,

    /// <summary><c>exp</c> is over.</summary>
    Expired,

    /// <summary><c>nbf</c> is yet to come.</summary>
    NotYetValid,

    /// <summary><c>iat</c> is yet to come.</summary>
    IssuedInFuture,

    /// <summary><c>token_use</c> is neither <c>id</c> nor <c>access</c>.</summary>
    TokenUse,

    /// <summary>The client is not one that the provider admits.</summary>
    Client,

    /// <summary>It was issued longer ago than the provider admits.</summary>
    IssuedTooLongAgo,

    /// <summary>The user signed in longer ago than the provider admits.</summary>
    AuthenticatedTooLongAgo,
}
