namespace Fanfare.Gateway.Apis.Templates;

/// <summary>What one load may still spend on functions, and what it is in the middle of. One load, one thread.</summary>
internal sealed class EvaluationBudget
{
    private readonly List<string> _path = [];
    private int _depth;
    private int _callCount;
    private long _producedLength;

    /// <summary>
    /// Begins a function call; <see cref="EndCall"/> follows in any case. Returns why not, or <see langword="null"/>.
    /// </summary>
    public string? BeginCall()
    {
        _depth++;
        if (_depth > TemplateLimits.EvaluationDepthMax)
            return $"functions are nested deeper than {TemplateLimits.EvaluationDepthMax} levels";
        return ++_callCount > TemplateLimits.CallCountMax
            ? $"the templates call more than {TemplateLimits.CallCountMax:N0} functions"
            : null;
    }

    /// <summary>Ends a function call.</summary>
    public void EndCall() => _depth--;

    /// <summary>Counts a text before it is built. Returns why it must not be, or <see langword="null"/>.</summary>
    public string? Produce(long length)
    {
        _producedLength += length;
        if (length > TemplateLimits.TextLengthMax)
            return $"the text would be longer than {TemplateLimits.TextLengthMax:N0} characters";
        return _producedLength > TemplateLimits.ProducedLengthMax
            ? $"functions would make more than {TemplateLimits.ProducedLengthMax:N0} characters together"
            : null;
    }

    /// <summary>Begins to evaluate something named; <see cref="Leave"/> follows on success of this call.</summary>
    /// <returns>The path of the cycle where the name is being evaluated already, or <see langword="null"/>.</returns>
    public string? Enter(string name)
    {
        var start = _path.IndexOf(name);
        if (start >= 0) return string.Join(" -> ", _path.Skip(start).Append(name));
        _path.Add(name);
        return null;
    }

    /// <summary>Ends what <see cref="Enter"/> began last.</summary>
    public void Leave() => _path.RemoveAt(_path.Count - 1);
}
