using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>The access keys that this gateway knows. Immutable, safe for concurrent use.</summary>
internal sealed class IamDirectory
{
    /// <summary>Characters that an access key's id may have.</summary>
    public const int AccessKeyIdLengthMax = 128;

    private readonly FrozenDictionary<string, IamCredential>.AlternateLookup<ReadOnlySpan<char>> _credentials;
    private readonly IamCredential _nobody;

    public IamDirectory(IOptions<GatewayOptions> options)
    {
        var (region, account, configured) = (options.Value.Region, options.Value.AccountId, options.Value.Iam.Users);

        // Entries of one name are one user: several keys, and the policies of all entries together.
        var users = configured.GroupBy(entry => entry.Name, StringComparer.Ordinal).ToDictionary(
            entries => entries.Key,
            entries => new IamUser(account, entries.Key, new IamPolicy([.. entries.SelectMany(entry => entry.Policies)])),
            StringComparer.Ordinal);
        _credentials = configured.ToFrozenDictionary(
            entry => entry.AccessKeyId,
            entry => new IamCredential(users[entry.Name], entry.SecretAccessKey, entry.SessionToken, region),
            StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        _nobody = new IamCredential(
            new IamUser(account, "nobody", new IamPolicy([])), RandomNumberGenerator.GetHexString(40), sessionToken: null, region);
    }

    /// <summary>Finds an access key.</summary>
    /// <param name="accessKeyId">The key's id.</param>
    /// <param name="credential">The key; for an unknown id one that fits nothing, so that both take the same time to verify.</param>
    public bool TryFind(ReadOnlySpan<byte> accessKeyId, out IamCredential credential)
    {
        Span<char> id = stackalloc char[AccessKeyIdLengthMax];
        if (Encoding.UTF8.TryGetChars(accessKeyId, id, out var length) && _credentials.TryGetValue(id[..length], out var found))
        {
            credential = found;
            return true;
        }

        credential = _nobody;
        return false;
    }
}
