using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Signing;

/// <summary>The arithmetic of Signature Version 4: from a secret to a key, from a canonical request to a signature.</summary>
internal static class SignatureV4
{
    /// <summary>Bytes of a signing key and of a signature.</summary>
    public const int HashLength = HMACSHA256.HashSizeInBytes;

    /// <summary>Characters of a time, <c>20260102T030405Z</c>.</summary>
    public const int TimeLength = 16;

    /// <summary>Characters of a date, the first of a time.</summary>
    public const int DateLength = 8;

    /// <summary>The format of a time, always UTC.</summary>
    public const string TimeFormat = "yyyyMMdd'T'HHmmss'Z'";

    /// <summary>The algorithm's name, with which a signed <c>Authorization</c> begins.</summary>
    public static ReadOnlySpan<byte> Algorithm => "AWS4-HMAC-SHA256"u8;

    /// <summary>The last part of every credential scope.</summary>
    public static ReadOnlySpan<byte> Terminator => "aws4_request"u8;

    /// <summary>Derives the key that signs requests of one day to one service in one region.</summary>
    /// <param name="secret">The secret access key.</param>
    /// <param name="date">The day, <see cref="DateLength"/> digits.</param>
    /// <param name="region">The region.</param>
    /// <param name="service">The service's name in scopes.</param>
    public static byte[] DeriveKey(string secret, ReadOnlySpan<byte> date, ReadOnlySpan<byte> region, ReadOnlySpan<byte> service)
    {
        var key = HMACSHA256.HashData(Encoding.UTF8.GetBytes("AWS4" + secret), date);
        key = HMACSHA256.HashData(key, region);
        key = HMACSHA256.HashData(key, service);
        return HMACSHA256.HashData(key, Terminator);
    }

    /// <summary>Signs a canonical request.</summary>
    /// <param name="key">A derived key.</param>
    /// <param name="time">The time, <see cref="TimeLength"/> characters.</param>
    /// <param name="scope">Date, region, service and terminator, joined by slashes.</param>
    /// <param name="canonicalRequest">The whole text.</param>
    /// <param name="signature">Receives <see cref="HashLength"/> bytes.</param>
    public static void Sign(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> time, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> canonicalRequest,
        Span<byte> signature)
    {
        Span<byte> hash = stackalloc byte[HashLength];
        SHA256.HashData(canonicalRequest, hash);

        Span<byte> text = stackalloc byte[256];
        var length = Append(text, 0, Algorithm);
        length = Append(text, length, "\n"u8);
        length = Append(text, length, time);
        length = Append(text, length, "\n"u8);
        length = Append(text, length, scope);
        length = Append(text, length, "\n"u8);
        Convert.TryToHexStringLower(hash, text[length..], out var written);
        HMACSHA256.HashData(key, text[..(length + written)], signature);
    }

    private static int Append(Span<byte> text, int length, ReadOnlySpan<byte> part)
    {
        part.CopyTo(text[length..]);
        return length + part.Length;
    }
}
