using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Threading.Tasks.Sources;

namespace Fanfare.Gateway.Handlers.Node;

/// <summary>One thing asked of a worker, from the question to the answer, over as many workers as it takes.</summary>
/// <remarks>Completed once, by whoever is first; then it is never sent again. The frames are those of <c>worker.js</c>.</remarks>
internal sealed class NodeCall : IValueTaskSource<HandlerReply>
{
    private const byte CompileFrame = 1;
    private const byte InvokeFrame = 3;
    private const int HeaderBytes = sizeof(uint) + sizeof(byte) + sizeof(uint);

    private readonly Lock _lock = new();
    private readonly string? _source;
    private readonly HandlerCall _call;
    private ManualResetValueTaskSourceCore<HandlerReply> _core = new() { RunContinuationsAsynchronously = true };
    private bool _isCompleted;

    private NodeCall(NodeModule? module, in HandlerCall call, string? source) => (Module, _call, _source) = (module, call, source);

    /// <summary>The module that is called, or <see langword="null"/> where one is compiled.</summary>
    public NodeModule? Module { get; }

    /// <summary>Where the call ends in all that its worker is sent; the worker's own note.</summary>
    public long EndPosition { get; set; }

    /// <summary>The answer.</summary>
    public ValueTask<HandlerReply> Completion => new(this, _core.Version);

    /// <summary>A call of a handler.</summary>
    public static NodeCall Invoke(NodeModule module, in HandlerCall call) => new(module, call, null);

    /// <summary>The compilation of a module.</summary>
    public static NodeCall Compile(string source) => new(null, default, source);

    /// <summary>Appends the call's frame, unless nobody waits for its answer any more.</summary>
    /// <returns>Whether it was appended.</returns>
    public bool TryWriteTo(ArrayBufferWriter<byte> output, uint id)
    {
        // A caller that gives up takes its context back.
        lock (_lock)
        {
            if (_isCompleted)
            {
                return false;
            }

            if (_source is not null)
            {
                WriteHeader(output, CompileFrame, id, Encoding.UTF8.GetByteCount(_source));
                Encoding.UTF8.GetBytes(_source, output);
                return true;
            }

            var context = _call.Context.Span;
            WriteHeader(output, InvokeFrame, id, sizeof(uint) + 2 + context.Length);
            var head = output.GetSpan(sizeof(uint) + 2);
            BinaryPrimitives.WriteUInt32LittleEndian(head, Module!.Id);
            head[4] = (byte)_call.Kind;
            head[5] = (byte)_call.Phase;
            output.Advance(sizeof(uint) + 2);
            output.Write(context);
            return true;
        }
    }

    /// <summary>Appends what begins every frame.</summary>
    public static void WriteHeader(ArrayBufferWriter<byte> output, byte type, uint id, int bodyBytes)
    {
        var head = output.GetSpan(HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(head, HeaderBytes - sizeof(uint) + bodyBytes);
        head[4] = type;
        BinaryPrimitives.WriteUInt32LittleEndian(head[5..], id);
        output.Advance(HeaderBytes);
    }

    /// <summary>Answers the call; an answer that comes too late is given back.</summary>
    public void Complete(HandlerReply reply)
    {
        if (TryComplete())
        {
            _core.SetResult(reply);
        }
        else
        {
            reply.Dispose();
        }
    }

    /// <summary>Ends the wait for an answer.</summary>
    public void Cancel(CancellationToken cancellationToken)
    {
        if (TryComplete())
        {
            _core.SetException(new OperationCanceledException(cancellationToken));
        }
    }

    /// <inheritdoc/>
    public HandlerReply GetResult(short token) => _core.GetResult(token);

    /// <inheritdoc/>
    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    /// <inheritdoc/>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private bool TryComplete()
    {
        lock (_lock)
        {
            return !_isCompleted && (_isCompleted = true);
        }
    }
}
