using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Authorization;

/// <summary>Says which mode a request's credentials carry (AppSync Events, "Authorization", and what was observed there).</summary>
internal static class AuthModeDetector
{
    /// <summary>Detects the mode; <see langword="null"/> where the credentials carry none that the API could serve.</summary>
    /// <remarks>A key wins over an <c>Authorization</c> beside it.</remarks>
    public static AuthMode? Detect(Api api, Credentials credentials) =>
        credentials.ApiKey.Length > 0 ? AuthMode.ApiKey
        : credentials.Authorization.Span.StartsWith("AWS4-HMAC-SHA256"u8) ? AuthMode.AwsIam
        : null;
}
