using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Apis;

/// <summary>How much an API writes to its log; <c>LogConfig.LogLevel</c> of the AppSync API model.</summary>
public enum ApiLogLevel
{
    /// <summary><c>NONE</c>: nothing.</summary>
    None,

    /// <summary><c>ERROR</c>: requests that failed.</summary>
    Error,

    /// <summary><c>INFO</c>: also what handlers log as information or error.</summary>
    Info,

    /// <summary><c>DEBUG</c>: also what handlers log for debugging.</summary>
    Debug,

    /// <summary><c>ALL</c>: also a summary of every request.</summary>
    All,
}

/// <summary>One Event API: who may do what in which namespaces. Immutable, safe for concurrent use.</summary>
/// <remarks>The model of <c>AWS::AppSync::Api</c> with the namespaces and keys that name it.</remarks>
public sealed class Api
{
    /// <summary>The API's id: 26 lower-case letters and digits, the first label of its host name.</summary>
    public required string Id { get; init; }

    /// <summary>The API's name, for people.</summary>
    public required string Name { get; init; }

    /// <summary>The owner's contact, or <see langword="null"/>.</summary>
    public string? OwnerContact { get; init; }

    /// <summary>Host and port that clients put between <c>https://</c> and <c>/event</c>, such as <c>localhost:8080</c>.</summary>
    public required string HttpHost { get; init; }

    /// <summary>Host and port that clients put between <c>wss://</c> and <c>/event/realtime</c>.</summary>
    public required string RealtimeHost { get; init; }

    /// <summary>Custom domain names associated with the API, compared with the request's host without regard to case.</summary>
    public IReadOnlyList<string> DomainNames { get; init; } = [];

    /// <summary>The ways to sign in. A mode that no provider serves authorizes nothing.</summary>
    public required IReadOnlyList<AuthProvider> AuthProviders { get; init; }

    /// <summary>Modes that may open a WebSocket.</summary>
    public required AuthModes ConnectionModes { get; init; }

    /// <summary>Modes that may publish where a namespace says nothing else.</summary>
    public required AuthModes DefaultPublishModes { get; init; }

    /// <summary>Modes that may subscribe where a namespace says nothing else.</summary>
    public required AuthModes DefaultSubscribeModes { get; init; }

    /// <summary>How much the API logs.</summary>
    public ApiLogLevel LogLevel { get; init; }

    /// <summary>The namespaces by name; names are case-sensitive.</summary>
    public required FrozenDictionary<string, ChannelNamespace> Namespaces { get; init; }

    /// <summary>The data sources by name; names are case-sensitive.</summary>
    public FrozenDictionary<string, DataSource> DataSources { get; init; } = FrozenDictionary<string, DataSource>.Empty;

    /// <summary>The API's keys, expired ones included.</summary>
    public IReadOnlyList<ApiKey> Keys { get; init; } = [];

    /// <summary>The API's tags.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = FrozenDictionary<string, string>.Empty;
}

/// <summary>The rules of all channels whose first segment is <see cref="Name"/>; <c>AWS::AppSync::ChannelNamespace</c>.</summary>
public sealed record ChannelNamespace
{
    /// <summary>The name: 1 to 50 letters, digits and inner hyphens.</summary>
    public required string Name { get; init; }

    /// <summary>Modes that may publish here; <see langword="null"/> means the API's default.</summary>
    public AuthModes? PublishModes { get; init; }

    /// <summary>Modes that may subscribe here; <see langword="null"/> means the API's default.</summary>
    public AuthModes? SubscribeModes { get; init; }

    /// <summary>The JavaScript of <c>onPublish</c> and <c>onSubscribe</c>, or <see langword="null"/>.</summary>
    public string? Code { get; init; }

    /// <summary>How publishes are handled beyond the code; <see langword="null"/> where nothing is configured.</summary>
    public HandlerConfig? OnPublish { get; init; }

    /// <summary>How subscribes are handled beyond the code; <see langword="null"/> where nothing is configured.</summary>
    public HandlerConfig? OnSubscribe { get; init; }

    /// <summary>The namespace's tags.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Whether publishes here must pass a handler.</summary>
    internal bool HandlesPublish => OnPublish is not null || HandlerCode.MayExport(Code, HandlerCode.OnPublish);

    /// <summary>Whether subscribes here must pass a handler.</summary>
    internal bool HandlesSubscribe => OnSubscribe is not null || HandlerCode.MayExport(Code, HandlerCode.OnSubscribe);
}

/// <summary><c>HandlerConfig</c>: code or a direct call, and the data source behind it.</summary>
public sealed record HandlerConfig
{
    /// <summary><see langword="true"/> for <c>DIRECT</c>, where the data source is the handler; <see langword="false"/> for <c>CODE</c>.</summary>
    public required bool IsDirect { get; init; }

    /// <summary>The data source, or <see langword="null"/> where none is named.</summary>
    public string? DataSourceName { get; init; }

    /// <summary><see langword="true"/> for the invoke type <c>EVENT</c>: the function is called and not waited for.</summary>
    public bool IsEventInvoke { get; init; }
}

/// <summary>One API key, known by its hash alone; <c>AWS::AppSync::ApiKey</c>.</summary>
/// <remarks>
/// What clients send as <c>x-api-key</c> is an opaque text, by custom <c>da2-</c> and 26 lower-case letters and digits. It is not
/// kept: whoever reads this process's memory, or its model through an API, learns no key that is not in use at that moment.
/// Hashing without salt or work factor is enough, since keys are random; it is not meant for passwords.
/// </remarks>
public sealed record ApiKey
{
    /// <summary>The length of <see cref="Hash"/> in bytes.</summary>
    public const int HashLength = SHA256.HashSizeInBytes;

    /// <summary>The SHA-256 of the key in UTF-8.</summary>
    public required ReadOnlyMemory<byte> Hash { get; init; }

    /// <summary>What the key is for, or <see langword="null"/>.</summary>
    public string? Description { get; init; }

    /// <summary>When the key stops working; <see langword="null"/> means never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Hashes a key's value.</summary>
    /// <param name="value">The key.</param>
    public static byte[] ComputeHash(string value) => SHA256.HashData(Encoding.UTF8.GetBytes(value));

    /// <summary>Whether the two are the same key with the same description and expiry.</summary>
    public bool Equals(ApiKey? other) =>
        other is not null && Hash.Span.SequenceEqual(other.Hash.Span) && Description == other.Description && Expires == other.Expires;

    /// <inheritdoc/>
    public override int GetHashCode() => BinaryPrimitives.ReadInt32LittleEndian(Hash.Span);

    /// <summary>Describes the key without its hash.</summary>
    public override string ToString() => $"ApiKey {{ Description = {Description}, Expires = {Expires:u} }}";
}
