using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Primitives;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Where a member of an authorization object lies in its JSON.</summary>
/// <param name="NameStart">Index of the name's first byte.</param>
/// <param name="NameLength">Bytes of the name.</param>
/// <param name="ValueStart">Index of the value's first byte.</param>
/// <param name="ValueLength">Bytes of the value, escapes included.</param>
/// <param name="IsEscaped">Whether the value has escapes.</param>
internal readonly record struct HeaderMember(int NameStart, int NameLength, int ValueStart, int ValueLength, bool IsEscaped);

/// <summary>Finds the values of signed headers: in the authorization object, else in the HTTP request or the upgrade.</summary>
/// <remarks>
/// The object is read once and its members are only noted, since one message asks for some six of them and strings would be made
/// of all. Lives on the stack of one verification.
/// </remarks>
internal ref struct RequestHeaders
{
    /// <summary>Members that an authorization object may have; clients send up to a dozen.</summary>
    public const int MembersMax = 64;

    /// <summary>Bytes that an authorization object may have: as many as the headers of an HTTP request.</summary>
    public const int JsonLengthMax = 64 * 1024;

    private readonly ReadOnlySpan<byte> _json;
    private readonly ReadOnlySpan<HeaderMember> _members;
    private readonly IHeaderDictionary _requestHeaders;
    private readonly Span<byte> _scratch;

    private RequestHeaders(
        ReadOnlySpan<byte> json, ReadOnlySpan<HeaderMember> members, IHeaderDictionary requestHeaders, Span<byte> scratch)
    {
        _json = json;
        _members = members;
        _requestHeaders = requestHeaders;
        _scratch = scratch;
    }

    /// <summary>Reads what the request carries.</summary>
    /// <param name="request">The request.</param>
    /// <param name="members">Room for <see cref="MembersMax"/>.</param>
    /// <param name="scratch">Room in which values are decoded, one at a time; larger ones are allocated.</param>
    /// <param name="headers">The headers on success.</param>
    /// <returns><see langword="false"/> where the authorization object is beyond a limit.</returns>
    public static bool TryRead(in AuthRequest request, Span<HeaderMember> members, Span<byte> scratch, out RequestHeaders headers)
    {
        var json = request.Credentials.Json.Span;
        headers = default;
        if (json.Length > JsonLengthMax || !TryNoteMembers(json, members, out var count))
        {
            return false;
        }

        headers = new RequestHeaders(json, members[..count], request.Credentials.Headers ?? request.Origin.Headers, scratch);
        return true;
    }

    /// <summary>Finds the value of a header.</summary>
    /// <param name="name">The name in lower case.</param>
    /// <param name="isSigned">
    /// Whether the signature covers the header. Only then a message's value may come from the upgrade request: what is not signed
    /// and not beside the signature has nothing to do with it.
    /// </param>
    /// <param name="value">The value in UTF-8, valid until the next call.</param>
    public readonly bool TryGet(ReadOnlySpan<byte> name, bool isSigned, out ReadOnlySpan<byte> value)
    {
        // Where a name comes twice, the last one counts, as it does for all credentials.
        for (var i = _members.Length - 1; i >= 0; i--)
        {
            var member = _members[i];
            if (member.NameLength == name.Length && Ascii.EqualsIgnoreCase(_json.Slice(member.NameStart, member.NameLength), name))
            {
                value = GetValue(member);
                return true;
            }
        }

        value = default;
        if ((_json.IsEmpty || isSigned) && _requestHeaders.TryGetValue(Encoding.ASCII.GetString(name), out var values) && values.Count > 0)
        {
            value = GetValue(values);
            return true;
        }

        return false;
    }

    private static bool TryNoteMembers(ReadOnlySpan<byte> json, Span<HeaderMember> members, out int count)
    {
        count = 0;
        if (json.IsEmpty)
        {
            return true;
        }

        // It was parsed before, by Credentials, so it is an object and well formed.
        var reader = new Utf8JsonReader(json);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (nameStart, nameLength) = ((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                reader.Skip();
                continue;
            }

            if (count == members.Length)
            {
                return false;
            }

            members[count++] = new HeaderMember(
                nameStart, nameLength, (int)reader.TokenStartIndex + 1, reader.ValueSpan.Length, reader.ValueIsEscaped);
        }

        return true;
    }

    private readonly ReadOnlySpan<byte> GetValue(HeaderMember member)
    {
        var value = _json.Slice(member.ValueStart, member.ValueLength);
        if (!member.IsEscaped)
        {
            return value;
        }

        var decoded = value.Length <= _scratch.Length ? _scratch : new byte[value.Length];
        var reader = new Utf8JsonReader(_json.Slice(member.ValueStart - 1, member.ValueLength + 2));
        reader.Read();
        try
        {
            return decoded[..reader.CopyString(decoded)];
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate has no UTF-8 form, so nobody can have signed it; the value counts as empty.
            return default;
        }
    }

    private readonly ReadOnlySpan<byte> GetValue(StringValues values)
    {
        var text = values.Count == 1 ? values[0] ?? "" : string.Join(',', values.Select(value => value?.Trim()));
        var longest = Encoding.UTF8.GetMaxByteCount(text.Length);
        var encoded = longest <= _scratch.Length ? _scratch : new byte[longest];
        return encoded[..Encoding.UTF8.GetBytes(text, encoded)];
    }
}
