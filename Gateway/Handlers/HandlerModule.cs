namespace Fanfare.Gateway.Handlers;

/// <summary>One of the operations that a namespace can handle.</summary>
internal enum HandlerKind : byte
{
    /// <summary><c>onPublish</c>.</summary>
    OnPublish,

    /// <summary><c>onSubscribe</c>.</summary>
    OnSubscribe,
}

/// <summary>The form in which a module exports a handler (AppSync Events, "Handlers").</summary>
internal enum HandlerForm
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>A function.</summary>
    Function,

    /// <summary>An object with <c>request</c> and <c>response</c>, which stand around the call of a data source.</summary>
    Object,
}

/// <summary>Something about a module's code that its author should know.</summary>
/// <param name="Line">The line, from 1.</param>
/// <param name="Column">The column, from 1.</param>
/// <param name="Message">The text.</param>
/// <param name="IsError">Whether the module cannot run; else it runs here and would be refused by AppSync.</param>
internal sealed record CodeProblem(int Line, int Column, string Message, bool IsError);

/// <summary>A module that a runtime has looked at. Immutable; engines derive what they need.</summary>
internal abstract class HandlerModule(HandlerOwner owner, IReadOnlyList<CodeProblem> problems, HandlerForm onPublish, HandlerForm onSubscribe)
{
    /// <summary>Whose code it is.</summary>
    public HandlerOwner Owner { get; } = owner;

    /// <summary>What its author should know. Where one is an error, the module cannot be called.</summary>
    public IReadOnlyList<CodeProblem> Problems { get; } = problems;

    /// <summary>The form of a handler.</summary>
    public HandlerForm GetForm(HandlerKind kind) => kind == HandlerKind.OnPublish ? onPublish : onSubscribe;
}
