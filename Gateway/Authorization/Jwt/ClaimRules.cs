namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>What the claims of every token must satisfy, whatever the mode: its times.</summary>
internal static class ClaimRules
{
    /// <summary>Checks <c>exp</c>, <c>nbf</c> and <c>iat</c> (RFC 7519, section 4.1).</summary>
    /// <param name="token">The token.</param>
    /// <param name="now">The time, in milliseconds since 1970 like all times here.</param>
    /// <param name="skew">How far clocks may be apart.</param>
    /// <param name="goodUntil">When the token expires, the allowance included.</param>
    public static TokenRefusal CheckTimes(JsonWebToken token, long now, TimeSpan skew, out long goodUntil)
    {
        goodUntil = 0;
        if (!token.TryGetTime("exp", out var expires) || expires is null
            || !token.TryGetTime("nbf", out var notBefore) || !token.TryGetTime("iat", out var issued))
        {
            return TokenRefusal.MalformedTime;
        }

        var allowance = (long)skew.TotalMilliseconds;
        goodUntil = expires.Value + allowance;
        return now >= goodUntil ? TokenRefusal.Expired
            : notBefore - allowance > now ? TokenRefusal.NotYetValid
            : issued - allowance > now ? TokenRefusal.IssuedInFuture
            : TokenRefusal.None;
    }

    /// <summary>Checks the age since a time that a claim holds, where a provider limits it.</summary>
    /// <param name="token">The token.</param>
    /// <param name="claim">The claim; required where there is a limit.</param>
    /// <param name="ttlMilliseconds">The greatest age; 0 means no check.</param>
    /// <param name="now">The time.</param>
    /// <param name="goodUntil">Lowered to the first moment that the age is too great.</param>
    /// <remarks>No allowance for clocks is made: AppSync's rule is <c>now − iat &gt; iatTTL</c> to the millisecond.</remarks>
    public static bool IsWithinAge(JsonWebToken token, string claim, long ttlMilliseconds, long now, ref long goodUntil)
    {
        if (ttlMilliseconds == 0)
        {
            return true;
        }

        if (!token.TryGetTime(claim, out var since) || since is null || now - since > ttlMilliseconds)
        {
            return false;
        }

        if (ttlMilliseconds < long.MaxValue - since.Value)
        {
            goodUntil = Math.Min(goodUntil, since.Value + ttlMilliseconds + 1);
        }

        return true;
    }
}
