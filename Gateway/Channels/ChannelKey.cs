using System.Diagnostics.CodeAnalysis;

namespace Fanfare.Gateway.Channels;

/// <summary>A concrete channel of one API, the address that events are published to.</summary>
/// <remarks>
/// <para>
/// The key is one string, the API's id and the canonical path: <c>k7h2…/chat/eu/42</c>. The wildcards that match a channel are
/// prefixes of that string, each up to and including a slash (<c>k7h2…/chat/</c> for <c>/chat/*</c>), and no channel ends in a
/// slash. So a channel and all its wildcards are looked up in one dictionary by slices of one string.
/// </para>
/// <para>Compared by ordinal; channels are case-sensitive.</para>
/// </remarks>
public readonly struct ChannelKey : IEquatable<ChannelKey>
{
    private readonly string _value;
    private readonly int _apiIdLength;
    private readonly int _hash;

    private ChannelKey(string value, int apiIdLength)
    {
        _value = value;
        _apiIdLength = apiIdLength;
        // Asked for by every publish, of channels that are parsed once.
        _hash = string.GetHashCode(value, StringComparison.Ordinal);
    }

    /// <summary>API id and path in one string.</summary>
    public string Value => _value;

    /// <summary>The id of the API that the channel belongs to.</summary>
    public ReadOnlySpan<char> ApiId => _value.AsSpan(0, _apiIdLength);

    /// <summary>The canonical path: a leading slash and no trailing one.</summary>
    public ReadOnlySpan<char> Path => _value.AsSpan(_apiIdLength);

    /// <summary>The first segment.</summary>
    public ReadOnlySpan<char> Namespace => ChannelSyntax.GetNamespace(Path);

    /// <summary>Parses a channel as a client wrote it; see <see cref="ChannelSyntax"/> for the rules.</summary>
    /// <param name="apiId">The id of the API that the request reached.</param>
    /// <param name="text">The channel in UTF-8, JSON escapes resolved. A leading and a trailing slash are optional.</param>
    /// <param name="limits">How many segments, and how long.</param>
    /// <param name="key">The key on success.</param>
    /// <returns><see langword="false"/> for anything that is not a concrete channel, a wildcard included.</returns>
    public static bool TryParse(string apiId, ReadOnlySpan<byte> text, GatewayLimits limits, out ChannelKey key)
    {
        if (ChannelSyntax.Classify(text, limits) == ChannelForm.Channel)
        {
            key = new ChannelKey(ChannelSyntax.Canonicalize(apiId, text), apiId.Length);
            return true;
        }

        key = default;
        return false;
    }

    /// <summary>Makes a key of what <see cref="Value"/> gave, here or in another process.</summary>
    /// <exception cref="ArgumentException">The text is no such value.</exception>
    public static ChannelKey FromValue(string value) => new(value, ChannelSyntax.GetApiIdLength(value));

    /// <summary>Finds the key of the next wildcard that matches this channel, from the shortest to the longest.</summary>
    /// <param name="position">Where to go on: 0 at first, then what the call before left.</param>
    /// <param name="wildcard">The <see cref="PatternKey.Value"/> of the wildcard.</param>
    /// <returns><see langword="false"/> when there is none left.</returns>
    public bool TryGetNextWildcard(scoped ref int position, out ReadOnlySpan<char> wildcard)
    {
        // The first slash after the API's id opens the path; "/*" over all namespaces does not exist.
        var from = position == 0 ? _apiIdLength + 1 : position;
        var slash = _value.AsSpan(from).IndexOf('/');
        if (slash < 0)
        {
            wildcard = default;
            return false;
        }

        position = from + slash + 1;
        wildcard = _value.AsSpan(0, position);
        return true;
    }

    /// <inheritdoc/>
    public bool Equals(ChannelKey other) => _hash == other._hash && string.Equals(_value, other._value, StringComparison.Ordinal);

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is ChannelKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;

    /// <summary>Whether both name the same channel of the same API.</summary>
    public static bool operator ==(ChannelKey left, ChannelKey right) => left.Equals(right);

    /// <summary>Whether they name different channels.</summary>
    public static bool operator !=(ChannelKey left, ChannelKey right) => !left.Equals(right);

    /// <summary>Returns the path, for logs.</summary>
    public override string ToString() => Path.ToString();
}
