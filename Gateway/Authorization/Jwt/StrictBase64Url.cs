using System.Buffers;
using System.Buffers.Text;

namespace Fanfare.Gateway.Authorization.Jwt;

/// <summary>Base64url as RFC 7515 writes it: no padding, no white space, no second spelling of the same bytes.</summary>
internal static class StrictBase64Url
{
    private static readonly SearchValues<byte> s_alphabet =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8);

    /// <summary>Decodes; empty text gives no bytes.</summary>
    /// <returns><see langword="false"/> where the text is not the one spelling of its bytes.</returns>
    public static bool TryDecode(ReadOnlySpan<byte> text, out byte[] bytes)
    {
        bytes = [];
        if (text.Length % 4 == 1 || text.ContainsAnyExcept(s_alphabet) || !HasZeroTrailingBits(text))
        {
            return false;
        }

        bytes = new byte[(text.Length * 3L) / 4];
        return Base64Url.DecodeFromUtf8(text, bytes, out var consumed, out var written) == OperationStatus.Done
            && consumed == text.Length && written == bytes.Length;
    }

    // The last character of a partial group carries two or four bits that decode to nothing. Were they ignored, a signature
    // would have several spellings.
    private static bool HasZeroTrailingBits(ReadOnlySpan<byte> text) => (text.Length % 4) switch
    {
        2 => "AQgw"u8.Contains(text[^1]),
        3 => "AEIMQUYcgkosw048"u8.Contains(text[^1]),
        _ => true,
    };
}
