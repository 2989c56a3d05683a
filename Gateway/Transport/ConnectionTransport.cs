namespace Fanfare.Gateway.Transport;

/// <summary>What carries one connection's bytes: a stream of the web server, or a socket of an event loop.</summary>
internal abstract class ConnectionTransport
{
    /// <summary>Breaks the connection off, so that what is under way ends. Safe to call at any time and more than once.</summary>
    public abstract void Abort();

    /// <summary>Nothing will be written any more. Called once.</summary>
    public abstract void WritingEnded();
}

/// <summary>A stream of the web server: TLS, HTTP/2, and systems without <see cref="EventLoop"/>.</summary>
/// <param name="stream">The upgraded connection; one write at a time.</param>
/// <param name="abort">Breaks the connection off. Safe to call at any time.</param>
internal sealed class StreamTransport(Stream stream, Action abort) : ConnectionTransport
{
    private readonly TaskCompletionSource _writingEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The connection's bytes.</summary>
    public Stream Stream { get; } = stream;

    /// <summary>Ends when nothing will be written any more.</summary>
    public Task Completed => _writingEnded.Task;

    /// <inheritdoc/>
    public override void Abort() => abort();

    /// <inheritdoc/>
    public override void WritingEnded() => _writingEnded.TrySetResult();
}
