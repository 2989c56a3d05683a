using System.Text.Json;

namespace Fanfare.Gateway.Authorization;

/// <summary>Who a request was authorized as: the <c>identity</c> object that handlers see. An API key has none.</summary>
/// <remarks>Immutable, safe for concurrent use. Members and their order follow AppSync Events, "Identity".</remarks>
internal abstract record Identity
{
    /// <summary>The authorization as handlers are told it, by <c>util.authType()</c>.</summary>
    public abstract string AuthType { get; }

    /// <summary>Writes the object.</summary>
    public abstract void WriteTo(Utf8JsonWriter writer);
}
