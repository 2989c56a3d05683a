using System.Security.Cryptography;
using Fanfare.Gateway.Signing;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>A signature and all that it must fit but the payload, which may have been spelled in several ways.</summary>
internal readonly ref struct SignatureCheck
{
    /// <summary>The canonical request with room for the payload's hash at its end (<see cref="CanonicalRequest.Seal"/>).</summary>
    public required Span<byte> CanonicalRequest { get; init; }

    /// <summary>The derived key.</summary>
    public required ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The request's time.</summary>
    public required ReadOnlySpan<byte> Time { get; init; }

    /// <summary>The credential's scope.</summary>
    public required ReadOnlySpan<byte> Scope { get; init; }

    /// <summary>The payload's hash as the client signed it in <c>x-amz-content-sha256</c>; empty where it did not.</summary>
    public ReadOnlySpan<byte> ContentHash { get; init; }

    /// <summary>The signature, decoded.</summary>
    public required ReadOnlySpan<byte> Signature { get; init; }

    /// <summary>Whether the signature is for a payload of this SHA-256.</summary>
    public bool Matches(ReadOnlySpan<byte> payloadHash)
    {
        var room = CanonicalRequest[^Signing.CanonicalRequest.PayloadHashLength..];
        Convert.TryToHexStringLower(payloadHash, room, out _);
        if (!ContentHash.IsEmpty && !ContentHash.SequenceEqual(room))
        {
            return false;
        }

        Span<byte> expected = stackalloc byte[SignatureV4.HashLength];
        SignatureV4.Sign(Key, Time, Scope, CanonicalRequest, expected);
        return CryptographicOperations.FixedTimeEquals(expected, Signature);
    }
}
