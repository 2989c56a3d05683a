using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Fanfare.Gateway;

/// <summary>What a gateway keeps between starts; made at the first one.</summary>
/// <param name="ApiId">The id of the default API.</param>
/// <param name="ApiKey">The key of the default API.</param>
/// <param name="Secret">What the keys of templates are derived from: 32 random bytes.</param>
internal sealed record StoredIdentity(string ApiId, string ApiKey, byte[] Secret)
{
    /// <summary>Describes the identity without its secrets.</summary>
    public override string ToString() => $"StoredIdentity {{ ApiId = {ApiId} }}";
}

/// <summary>The folder that holds what must survive a restart.</summary>
internal sealed partial class DataFolder(string path)
{
    private const string FileName = "identity.json";
    private const int IdLength = 26;

    // EEXIST, the same on Linux and macOS.
    private const int FileExists = 17;
    private const string IdAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>Reads the identity, or makes it where there is none yet.</summary>
    /// <exception cref="GatewayStartException">The folder cannot be used, or its file is damaged.</exception>
    public StoredIdentity LoadOrCreateIdentity()
    {
        var file = Path.Combine(path, FileName);
        try
        {
            Directory.CreateDirectory(path);
            if (!File.Exists(file))
            {
                Create(file);
            }

            return Read(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new GatewayStartException($"The data folder '{path}' cannot be used (--data): {e.Message}");
        }
    }

    private static StoredIdentity Read(string file)
    {
        try
        {
            var identity = JsonSerializer.Deserialize(File.ReadAllBytes(file), StoredIdentityContext.Default.StoredIdentity);
            if (identity is { ApiId.Length: > 0, ApiKey.Length: > 0, Secret.Length: > 0 })
            {
                return identity;
            }
        }
        catch (JsonException)
        {
            // Said below, in the same words as for a file that lacks a member.
        }

        throw new GatewayStartException($"'{file}' is damaged. Restore it, or delete it to get a new API key.");
    }

    private static void Create(string file)
    {
        var identity = new StoredIdentity(
            RandomNumberGenerator.GetString(IdAlphabet, IdLength),
            "da2-" + RandomNumberGenerator.GetString(IdAlphabet, IdLength),
            RandomNumberGenerator.GetBytes(32));
        // Written aside and renamed, so that a crash leaves no half a file; the owner alone may read a key.
        var draft = $"{file}.{Environment.ProcessId}";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var stream = new FileStream(draft, options))
        {
            JsonSerializer.Serialize(stream, identity, StoredIdentityContext.Default.StoredIdentity);
        }

        Publish(draft, file);
    }

    // Where another gateway that shares the folder was first, its identity counts. On Unix, File.Move looks whether the target
    // exists and then renames over it; a hard link fails atomically where it does.
    private static void Publish(string draft, string file)
    {
        if (!OperatingSystem.IsWindows() && (Link(draft, file) == 0 || Marshal.GetLastPInvokeError() == FileExists))
        {
            File.Delete(draft);
            return;
        }

        try
        {
            // Windows, or a file system without hard links.
            File.Move(draft, file, overwrite: false);
        }
        catch (IOException) when (File.Exists(file))
        {
            File.Delete(draft);
        }
    }

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string added);
}

/// <summary>The JSON form of <see cref="StoredIdentity"/>.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(StoredIdentity))]
internal sealed partial class StoredIdentityContext : JsonSerializerContext;
