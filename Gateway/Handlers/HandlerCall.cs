using System.Buffers;

namespace Fanfare.Gateway.Handlers;

/// <summary>The function of a handler that is called.</summary>
internal enum HandlerPhase : byte
{
    /// <summary>The handler itself, in the function form.</summary>
    Function,

    /// <summary><c>request</c> of the object form.</summary>
    Request,

    /// <summary><c>response</c> of the object form.</summary>
    Response,
}

/// <summary>One call of a handler.</summary>
/// <param name="Kind">Which handler.</param>
/// <param name="Phase">Which of its functions.</param>
/// <param name="Context">
/// What the context is made of, JSON: <c>identity</c>, <c>request</c>, <c>info</c>, <c>authType</c>, <c>logLevel</c>, <c>events</c> as
/// pairs of id and JSON text, and <c>stash</c>, <c>outErrors</c>, <c>result</c>, <c>error</c>; see <see cref="HandlerContext"/>. Stays as it
/// is until the call ends.
/// </param>
internal readonly record struct HandlerCall(HandlerKind Kind, HandlerPhase Phase, ReadOnlyMemory<byte> Context);

/// <summary>Why a call has no output.</summary>
internal enum HandlerFailure
{
    /// <summary>It has one.</summary>
    None,

    /// <summary>The code took longer than <see cref="HandlerOptions.EvaluationTimeout"/>.</summary>
    TimedOut,

    /// <summary>The code brought its process down, by using up its memory for instance.</summary>
    Crashed,

    /// <summary>The output is larger than <see cref="HandlerOptions.ResultBytesMax"/>.</summary>
    TooLarge,

    /// <summary>The namespace's code did one of these too often lately and is not run for a while.</summary>
    Fenced,

    /// <summary>Too many calls are under way.</summary>
    Overloaded,

    /// <summary>No engine could be started.</summary>
    Unavailable,
}

/// <summary>What came of a call: an output, or why there is none.</summary>
/// <remarks>
/// The output is one JSON object: <c>result</c> or <c>request</c>, or <c>failure</c>; with <c>log</c>, and what else its phase has. See
/// <see cref="HandlerOutput"/>. Disposed once, by whoever got it.
/// </remarks>
internal readonly struct HandlerReply : IDisposable
{
    private readonly byte[]? _rented;

    private HandlerReply(byte[]? rented, int length, HandlerFailure failure)
    {
        _rented = rented;
        Output = rented.AsMemory(0, length);
        Failure = failure;
    }

    /// <summary>The output; empty where there is none.</summary>
    public ReadOnlyMemory<byte> Output { get; }

    /// <summary>Why there is no output.</summary>
    public HandlerFailure Failure { get; }

    /// <summary>An output in memory rented from the shared pool, which this takes over.</summary>
    public static HandlerReply Returned(byte[] rented, int length) => new(rented, length, HandlerFailure.None);

    /// <summary>No output.</summary>
    public static HandlerReply Failed(HandlerFailure failure) => new(null, 0, failure);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
        }
    }
}
