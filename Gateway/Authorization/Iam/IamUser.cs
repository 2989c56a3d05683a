using System.Security.Cryptography;
using System.Text;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Who an access key belongs to, and what its policies allow. Immutable, safe for concurrent use.</summary>
internal sealed class IamUser
{
    // The principal ids of IAM users: AIDA and 17 characters of base 32.
    private const string PrincipalIdPrefix = "AIDA";
    private const int PrincipalIdSuffixLength = 17;
    private const string Base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    public IamUser(string accountId, string name, IamPolicy policy)
    {
        AccountId = accountId;
        Arn = $"arn:aws:iam::{accountId}:user/{name}";
        PrincipalId = MakePrincipalId(Arn);
        Policy = policy;
    }

    /// <summary>The account: 12 digits.</summary>
    public string AccountId { get; }

    /// <summary><c>arn:aws:iam::{account}:user/{name}</c></summary>
    public string Arn { get; }

    /// <summary>The id that AWS would make up; here derived from the ARN, so that it is the same on all gateways.</summary>
    public string PrincipalId { get; }

    /// <summary>What the user may do.</summary>
    public IamPolicy Policy { get; }

    private static string MakePrincipalId(string arn)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(arn));
        return string.Create(PrincipalIdPrefix.Length + PrincipalIdSuffixLength, hash, static (id, hash) =>
        {
            PrincipalIdPrefix.CopyTo(id);
            for (var i = 0; i < PrincipalIdSuffixLength; i++)
            {
                id[PrincipalIdPrefix.Length + i] = Base32[hash[i] & 31];
            }
        });
    }
}
