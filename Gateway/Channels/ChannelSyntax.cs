using System.Buffers;

namespace Fanfare.Gateway.Channels;

/// <summary>What a text is, read as a channel.</summary>
internal enum ChannelForm
{
    /// <summary>Neither a channel nor a pattern.</summary>
    Invalid,

    /// <summary>A concrete channel.</summary>
    Channel,

    /// <summary>A prefix whose last segment is <c>*</c>.</summary>
    Wildcard,
}

/// <summary>The grammar of channels and patterns, over UTF-8.</summary>
/// <remarks>
/// A segment is <c>[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?</c>; a channel is segments joined by single slashes, with one optional
/// slash before and one after. A pattern may end in a segment that is just <c>*</c>, but not consist of it alone, because
/// authorization is per namespace. Source: Event API guide, "Understanding channel namespaces".
/// </remarks>
internal static class ChannelSyntax
{
    private static readonly SearchValues<byte> s_segmentBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"u8);

    /// <summary>Says what the text is.</summary>
    public static ChannelForm Classify(ReadOnlySpan<byte> text, GatewayLimits limits)
    {
        var rest = TrimSlashes(text);
        for (var segments = 1; segments <= limits.ChannelSegmentsMax; segments++)
        {
            var slash = rest.IndexOf((byte)'/');
            var segment = slash < 0 ? rest : rest[..slash];
            if (slash < 0 && segments > 1 && segment is [(byte)'*'])
            {
                return ChannelForm.Wildcard;
            }

            if (!IsSegment(segment, limits.SegmentLengthMax))
            {
                return ChannelForm.Invalid;
            }

            if (slash < 0)
            {
                return ChannelForm.Channel;
            }

            rest = rest[(slash + 1)..];
        }

        return ChannelForm.Invalid;
    }

    /// <summary>Makes the key of a text that <see cref="Classify"/> accepted: one leading slash, no trailing one, no star.</summary>
    public static string Canonicalize(string apiId, ReadOnlySpan<byte> text)
    {
        var path = TrimSlashes(text);
        if (path[^1] == (byte)'*')
        {
            path = path[..^1];
        }

        return string.Create(apiId.Length + 1 + path.Length, new Parts(apiId, path), static (target, parts) =>
        {
            parts.ApiId.CopyTo(target);
            target[parts.ApiId.Length] = '/';
            System.Text.Encoding.ASCII.GetChars(parts.Path, target[(parts.ApiId.Length + 1)..]);
        });
    }

    /// <summary>The first segment of a canonical path.</summary>
    public static ReadOnlySpan<char> GetNamespace(ReadOnlySpan<char> path)
    {
        var rest = path[1..];
        var slash = rest.IndexOf('/');
        return slash < 0 ? rest : rest[..slash];
    }

    /// <summary>Returns how much of a key's value is the API's id: all before the first slash, which no id has.</summary>
    /// <exception cref="ArgumentException">The text is no key's value.</exception>
    public static int GetApiIdLength(string value)
    {
        var length = value.IndexOf('/');
        return length > 0 && length < value.Length - 1
            ? length
            : throw new ArgumentException("A key is an API's id and a path that begins with a slash.", nameof(value));
    }

    private static bool IsSegment(ReadOnlySpan<byte> segment, int lengthMax) =>
        segment.Length > 0 && segment.Length <= lengthMax
        && segment[0] != (byte)'-' && segment[^1] != (byte)'-'
        && !segment.ContainsAnyExcept(s_segmentBytes);

    private static ReadOnlySpan<byte> TrimSlashes(ReadOnlySpan<byte> text)
    {
        if (text.Length > 0 && text[0] == (byte)'/')
        {
            text = text[1..];
        }

        // A wildcard's star is the end of the pattern: "/chat/*/" is not one.
        return text.Length > 1 && text[^1] == (byte)'/' && text[^2] != (byte)'*' ? text[..^1] : text;
    }

    private readonly ref struct Parts(string apiId, ReadOnlySpan<byte> path)
    {
        public readonly string ApiId = apiId;
        public readonly ReadOnlySpan<byte> Path = path;
    }
}
