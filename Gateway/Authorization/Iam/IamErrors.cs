using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>What a client is told about a signature that is not accepted.</summary>
/// <remarks>
/// Texts say what kind of mistake it is and never show what was expected. Type and text of the mismatch were observed on AppSync.
/// </remarks>
internal static class IamErrors
{
    private const string BadRequest = "BadRequestException";

    /// <summary>The signature is not the one that the key makes for this request.</summary>
    public static readonly ProtocolError SignatureMismatch = new(BadRequest, "signature mismatch", 400);

    /// <summary>The <c>Authorization</c> is not of the form.</summary>
    public static readonly ProtocolError MalformedHeader = new(
        BadRequest, "The Authorization must be AWS4-HMAC-SHA256 with Credential, sorted SignedHeaders and Signature", 400);

    /// <summary>The authorization object is larger than any client's.</summary>
    public static readonly ProtocolError TooLarge = new(BadRequest, "The authorization is too large", 400);

    /// <summary>Host or time are not covered.</summary>
    public static readonly ProtocolError UnsignedHeader = new(BadRequest, "The signed headers must include host and x-amz-date", 400);

    /// <summary>A header is said to be signed but is not there.</summary>
    public static readonly ProtocolError MissingHeader = new(BadRequest, "A signed header is missing", 400);

    /// <summary>The time cannot be read, or the scope is of another day.</summary>
    public static readonly ProtocolError InvalidTime = new(
        BadRequest, "The x-amz-date must be a time such as 20260102T030405Z, on the day of the credential's scope", 400);

    /// <summary>The signature is too old.</summary>
    public static readonly ProtocolError Expired = new(BadRequest, "Signature expired", 400);

    /// <summary>The signature's time has not come.</summary>
    public static readonly ProtocolError NotYetCurrent = new(BadRequest, "Signature not yet current", 400);

    /// <summary>A publish's signature is used again, too late for a repetition.</summary>
    public static readonly ProtocolError Replayed = new(BadRequest, "The signature was used before", 400);

    /// <summary><c>x-amz-content-sha256</c> is not a hash: <c>UNSIGNED-PAYLOAD</c>, or one of the streaming forms.</summary>
    public static readonly ProtocolError UnsignedPayload = new(
        BadRequest, "The x-amz-content-sha256 must be the SHA-256 of the payload", 400);

    /// <summary>The credential is for another region or service.</summary>
    public static ProtocolError WrongScope(string region) =>
        new(BadRequest, $"The credential must be scoped to {region}/{SignatureVerifier.ServiceName}", 400);

    /// <summary>The policies do not allow an HTTP publish.</summary>
    public static ProtocolError AccessDenied(string userArn, string action, ReadOnlySpan<char> resource) =>
        new("AccessDeniedException", $"User: {userArn} is not authorized to perform: {action} on resource: {resource}", 403);
}
