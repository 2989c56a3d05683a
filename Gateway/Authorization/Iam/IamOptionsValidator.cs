using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Checks <see cref="IamOptions"/> at the start. Messages name the key of a setting and never its value, which may be secret.</summary>
internal sealed class IamOptionsValidator : IValidateOptions<GatewayOptions>
{
    private const int NameLengthMax = 64;

    // A day of skew, so that no more than three days' signing keys are in use.
    private static readonly TimeSpan s_clockSkewMax = TimeSpan.FromDays(1);

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, GatewayOptions options)
    {
        var failures = new List<string>();
        if (options.Iam.ClockSkew <= TimeSpan.Zero || options.Iam.ClockSkew > s_clockSkewMax)
        {
            failures.Add("Fanfare:Iam:ClockSkew must be a time between 0 and 1 day.");
        }

        if (options.Iam.RepeatTime < TimeSpan.Zero)
        {
            failures.Add("Fanfare:Iam:RepeatTime must not be negative.");
        }

        var keyIds = new HashSet<string>(StringComparer.Ordinal);
        foreach (var user in options.Iam.Users)
        {
            ValidateUser(user, failures);
            if (user.AccessKeyId.Length > 0 && !keyIds.Add(user.AccessKeyId))
            {
                failures.Add($"{user.Key}:AccessKeyId is the same as an earlier entry's.");
            }
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static void ValidateUser(IamUserOptions user, List<string> failures)
    {
        if (user.Name.Length is 0 or > NameLengthMax || !user.Name.All(c => char.IsAsciiLetterOrDigit(c) || "+=,.@_-".Contains(c)))
        {
            failures.Add($"{user.Key}:Name must be 1 to {NameLengthMax} letters, digits or any of + = , . @ _ -");
        }

        if (user.AccessKeyId.Length is 0 or > IamDirectory.AccessKeyIdLengthMax
            || !user.AccessKeyId.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.'))
        {
            failures.Add(
                $"{user.Key}:AccessKeyId must be 1 to {IamDirectory.AccessKeyIdLengthMax} letters, digits, dots, hyphens or underscores.");
        }

        if (string.IsNullOrWhiteSpace(user.SecretAccessKey))
        {
            failures.Add($"{user.Key}:SecretAccessKey must not be empty.");
        }

        // A header's value has no white space around it and is ASCII, so nothing a client sends could be equal to any other.
        if (user.SessionToken is { } token && (token.Length == 0 || token.Any(c => c is <= ' ' or > '~')))
        {
            failures.Add($"{user.Key}:SessionToken must be printable ASCII without spaces, or not be there.");
        }

        ValidatePolicies(user.Policies, failures);
    }

    private static void ValidatePolicies(IEnumerable<IamPolicyOptions> policies, List<string> failures)
    {
        foreach (var policy in policies)
        {
            if (policy.Effect is not ("Allow" or "Deny"))
            {
                failures.Add($"{policy.Key}:Effect must be Allow or Deny.");
            }

            ValidatePatterns(policy.Action, $"{policy.Key}:Action", failures);
            ValidatePatterns(policy.Resource, $"{policy.Key}:Resource", failures);
        }
    }

    private static void ValidatePatterns(IList<string> patterns, string key, List<string> failures)
    {
        if (patterns.Count == 0 || patterns.Any(string.IsNullOrWhiteSpace))
        {
            failures.Add($"{key} must be a text or a list of texts, none of them empty.");
        }

        // Taken literally, a variable would match nothing: harmless in what allows, and not at all in what denies.
        if (patterns.Any(pattern => pattern.Contains("${", StringComparison.Ordinal)))
        {
            failures.Add($"{key} has a policy variable, which is not supported.");
        }
    }
}
