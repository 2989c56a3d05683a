using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>What clients sign in with: authorization objects and the subprotocols that carry them.</summary>
public static class Credentials
{
    /// <summary>The key that every test gateway is started with.</summary>
    public const string ApiKey = "da2-aaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// <summary>A well-formed key that no gateway knows.</summary>
    public const string UnknownKey = "da2-zzzzzzzzzzzzzzzzzzzzzzzzzz";

    /// <summary>The subprotocol of the protocol itself.</summary>
    public const string EventsProtocol = "aws-appsync-event-ws";

    /// <summary>The host that clients put into authorization objects; it need not be the one they reach.</summary>
    public const string Host = "events.example.com";

    /// <summary>Writes JSON as JavaScript clients do, with nothing escaped that need not be.</summary>
    public static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The authorization object of an API key.</summary>
    public static JsonObject KeyAuthorization(string key = ApiKey) => new() { ["host"] = Host, ["x-api-key"] = key };

    /// <summary>The subprotocol that carries an authorization object: base64url without padding.</summary>
    public static string HeaderProtocol(string json) => "header-" + ToBase64Url(Encoding.UTF8.GetBytes(json));

    /// <inheritdoc cref="HeaderProtocol(string)"/>
    public static string HeaderProtocol(JsonObject authorization) => HeaderProtocol(authorization.ToJsonString(Relaxed));

    /// <summary>Base64url without padding.</summary>
    public static string ToBase64Url(byte[] bytes) =>
        Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
