namespace Fanfare.Gateway;

/// <summary>Says how clients reach the gateway: by the configured public address, or by what it listens on.</summary>
internal static class ListenAddress
{
    /// <summary>The address that is known before the server listens; a port of 0 is not final.</summary>
    public static Uri GetConfigured(IConfiguration configuration, Uri? publicUrl)
    {
        if (publicUrl is not null)
        {
            return publicUrl;
        }

        var endpoints = configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]);
        var urls = configuration[WebHostDefaults.ServerUrlsKey]?.Split(';', StringSplitOptions.RemoveEmptyEntries) ?? [];
        var port = configuration[WebHostDefaults.HttpPortsKey]?.Split(';')[0];
        var candidates = endpoints.Concat(urls).Append(port is null ? null : $"http://localhost:{port}");
        return candidates.Select(Parse).FirstOrDefault(uri => uri is not null) ?? new Uri(GatewayApplication.DefaultUrl);
    }

    /// <summary>Turns an address that a server listens on into one that a client on the same machine can use.</summary>
    /// <returns><see langword="null"/> where it isn't an address.</returns>
    public static Uri? Parse(string? address)
    {
        // "+" and "*" are Kestrel's words for all interfaces; no parser of addresses takes them as a host.
        var reachable = address?.Replace("://+", "://localhost", StringComparison.Ordinal)
            .Replace("://*", "://localhost", StringComparison.Ordinal)
            .Replace("://0.0.0.0", "://localhost", StringComparison.Ordinal)
            .Replace("://[::]", "://localhost", StringComparison.Ordinal);
        return Uri.TryCreate(reachable, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" ? uri : null;
    }

    /// <summary>The WebSocket scheme that belongs to an HTTP scheme.</summary>
    public static string GetWebSocketScheme(Uri address) => address.Scheme == "https" ? "wss" : "ws";
}
