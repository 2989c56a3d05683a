using System.Text.RegularExpressions;

namespace Fanfare.Gateway.Apis;

/// <summary>A regular expression that the operator wrote and that runs on what strangers write.</summary>
/// <remarks>It runs where connections are served, so its time is linear in the text wherever the expression allows, and bounded where not.</remarks>
internal sealed class OperatorPattern
{
    private static readonly TimeSpan s_matchTimeout = TimeSpan.FromMilliseconds(100);

    private readonly Regex _regex;

    /// <param name="pattern">The expression, known to be one.</param>
    public OperatorPattern(string pattern)
    {
        try
        {
            _regex = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, s_matchTimeout);
        }
        catch (NotSupportedException)
        {
            // Lookarounds and backreferences need the backtracking engine, which the timeout bounds.
            _regex = new Regex(pattern, RegexOptions.CultureInvariant, s_matchTimeout);
        }
    }

    /// <summary>Whether the expression is found in the text; not where that takes too long to say.</summary>
    public bool IsFoundIn(string text)
    {
        try
        {
            return _regex.IsMatch(text);
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
    }
}
