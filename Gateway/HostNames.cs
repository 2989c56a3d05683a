namespace Fanfare.Gateway;

/// <summary>Reads host names of requests.</summary>
internal static class HostNames
{
    /// <summary>The host of a <c>Host</c> header, without the port; IPv6 addresses keep their brackets.</summary>
    public static ReadOnlySpan<char> WithoutPort(string? host)
    {
        var span = host.AsSpan();
        var colon = span.LastIndexOf(':');
        return colon > span.LastIndexOf(']') ? span[..colon] : span;
    }
}
