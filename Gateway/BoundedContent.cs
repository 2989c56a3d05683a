using System.Buffers;

namespace Fanfare.Gateway;

/// <summary>Reads the body of an answer through a limit, whatever its headers promise.</summary>
internal static class BoundedContent
{
    private const int FirstReadBytes = 16 * 1024;

    /// <summary>Reads a body.</summary>
    /// <param name="content">The body, not read yet: from a <see cref="HttpMessageInvoker"/>, or for headers only.</param>
    /// <param name="bytesMax">The greatest body that is read.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>The body, or <see langword="null"/> where it is larger.</returns>
    public static async Task<byte[]?> ReadAsync(HttpContent content, int bytesMax, CancellationToken cancellationToken)
    {
        if (content.Headers.ContentLength > bytesMax)
        {
            return null;
        }

        await using var stream = await content.ReadAsStreamAsync(cancellationToken);
        var buffer = ArrayPool<byte>.Shared.Rent((int)(content.Headers.ContentLength + 1 ?? FirstReadBytes));
        try
        {
            var length = 0;
            while (true)
            {
                var read = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken);
                if (read == 0)
                {
                    return buffer.AsSpan(0, length).ToArray();
                }

                length += read;
                if (length > bytesMax)
                {
                    return null;
                }

                if (length == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(2 * length);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
                    buffer = larger;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
    }
}
