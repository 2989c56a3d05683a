namespace Fanfare.Gateway.Handlers;

/// <summary>How event handlers run, and within which limits. Bound to <c>Fanfare:Handlers</c>.</summary>
public sealed class HandlerOptions
{
    /// <summary>The configuration section that is bound to this type.</summary>
    public const string SectionName = "Fanfare:Handlers";

    /// <summary>Gets or sets the Node.js program that runs handler code.</summary>
    /// <value><c>node</c> by default, looked up in <c>PATH</c>.</value>
    public string Node { get; set; } = "node";

    /// <summary>Gets or sets how many worker processes run handler code.</summary>
    /// <value>0 by default: one for each core.</value>
    public int Workers { get; set; }

    /// <summary>Gets or sets whether code that AppSync would refuse stops the start, rather than being reported as a warning.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool Strict { get; set; }

    /// <summary>Gets or sets whether templates and code files are watched, and changed handlers loaded while the gateway runs; <c>--watch</c>.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool Watch { get; set; }

    /// <summary>Gets or sets how long a handler may take, the calls of data sources and functions included.</summary>
    /// <value>30 seconds by default, as on AppSync.</value>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long code may compute at a stretch; then its worker is ended.</summary>
    /// <value>1 second by default; AppSync's value is not published.</value>
    public TimeSpan EvaluationTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets how many loop iterations and function calls one evaluation may make.</summary>
    /// <value>10,000,000 by default; AppSync's value is not published.</value>
    public int IterationsMax { get; set; } = 10_000_000;

    /// <summary>Gets or sets the memory of a worker for code and data in MiB; code that exceeds it loses its worker.</summary>
    /// <value>128 by default.</value>
    public int MemoryMaxMiB { get; set; } = 128;

    /// <summary>Gets or sets how many bytes a handler's result may have.</summary>
    /// <value>8 MiB by default: more than any five events may have.</value>
    public int ResultBytesMax { get; set; } = 8 * 1024 * 1024;

    /// <summary>Gets or sets how many bytes of log a request may write; the rest is cut.</summary>
    /// <value>1 MiB by default, as on AppSync.</value>
    public int LogBytesMax { get; set; } = 1024 * 1024;

    /// <summary>Adds what is wrong with the options; each message names the key.</summary>
    internal void Validate(ICollection<string> failures)
    {
        if (string.IsNullOrWhiteSpace(Node))
        {
            failures.Add($"{SectionName}:{nameof(Node)} must name a program.");
        }

        RequireBetween(Workers, 0, 1024, nameof(Workers));
        RequireBetween(IterationsMax, 1, int.MaxValue, nameof(IterationsMax));
        RequireBetween(MemoryMaxMiB, 16, 16 * 1024, nameof(MemoryMaxMiB));
        RequireBetween(ResultBytesMax, 1024, 256 * 1024 * 1024, nameof(ResultBytesMax));
        RequireBetween(LogBytesMax, 0, 64 * 1024 * 1024, nameof(LogBytesMax));
        RequireTime(Timeout, nameof(Timeout));
        RequireTime(EvaluationTimeout, nameof(EvaluationTimeout));

        void RequireBetween(int value, int least, int most, string key)
        {
            if (value < least || value > most)
            {
                failures.Add($"{SectionName}:{key} must be {least} to {most}.");
            }
        }

        void RequireTime(TimeSpan value, string key)
        {
            if (value <= TimeSpan.Zero || value > TimeSpan.FromHours(1))
            {
                failures.Add($"{SectionName}:{key} must be a time between 0 and one hour.");
            }
        }
    }
}
