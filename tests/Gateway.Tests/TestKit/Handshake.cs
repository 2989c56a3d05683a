using System.Text;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A WebSocket upgrade request, byte for byte as a test wants it.</summary>
public sealed record Handshake
{
    /// <summary>The request line's method.</summary>
    public string Method { get; init; } = "GET";

    /// <summary>The request line's target.</summary>
    public string Target { get; init; } = "/event/realtime";

    /// <summary>The <c>Host</c> header; <see langword="null"/> means the address that is dialled.</summary>
    public string? Host { get; init; }

    /// <summary>The <c>Sec-WebSocket-Key</c>, fixed so that the answer is known.</summary>
    public string Key { get; init; } = "dGhlIHNhbXBsZSBub25jZQ==";

    /// <summary>The values of the <c>Sec-WebSocket-Protocol</c> headers, one header each.</summary>
    public IReadOnlyList<string> Protocols { get; init; } = [];

    /// <summary>The <c>Connection</c> header.</summary>
    public string Connection { get; init; } = "Upgrade";

    /// <summary>The <c>Upgrade</c> header.</summary>
    public string Upgrade { get; init; } = "websocket";

    /// <summary>Further headers.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    /// <summary>The upgrade that browsers send: protocol and credentials in one header.</summary>
    public static Handshake WithKey(string key = Credentials.ApiKey) =>
        WithProtocols($"{Credentials.EventsProtocol}, {Credentials.HeaderProtocol(Credentials.KeyAuthorization(key))}");

    /// <summary>An upgrade with the given <c>Sec-WebSocket-Protocol</c> headers.</summary>
    public static Handshake WithProtocols(params string[] values) => new() { Protocols = values };

    /// <summary>The request's bytes.</summary>
    public byte[] ToBytes(string authority)
    {
        var text = new StringBuilder($"{Method} {Target} HTTP/1.1\r\nHost: {Host ?? authority}\r\n")
            .Append($"Upgrade: {Upgrade}\r\nConnection: {Connection}\r\nSec-WebSocket-Version: 13\r\n")
            .Append($"Sec-WebSocket-Key: {Key}\r\n");
        foreach (var value in Protocols)
        {
            text.Append($"Sec-WebSocket-Protocol: {value}\r\n");
        }

        foreach (var (name, value) in Headers)
        {
            text.Append($"{name}: {value}\r\n");
        }

        return Encoding.Latin1.GetBytes(text.Append("\r\n").ToString());
    }
}

/// <summary>The head of an HTTP response.</summary>
public sealed record ResponseHead(int Status, IReadOnlyList<(string Name, string Value)> Headers, string Text)
{
    /// <summary>Parses everything up to the empty line.</summary>
    public static ResponseHead Parse(string text)
    {
        var lines = text.Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var headers = lines.Skip(1)
            .Select(line => line.Split(':', 2))
            .Select(parts => (parts[0], parts[1].Trim()))
            .ToList();
        return new ResponseHead(int.Parse(lines[0].Split(' ')[1]), headers, text);
    }

    /// <summary>The only value of a header, <see langword="null"/> where it is missing.</summary>
    public string? Header(string name) =>
        Headers.SingleOrDefault(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
}
