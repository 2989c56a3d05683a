using System.Text.Json.Nodes;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>The messages a client sends, as JSON text.</summary>
public static class Messages
{
    /// <summary><c>connection_init</c>.</summary>
    public const string Init = """{"type":"connection_init"}""";

    /// <summary><c>subscribe</c>, signed with the test key unless <paramref name="authorization"/> says otherwise.</summary>
    public static string Subscribe(string id, string channel, JsonObject? authorization = null) => new JsonObject
    {
        ["type"] = "subscribe",
        ["id"] = id,
        ["channel"] = channel,
        ["authorization"] = authorization ?? Credentials.KeyAuthorization(),
    }.ToJsonString(Credentials.Relaxed);

    /// <summary><c>unsubscribe</c>.</summary>
    public static string Unsubscribe(string id) =>
        new JsonObject { ["type"] = "unsubscribe", ["id"] = id }.ToJsonString(Credentials.Relaxed);

    /// <summary><c>publish</c> of JSON texts, signed with the test key.</summary>
    public static string Publish(string id, string channel, params string[] events) =>
        Publish(id, channel, Credentials.KeyAuthorization(), events);

    /// <summary><c>publish</c> of JSON texts.</summary>
    public static string Publish(string id, string channel, JsonObject authorization, params string[] events) => new JsonObject
    {
        ["type"] = "publish",
        ["id"] = id,
        ["channel"] = channel,
        ["events"] = ArrayOf(events),
        ["authorization"] = authorization,
    }.ToJsonString(Credentials.Relaxed);

    /// <summary><c>publish</c> whose <c>events</c> member is given as JSON text, to send the exact bytes of a test's choice.</summary>
    public static string PublishRaw(string id, string channel, string eventsJson) =>
        $$"""{"type":"publish","id":"{{id}}","channel":"{{channel}}","events":{{eventsJson}},"authorization":{{Authorization}}}""";

    /// <summary>The body of an HTTP publish.</summary>
    public static string HttpBody(string channel, params string[] events) =>
        new JsonObject { ["channel"] = channel, ["events"] = ArrayOf(events) }.ToJsonString(Credentials.Relaxed);

    /// <summary>The authorization object of the test key, as JSON text.</summary>
    public static string Authorization => Credentials.KeyAuthorization().ToJsonString(Credentials.Relaxed);

    /// <summary>A JSON string value that is <paramref name="byteCount"/> bytes long with its quotes.</summary>
    public static string EventOf(int byteCount) => "\"" + new string('x', byteCount - 2) + "\"";

    private static JsonArray ArrayOf(string[] events) => [.. events.Select(text => (JsonNode)text)];
}
