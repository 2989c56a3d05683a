namespace Fanfare.Gateway.Lambda;

/// <summary>What is at a function's address.</summary>
internal enum LambdaTargetKind
{
    /// <summary><c>lambda</c>: a server that speaks the Invoke API for many functions, AWS or compatible.</summary>
    Lambda,

    /// <summary><c>rie</c>: the Runtime Interface Emulator, one function in a container.</summary>
    Emulator,

    /// <summary><c>webhook</c>: anything that takes the event by POST and answers with the result.</summary>
    Webhook,
}

/// <summary>Where a function is.</summary>
/// <param name="Kind">What is there.</param>
/// <param name="Address">The server's base address for <see cref="LambdaTargetKind.Lambda"/>, unless it is a function's invoke address in full.</param>
internal sealed record LambdaTarget(LambdaTargetKind Kind, Uri Address)
{
    private const string FunctionsPath = "/2015-03-31/functions/";
    private const string InvocationsSegment = "/invocations";
    private const string EmulatorPath = FunctionsPath + "function" + InvocationsSegment;

    /// <summary>Whether an address is one that can be called.</summary>
    public static bool IsHttp(Uri address) => address.IsAbsoluteUri && address.Scheme is "http" or "https";

    /// <summary>Tells what an address without a type means.</summary>
    /// <remarks>
    /// The emulator has one path, which nothing else has. No path at all, or the invoke path of another name, is the Invoke API.
    /// Every other path was made up by somebody for this purpose: a webhook.
    /// </remarks>
    public static LambdaTargetKind Guess(Uri address) => address.AbsolutePath switch
    {
        EmulatorPath => LambdaTargetKind.Emulator,
        "/" => LambdaTargetKind.Lambda,
        var path when IsInvokePath(path) => LambdaTargetKind.Lambda,
        _ => LambdaTargetKind.Webhook,
    };

    /// <summary>The address to post an event for a function to.</summary>
    public Uri GetInvokeAddress(string function) => Kind switch
    {
        LambdaTargetKind.Lambda when !IsInvokePath(Address.AbsolutePath) =>
            new Uri($"{Address.GetLeftPart(UriPartial.Path).TrimEnd('/')}{FunctionsPath}{Uri.EscapeDataString(function)}{InvocationsSegment}"),
        LambdaTargetKind.Emulator when Address.AbsolutePath == "/" => new Uri(Address, EmulatorPath),
        _ => Address,
    };

    private static bool IsInvokePath(string path) =>
        path.StartsWith(FunctionsPath, StringComparison.Ordinal) && path.EndsWith(InvocationsSegment, StringComparison.Ordinal);
}

/// <summary>A function's name in any of the forms that Lambda takes: a name or an ARN, whole or partial, with or without qualifier.</summary>
/// <param name="Text">The form as given.</param>
/// <param name="Name">The bare name.</param>
/// <param name="Qualifier">The version or alias, or <see langword="null"/>.</param>
/// <param name="Region">The region where <paramref name="Text"/> is a whole ARN, else <see langword="null"/>.</param>
internal readonly record struct LambdaFunctionName(string Text, string Name, string? Qualifier, string? Region)
{
    /// <summary>Takes a name apart. A text that has none of the forms is a bare name.</summary>
    public static LambdaFunctionName Parse(string text)
    {
        var parts = text.Split(':');
        return parts switch
        {
            ["arn", _, "lambda", var region, _, "function", var name] => new(text, name, null, region),
            ["arn", _, "lambda", var region, _, "function", var name, var qualifier] => new(text, name, qualifier, region),
            [_, "function", var name] => new(text, name, null, null),
            [_, "function", var name, var qualifier] => new(text, name, qualifier, null),
            [var name, var qualifier] => new(text, name, qualifier, null),
            _ => new(text, text, null, null),
        };
    }

    /// <summary>The texts by which configuration may mean this function, the most exact one first.</summary>
    public IEnumerable<string> GetAliases()
    {
        yield return Text;
        if (Qualifier is not null)
        {
            yield return Text[..^(Qualifier.Length + 1)];
            yield return $"{Name}:{Qualifier}";
        }

        yield return Name;
    }
}
