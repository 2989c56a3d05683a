namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Reads the users of <see cref="IamOptions"/> from configuration.</summary>
/// <remarks>
/// By hand, since the ordinary binder reads a list only from a list, where policies commonly have one text for <c>Action</c> and
/// <c>Resource</c>, and since it does not tell which key an entry came from, which messages about it must name.
/// </remarks>
internal static class IamOptionsReader
{
    /// <summary>Replaces the users by those of a section.</summary>
    /// <param name="iam">The section <c>Fanfare:Iam</c>.</param>
    /// <param name="options">The options, bound otherwise.</param>
    public static void ReadUsers(IConfigurationSection iam, IamOptions options)
    {
        options.Users.Clear();
        foreach (var section in iam.GetSection(nameof(IamOptions.Users)).GetChildren())
        {
            var user = new IamUserOptions
            {
                Name = section[nameof(IamUserOptions.Name)] ?? "",
                AccessKeyId = section[nameof(IamUserOptions.AccessKeyId)] ?? "",
                SecretAccessKey = section[nameof(IamUserOptions.SecretAccessKey)] ?? "",
                SessionToken = section[nameof(IamUserOptions.SessionToken)],
                Key = section.Path,
            };
            foreach (var policy in section.GetSection(nameof(IamUserOptions.Policies)).GetChildren())
            {
                user.Policies.Add(ReadPolicy(policy));
            }

            options.Users.Add(user);
        }
    }

    private static IamPolicyOptions ReadPolicy(IConfigurationSection section)
    {
        var policy = new IamPolicyOptions { Effect = section[nameof(IamPolicyOptions.Effect)] ?? "", Key = section.Path };
        ReadTexts(section.GetSection(nameof(IamPolicyOptions.Action)), policy.Action);
        ReadTexts(section.GetSection(nameof(IamPolicyOptions.Resource)), policy.Resource);
        return policy;
    }

    private static void ReadTexts(IConfigurationSection section, IList<string> texts)
    {
        if (section.Value is { Length: > 0 } text)
        {
            texts.Add(text);
        }

        foreach (var item in section.GetChildren())
        {
            texts.Add(item.Value ?? "");
        }
    }
}
