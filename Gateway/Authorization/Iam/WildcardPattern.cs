namespace Fanfare.Gateway.Authorization.Iam;

/// <summary>A pattern of an IAM policy: <c>*</c> for any characters, none included, <c>?</c> for one. Safe for concurrent use.</summary>
/// <remarks>
/// Case matters. Takes at most as many steps as pattern and text have characters, multiplied: only the last <c>*</c> met is ever
/// returned to.
/// </remarks>
internal sealed class WildcardPattern
{
    private readonly string _pattern;
    private readonly bool _isLiteral;

    public WildcardPattern(string pattern)
    {
        _pattern = pattern;
        _isLiteral = !pattern.AsSpan().ContainsAny('*', '?');
    }

    /// <summary>Whether the pattern stands for the whole text.</summary>
    public bool IsMatch(ReadOnlySpan<char> text)
    {
        if (_isLiteral)
        {
            return text.SequenceEqual(_pattern);
        }

        var (p, t, star, starText) = (0, 0, -1, 0);
        while (t < text.Length)
        {
            if (p < _pattern.Length && _pattern[p] == '*')
            {
                (star, starText) = (p++, t);
            }
            else if (p < _pattern.Length && (_pattern[p] == '?' || _pattern[p] == text[t]))
            {
                p++;
                t++;
            }
            else if (star >= 0)
            {
                // The last star takes one character more.
                (p, t) = (star + 1, ++starText);
            }
            else
            {
                return false;
            }
        }

        return !_pattern.AsSpan(p).ContainsAnyExcept('*');
    }
}
