using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Makes up ids and names that are the same at every start.</summary>
internal static class StableName
{
    /// <summary>Lower-case letters and digits: API ids, keys, client ids.</summary>
    public const string LowerAlphanumeric = "abcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>Upper-case letters and digits: the random end of a physical name.</summary>
    public const string UpperAlphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    /// <summary>Letters and digits: user pool ids.</summary>
    public const string Alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>Makes a name anybody can make again from the same parts.</summary>
    public static string Hash(string alphabet, int length, params ReadOnlySpan<string> parts) =>
        Spell(SHA256.HashData(Encode(parts)), alphabet, length);

    /// <summary>Makes a name only the secret's owner can make again.</summary>
    public static string Derive(byte[] secret, string alphabet, int length, params ReadOnlySpan<string> parts) =>
        Spell(HMACSHA256.HashData(secret, Encode(parts)), alphabet, length);

    // 26 characters of 36 take 134 of the hash's 256 bits, so the remainder is as good as uniform.
    private static string Spell(byte[] hash, string alphabet, int length)
    {
        var number = new BigInteger(hash, isUnsigned: true);
        var name = new char[length];
        for (var i = 0; i < length; i++)
        {
            number = BigInteger.DivRem(number, alphabet.Length, out var digit);
            name[i] = alphabet[(int)digit];
        }

        return new string(name);
    }

    // Each part goes with its length, so that ("ab", "c") and ("a", "bc") differ.
    private static byte[] Encode(ReadOnlySpan<string> parts)
    {
        using var bytes = new MemoryStream();
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var part in parts)
        {
            var text = Encoding.UTF8.GetBytes(part);
            BinaryPrimitives.WriteInt32BigEndian(length, text.Length);
            bytes.Write(length);
            bytes.Write(text);
        }

        return bytes.ToArray();
    }
}
