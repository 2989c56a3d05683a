namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>What the statements of a user's policies say, compiled. Immutable, safe for concurrent use.</summary>
/// <remarks>
/// A statement that denies wins over any that allows, and what no statement allows is denied. Only three actions exist here, so
/// which statements speak of which action is settled at the start and resources alone are matched per request.
/// Source: AWS Identity and Access Management, "Policy evaluation logic".
/// </remarks>
internal sealed class IamPolicy
{
    private static readonly AuthOperation[] s_operations = Enum.GetValues<AuthOperation>();

    private readonly WildcardPattern[][] _allowed;
    private readonly WildcardPattern[][] _denied;

    /// <param name="statements">Statements that passed <see cref="IamOptionsValidator"/>.</param>
    public IamPolicy(IReadOnlyCollection<IamPolicyOptions> statements)
    {
        _allowed = Compile(statements, isAllow: true);
        _denied = Compile(statements, isAllow: false);
    }

    /// <summary>Returns the name of the action that an operation is.</summary>
    public static string GetAction(AuthOperation operation) => operation switch
    {
        AuthOperation.Connect => "appsync:EventConnect",
        AuthOperation.Publish => "appsync:EventPublish",
        _ => "appsync:EventSubscribe",
    };

    /// <summary>Whether the operation is allowed on a resource.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="resource">The ARN of an API or of a channel namespace.</param>
    public bool Allows(AuthOperation operation, ReadOnlySpan<char> resource) =>
        !IsAnyMatch(_denied[(int)operation], resource) && IsAnyMatch(_allowed[(int)operation], resource);

    private static bool IsAnyMatch(WildcardPattern[] patterns, ReadOnlySpan<char> resource)
    {
        foreach (var pattern in patterns)
        {
            if (pattern.IsMatch(resource))
            {
                return true;
            }
        }

        return false;
    }

    private static WildcardPattern[][] Compile(IReadOnlyCollection<IamPolicyOptions> statements, bool isAllow) =>
    [
        .. s_operations.Select(operation => statements
            .Where(statement => statement.IsAllow == isAllow && statement.Action.Any(action => IsMatch(action, operation)))
            .SelectMany(statement => statement.Resource)
            .Select(resource => new WildcardPattern(resource))
            .ToArray()),
    ];

    // Names of actions are compared without regard to case, those of resources are not.
    private static bool IsMatch(string action, AuthOperation operation) =>
        new WildcardPattern(action.ToUpperInvariant()).IsMatch(GetAction(operation).ToUpperInvariant());
}
