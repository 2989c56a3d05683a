namespace Fanfare.Gateway.Protocol;

/// <summary>Version 4 UUIDs (RFC 9562, section 5.4) that must be unique, not secret: the system's generator would cost a system call each.</summary>
internal static class RandomUuid
{
    /// <summary>Makes one.</summary>
    public static Guid Create()
    {
        Span<byte> bytes = stackalloc byte[16];
        Random.Shared.NextBytes(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }
}
