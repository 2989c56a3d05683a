namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>What the verification of tokens logs. No entry holds a token or a part of one.</summary>
internal static partial class JwtLog
{
    // Warning once per episode, not per attempt: the key source says when an episode begins.
    [LoggerMessage(1, LogLevel.Warning, "The keys of {Issuer} cannot be fetched: {Reason} Keys fetched before stay in use for now; fetching is tried again.")]
    public static partial void KeysUnavailable(ILogger logger, string issuer, string reason);

    [LoggerMessage(2, LogLevel.Information, "The keys of {Issuer} were fetched: {KeyCount} can be used.")]
    public static partial void KeysFetched(ILogger logger, string issuer, int keyCount);

    // Debug: any client can cause it, as often as it likes.
    [LoggerMessage(3, LogLevel.Debug, "A token of {Issuer} was refused on API {ApiId}: {Refusal}.")]
    public static partial void TokenRefused(ILogger logger, string issuer, string apiId, TokenRefusal refusal);
}
