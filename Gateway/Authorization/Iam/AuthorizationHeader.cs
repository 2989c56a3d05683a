using System.Buffers;
using Fanfare.Gateway.Signing;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>The parts of an <c>Authorization</c> value of Signature Version 4. Slices of the value, valid as long as it is.</summary>
/// <remarks>
/// <c>AWS4-HMAC-SHA256 Credential={key id}/{date}/{region}/{service}/aws4_request, SignedHeaders={a;b}, Signature={hex}</c>, with or
/// without the space after a comma and in any order, as clients differ.
/// </remarks>
internal readonly ref struct AuthorizationHeader
{
    /// <summary>Longer ones are refused unread. The longest that clients send, with a dozen signed headers, is about 500.</summary>
    public const int LengthMax = 8 * 1024;

    /// <summary>What follows the key id in a credential; regions have names of some 14 characters.</summary>
    private const int ScopeLengthMax = 128;

    private static readonly SearchValues<byte> s_hexDigits = SearchValues.Create("0123456789abcdef"u8);
    private static readonly SearchValues<byte> s_nameBytes =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"u8);

    /// <summary>Who signed.</summary>
    public ReadOnlySpan<byte> AccessKeyId { get; private init; }

    /// <summary>What the signing key is good for: date, region, service and terminator, joined by slashes.</summary>
    public ReadOnlySpan<byte> Scope { get; private init; }

    /// <summary>The scope's day: 8 characters.</summary>
    public ReadOnlySpan<byte> Date { get; private init; }

    /// <summary>The scope's region.</summary>
    public ReadOnlySpan<byte> Region { get; private init; }

    /// <summary>The scope's service.</summary>
    public ReadOnlySpan<byte> Service { get; private init; }

    /// <summary>The names of the signed headers, joined by semicolons: lower case, in ascending order, none twice.</summary>
    public ReadOnlySpan<byte> SignedHeaders { get; private init; }

    /// <summary>The signature: 64 lower-case hexadecimal digits.</summary>
    public ReadOnlySpan<byte> Signature { get; private init; }

    /// <summary>Takes a value apart; <see langword="false"/> where it is not of the form.</summary>
    public static bool TryParse(ReadOnlySpan<byte> value, out AuthorizationHeader header)
    {
        header = default;
        var algorithm = SignatureV4.Algorithm;
        if (value.Length > LengthMax || !value.StartsWith(algorithm) || value.Length == algorithm.Length || value[algorithm.Length] != ' ')
        {
            return false;
        }

        ReadOnlySpan<byte> credential = default, names = default, signature = default;
        var parameters = value[algorithm.Length..];
        foreach (var range in parameters.Split((byte)','))
        {
            var parameter = parameters[range].Trim((byte)' ');
            var isTaken = TryTake(parameter, "Credential="u8, ref credential)
                || TryTake(parameter, "SignedHeaders="u8, ref names)
                || TryTake(parameter, "Signature="u8, ref signature);
            if (!isTaken)
            {
                return false;
            }
        }

        return signature.Length == CanonicalRequest.PayloadHashLength && !signature.ContainsAnyExcept(s_hexDigits)
            && AreNamesSorted(names)
            && TrySplitCredential(credential, names, signature, out header);
    }

    // The canonical request demands lower case and ascending order; a list in another order can only be a mistake.
    private static bool AreNamesSorted(ReadOnlySpan<byte> names)
    {
        ReadOnlySpan<byte> previous = default;
        foreach (var range in names.Split((byte)';'))
        {
            var name = names[range];
            if (name.IsEmpty || name.ContainsAnyExcept(s_nameBytes) || previous.SequenceCompareTo(name) >= 0)
            {
                return false;
            }

            previous = name;
        }

        return true;
    }

    private static bool TryTake(ReadOnlySpan<byte> parameter, ReadOnlySpan<byte> name, ref ReadOnlySpan<byte> value)
    {
        if (!value.IsEmpty || !parameter.StartsWith(name) || parameter.Length == name.Length)
        {
            return false;
        }

        value = parameter[name.Length..];
        return true;
    }

    private static bool TrySplitCredential(
        ReadOnlySpan<byte> credential, ReadOnlySpan<byte> names, ReadOnlySpan<byte> signature, out AuthorizationHeader header)
    {
        header = default;
        if (credential.Count((byte)'/') != 4)
        {
            return false;
        }

        var keyLength = credential.IndexOf((byte)'/');
        var scope = credential[(keyLength + 1)..];
        var dateLength = scope.IndexOf((byte)'/');
        var rest = scope[(dateLength + 1)..];
        var regionLength = rest.IndexOf((byte)'/');
        var service = rest[(regionLength + 1)..];
        var serviceLength = service.IndexOf((byte)'/');
        if (keyLength == 0 || dateLength != SignatureV4.DateLength || scope.Length > ScopeLengthMax
            || !service[(serviceLength + 1)..].SequenceEqual(SignatureV4.Terminator))
        {
            return false;
        }

        header = new AuthorizationHeader
        {
            AccessKeyId = credential[..keyLength],
            Scope = scope,
            Date = scope[..dateLength],
            Region = rest[..regionLength],
            Service = service[..serviceLength],
            SignedHeaders = names,
            Signature = signature,
        };
        return true;
    }
}
