namespace Fanfare.Gateway.Apis;

/// <summary>Says which handlers a namespace's JavaScript can have, without running it.</summary>
internal static class HandlerCode
{
    /// <summary>The name of the handler of publishes.</summary>
    public const string OnPublish = "onPublish";

    /// <summary>The name of the handler of subscribes.</summary>
    public const string OnSubscribe = "onSubscribe";

    /// <summary>Whether the code could export a handler of this name; it surely doesn't where this says no.</summary>
    /// <remarks>
    /// A module's exports are named in its text, either plainly or with a Unicode or hexadecimal escape (ECMAScript, "Names and
    /// Keywords" and "String Literals"). A comment that mentions the name counts as well: better to refuse than to let through.
    /// </remarks>
    public static bool MayExport(string? code, string handler) =>
        code is not null
        && (code.Contains(handler, StringComparison.Ordinal)
            || code.Contains("\\u", StringComparison.Ordinal)
            || code.Contains("\\x", StringComparison.Ordinal));
}
