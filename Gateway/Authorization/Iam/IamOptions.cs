namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>Who may sign requests in the mode <c>AWS_IAM</c>; what AWS keeps in IAM. Bound to <c>Fanfare:Iam</c>.</summary>
public sealed class IamOptions
{
    /// <summary>Gets or sets by how much a signature's time may differ from the gateway's clock, in either direction.</summary>
    /// <value>5 minutes by default, as on AWS; a day at most.</value>
    public TimeSpan ClockSkew { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Gets or sets for how long after its first use the signature of a publish may be used again.</summary>
    /// <value>
    /// 15 seconds by default: equal publishes within a second have equal signatures, and some networks deliver late. From twice
    /// <see cref="ClockSkew"/> on, nothing is refused, as on AWS.
    /// </value>
    public TimeSpan RepeatTime { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Gets the access keys, each with its user. Entries of one name are one user with the policies of all of them.</summary>
    /// <value>None by default: every signed request is refused.</value>
    public IList<IamUserOptions> Users { get; } = [];
}

/// <summary>One access key of a user, and the user's policies. Bound to <c>Fanfare:Iam:Users:{n}</c>.</summary>
public sealed class IamUserOptions
{
    /// <summary>Gets or sets the user's name, the last part of its ARN: 1 to 64 letters, digits or any of <c>+ = , . @ _ -</c>.</summary>
    public string Name { get; set; } = "";

    /// <summary>Gets or sets the id of the access key; no two entries share one.</summary>
    public string AccessKeyId { get; set; } = "";

    /// <summary>Gets or sets the secret of the access key. Never logged.</summary>
    public string SecretAccessKey { get; set; } = "";

    /// <summary>Gets or sets the token that requests with this key must carry.</summary>
    /// <value>Unset by default: the key is a long-term one, which has no token. Never logged.</value>
    public string? SessionToken { get; set; }

    /// <summary>Gets the statements of the user's policies.</summary>
    /// <value>None by default: nothing is allowed.</value>
    public IList<IamPolicyOptions> Policies { get; } = [];

    /// <summary>Gets the entry's key in the configuration, for messages.</summary>
    internal string Key { get; init; } = "";
}

/// <summary>One statement of a policy. Bound to <c>Fanfare:Iam:Users:{n}:Policies:{m}</c>.</summary>
/// <remarks>
/// In patterns, <c>*</c> stands for any characters and <c>?</c> for one. Conditions, variables and the <c>Not…</c> members of IAM
/// do not exist here, and stop the start rather than being passed over.
/// </remarks>
public sealed class IamPolicyOptions
{
    /// <summary>Gets or sets <c>Allow</c> or <c>Deny</c>.</summary>
    public string Effect { get; set; } = "";

    /// <summary>
    /// Gets the actions: <c>appsync:EventConnect</c>, <c>appsync:EventPublish</c>, <c>appsync:EventSubscribe</c>, or patterns.
    /// Configured as one text or a list.
    /// </summary>
    public IList<string> Action { get; } = [];

    /// <summary>Gets the ARNs of APIs and channel namespaces, or patterns; one text or a list.</summary>
    public IList<string> Resource { get; } = [];

    /// <summary>Gets the entry's key in the configuration, for messages.</summary>
    internal string Key { get; init; } = "";

    /// <summary>Gets a value indicating whether the statement allows.</summary>
    internal bool IsAllow => Effect == "Allow";
}
