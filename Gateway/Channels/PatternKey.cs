using System.Diagnostics.CodeAnalysis;

namespace Fanfare.Gateway.Channels;

/// <summary>What a subscription names: a channel, or a prefix ending in <c>/*</c>, of one API.</summary>
/// <remarks>
/// A wildcard's <see cref="Value"/> is its prefix with the slash and without the star; see <see cref="ChannelKey"/> for why.
/// <c>/chat/*</c> matches <c>/chat/a</c> and <c>/chat/a/b</c>, not <c>/chat</c>.
/// </remarks>
public readonly struct PatternKey : IEquatable<PatternKey>
{
    private readonly string _value;
    private readonly int _apiIdLength;

    private PatternKey(string value, int apiIdLength)
    {
        _value = value;
        _apiIdLength = apiIdLength;
    }

    /// <summary>API id and path, or API id and prefix up to and including the slash before the star.</summary>
    public string Value => _value;

    /// <summary>Whether the pattern is a prefix.</summary>
    public bool IsWildcard => _value[^1] == '/';

    /// <summary>The id of the API that the pattern belongs to.</summary>
    public ReadOnlySpan<char> ApiId => _value.AsSpan(0, _apiIdLength);

    /// <summary>The first segment.</summary>
    public ReadOnlySpan<char> Namespace => ChannelSyntax.GetNamespace(_value.AsSpan(_apiIdLength));

    /// <summary>Parses a pattern as a client wrote it; see <see cref="ChannelSyntax"/> for the rules.</summary>
    /// <param name="apiId">The id of the API that the request reached.</param>
    /// <param name="text">The pattern in UTF-8, JSON escapes resolved.</param>
    /// <param name="limits">How many segments (the star counts as one), and how long.</param>
    /// <param name="key">The key on success.</param>
    public static bool TryParse(string apiId, ReadOnlySpan<byte> text, GatewayLimits limits, out PatternKey key)
    {
        if (ChannelSyntax.Classify(text, limits) == ChannelForm.Invalid)
        {
            key = default;
            return false;
        }

        key = new PatternKey(ChannelSyntax.Canonicalize(apiId, text), apiId.Length);
        return true;
    }

    /// <summary>Makes a key of what <see cref="Value"/> gave, here or in another process.</summary>
    /// <exception cref="ArgumentException">The text is no such value.</exception>
    public static PatternKey FromValue(string value) => new(value, ChannelSyntax.GetApiIdLength(value));

    /// <summary>Whether events of the channel belong to this pattern.</summary>
    public bool Matches(ChannelKey channel) => IsWildcard
        ? channel.Value.StartsWith(_value, StringComparison.Ordinal)
        : string.Equals(channel.Value, _value, StringComparison.Ordinal);

    /// <inheritdoc/>
    public bool Equals(PatternKey other) => string.Equals(_value, other._value, StringComparison.Ordinal);

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is PatternKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => string.GetHashCode(_value, StringComparison.Ordinal);

    /// <summary>Whether both name the same pattern of the same API.</summary>
    public static bool operator ==(PatternKey left, PatternKey right) => left.Equals(right);

    /// <summary>Whether they name different patterns.</summary>
    public static bool operator !=(PatternKey left, PatternKey right) => !left.Equals(right);

    /// <summary>Returns the pattern as clients write it, for logs.</summary>
    public override string ToString() => string.Concat(_value.AsSpan(_apiIdLength), IsWildcard ? "*" : "");
}
