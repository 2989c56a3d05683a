using System.Text.Json.Nodes;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>One element of <c>errors</c>.</summary>
public sealed record WireError(string ErrorType, string? Message, int? ErrorCode)
{
    private static readonly string[] s_members = ["errorType", "message", "errorCode"];

    /// <summary>Asserts that a message has exactly one well-formed error, and returns it.</summary>
    public static WireError Of(JsonObject message)
    {
        ArgumentNullException.ThrowIfNull(message);
        var errors = message["errors"] as JsonArray;
        Assert.True(errors is not null, $"no errors array in {message.ToJsonString()}");
        var error = Assert.IsType<JsonObject>(Assert.Single(errors));
        Assert.All(error, member => Assert.Contains(member.Key, s_members));
        return new WireError(
            (string?)error["errorType"] ?? throw new InvalidOperationException($"no errorType in {message.ToJsonString()}"),
            (string?)error["message"],
            (int?)error["errorCode"]);
    }

    /// <summary>Asserts that <paramref name="message"/> is an error reply of a given kind.</summary>
    /// <param name="message">What arrived.</param>
    /// <param name="type">The message's <c>type</c>.</param>
    /// <param name="id">The message's <c>id</c>; <see langword="null"/> where it must have none.</param>
    /// <param name="errorType">The only error's type.</param>
    public static WireError AssertReply(JsonObject message, string type, string? id, string errorType)
    {
        ArgumentNullException.ThrowIfNull(message);
        Assert.True(type == (string?)message["type"], $"expected {type}, got {message.ToJsonString()}");
        Assert.Equal(id, (string?)message["id"]);
        var error = Of(message);
        Assert.True(errorType == error.ErrorType, $"expected {errorType}, got {message.ToJsonString()}");
        return error;
    }
}
