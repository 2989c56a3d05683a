namespace Fanfare.Gateway.Handlers;

/// <summary>Runs handler code. Everything that knows an engine or a language is behind this.</summary>
/// <remarks>Safe for concurrent use. Code costs its own calls an error, whatever it does, and nothing else.</remarks>
internal interface IHandlerRuntime
{
    /// <summary>Makes a module callable, or says what is wrong with it.</summary>
    /// <param name="owner">Whose code it is, for logs and for what its failures are held against.</param>
    /// <param name="code">One module of <c>APPSYNC_JS</c>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="HandlerRuntimeException">There is no engine to load it with; the message says what to do.</exception>
    ValueTask<HandlerModule> LoadAsync(HandlerOwner owner, string code, CancellationToken cancellationToken);

    /// <summary>Calls a handler of a module.</summary>
    /// <param name="module">The module, from this runtime's <see cref="LoadAsync"/>.</param>
    /// <param name="call">What is called with which context.</param>
    /// <param name="cancellationToken">Ends the wait; the call itself may go on until its time is up.</param>
    /// <returns>What came of it; the caller disposes it.</returns>
    ValueTask<HandlerReply> InvokeAsync(HandlerModule module, HandlerCall call, CancellationToken cancellationToken);

    /// <summary>Forgets a module; calls of it that are under way still end.</summary>
    void Unload(HandlerModule module);
}

/// <summary>The namespace that code belongs to.</summary>
/// <param name="ApiId">The API's id.</param>
/// <param name="Namespace">The namespace's name.</param>
internal readonly record struct HandlerOwner(string ApiId, string Namespace);

/// <summary>Raised where no engine can be had; the message is for operators.</summary>
internal sealed class HandlerRuntimeException(string message) : Exception(message);
