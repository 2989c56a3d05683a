namespace Fanfare.Gateway.Apis.Templates;

/// <summary>Bounds on what a template may cost. A template is an operator's file, but it may come from anywhere.</summary>
internal static class TemplateLimits
{
    /// <summary>Bytes of one file: CloudFormation's own limit for a template body.</summary>
    public const int FileBytesMax = 1024 * 1024;

    /// <summary>Levels of lists and maps in a file. CDK's deepest conditions take about twenty.</summary>
    public const int DepthMax = 64;

    /// <summary>Nodes of one file, where an alias counts as much as what it stands for.</summary>
    public const int NodeCountMax = 200_000;

    /// <summary>Functions evaluated inside each other, references included; far above use, far below the stack's end.</summary>
    public const int EvaluationDepthMax = 200;

    /// <summary>Characters of one evaluated text: no property takes a tenth of it.</summary>
    public const int TextLengthMax = FileBytesMax;

    /// <summary>Characters that all functions of one load may produce together.</summary>
    public const long ProducedLengthMax = 64L * 1024 * 1024;

    /// <summary>Functions that one load may call.</summary>
    public const int CallCountMax = 1_000_000;

    /// <summary>Mistakes, and likewise warnings, that are reported; more help nobody.</summary>
    public const int ReportCountMax = 100;

    /// <summary>Characters of handler code; the service's limit.</summary>
    public const int CodeLengthMax = 32_768;
}
