using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Fanfare.Gateway.Handlers.Node;

/// <summary>How a worker came to its end.</summary>
internal enum WorkerEnd
{
    /// <summary>It was asked to end.</summary>
    Stopped,

    /// <summary>It was killed for taking too long.</summary>
    Overdue,

    /// <summary>It was killed for an answer that is too large.</summary>
    TooLarge,

    /// <summary>It died by itself.</summary>
    Died,
}

/// <summary>A call that a worker left without an answer.</summary>
/// <param name="Call">The call.</param>
/// <param name="IsElsewhere">Whether another worker has it by now.</param>
internal readonly record struct UnansweredCall(NodeCall Call, bool IsElsewhere);

/// <summary>One Node.js process and the calls under way in it.</summary>
/// <remarks>
/// <para>
/// Two threads of its own, since a process's pipes know no waiting but a thread's: one writes, all that is queued in one go; the other
/// reads answers. Where nobody writes and the pipe is sure to have room, whoever sends a call writes it at once: that spares a thread's
/// turn for each call of a gateway that is not busy, and leaves the calls of a busy one to be written together.
/// </para>
/// <para>
/// Calls run in their order, and answers of one module leave before another's code runs, so that a worker that does not answer hangs in
/// the code of the call that has waited longest. What it answers is not trusted: it runs code of others.
/// </para>
/// <para>Safe for concurrent use.</para>
/// </remarks>
internal sealed class NodeWorker
{
    private const byte BootFrame = 0;
    private const byte LoadFrame = 2;
    private const byte UnloadFrame = 4;
    private const uint BootCall = 0;
    private const int ErrorOutputLengthMax = 4000;
    private const int FrameHeadBytes = 2 * sizeof(uint);
    private const int BufferBytes = 64 * 1024;

    // A buffer that one large message made grow is not kept for ever.
    private const int BufferBytesKept = 1024 * 1024;
    private const int ThreadStackBytes = 256 * 1024;

    // What may be under way so that a write is sure not to wait: half of what a pipe holds.
    private const int InlineBytesMax = 32 * 1024;

    // A worker that uses no processor time is overdue only after this many times what its code may take.
    private const int WaitFactor = 10;

    private static readonly TimeSpan s_exitTimeout = TimeSpan.FromSeconds(5);

    // Room for what an answer has besides the result.
    private const int AnswerMarginBytes = 2 * 1024 * 1024;

    // An object rather than a Lock, since the writer waits on it.
    private readonly object _lock = new();
    private readonly Process _process;
    private readonly Stream _input;
    private readonly Action<NodeWorker, WorkerEnd, IReadOnlyList<UnansweredCall>> _ended;
    private readonly Action _answered;
    private readonly TimeProvider _timeProvider;
    private readonly int _answerBytesMax;
    private readonly Dictionary<uint, NodeCall> _calls = [];

    // Of the calls, those that were given to another worker. This one comes to them all the same, and may hang or die in one of them.
    private readonly HashSet<uint> _elsewhere = [];
    private readonly HashSet<NodeModule> _modules = [];
    private readonly StringBuilder _errorOutput = new();
    private readonly TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ArrayBufferWriter<byte> _queued = new(BufferBytes);
    private ArrayBufferWriter<byte> _writing = new(BufferBytes);

    // Positions in all that is ever written: what was queued so far, and up to where the worker is known to have read.
    private long _queuedBytes;
    private long _readBytes;
    private long _bootBytes;
    private bool _isWriting;
    private uint _lastCall = BootCall;
    private long _progressed;
    private bool _isReady;
    private bool _isEnding;
    private WorkerEnd? _end;
    private (long Progressed, TimeSpan ProcessorTime) _sample;

    private NodeWorker(
        Process process, HandlerOptions options, Action<NodeWorker, WorkerEnd, IReadOnlyList<UnansweredCall>> ended, Action answered,
        TimeProvider timeProvider)
    {
        _process = process;
        _input = process.StandardInput.BaseStream;
        _ended = ended;
        _answered = answered;
        _timeProvider = timeProvider;
        _answerBytesMax = options.ResultBytesMax + options.LogBytesMax + AnswerMarginBytes;
        _progressed = timeProvider.GetTimestamp();
    }

    /// <summary>The process's id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>Whether the process came so far as to answer.</summary>
    public bool IsReady
    {
        get
        {
            lock (_lock)
            {
                return _isReady;
            }
        }
    }

    /// <summary>Whether the worker takes no more calls.</summary>
    public bool IsEnding
    {
        get
        {
            lock (_lock)
            {
                return _isEnding;
            }
        }
    }

    /// <summary>How many calls wait for their answer.</summary>
    public int CallCount
    {
        get
        {
            lock (_lock)
            {
                return _calls.Count;
            }
        }
    }

    /// <summary>What the process wrote to its standard error last.</summary>
    public string ErrorOutput
    {
        get
        {
            lock (_errorOutput)
            {
                return _errorOutput.ToString();
            }
        }
    }

    /// <summary>Completes when the process is gone and its calls are accounted for.</summary>
    public Task Exited => _exited.Task;

    /// <summary>Starts a worker.</summary>
    /// <param name="installation">The Node.js to start.</param>
    /// <param name="options">The limits.</param>
    /// <param name="ended">Told once, when the process is gone: how, and which calls it left without an answer.</param>
    /// <param name="answered">Told when calls were answered, so that there may be room for others.</param>
    /// <param name="timeProvider">The time.</param>
    /// <exception cref="HandlerRuntimeException">The process cannot be started.</exception>
    public static NodeWorker Start(
        NodeInstallation installation, HandlerOptions options, Action<NodeWorker, WorkerEnd, IReadOnlyList<UnansweredCall>> ended, Action answered,
        TimeProvider timeProvider)
    {
        var worker = new NodeWorker(installation.StartWorker(options), options, ended, answered, timeProvider);
        worker.Start(WorkerScripts.GetBootMessage(options));
        return worker;
    }

    /// <summary>Sends a call.</summary>
    /// <param name="call">The call.</param>
    /// <param name="callsMax">How many may be under way.</param>
    /// <returns><see langword="false"/> where the worker is ending or has no room; the call is still the caller's then.</returns>
    public bool TrySend(NodeCall call, int callsMax)
    {
        lock (_lock)
        {
            if (_isEnding || _calls.Count >= callsMax)
            {
                return false;
            }

            var before = _queued.WrittenCount;
            if (call.Module is { } module && _modules.Add(module))
            {
                WriteModuleFrame(LoadFrame, module, module.Program.Span);
            }

            _lastCall = _lastCall == uint.MaxValue ? BootCall + 1 : _lastCall + 1;
            var isWritten = call.TryWriteTo(_queued, _lastCall);
            _queuedBytes += _queued.WrittenCount - before;
            if (!isWritten)
            {
                return true;
            }

            if (_calls.Count == 0)
            {
                _progressed = _timeProvider.GetTimestamp();
            }

            _calls.Add(_lastCall, call);
            call.EndPosition = _queuedBytes;
            if (_isWriting || before > 0 || _queuedBytes - _readBytes > InlineBytesMax)
            {
                Monitor.Pulse(_lock);
                return true;
            }

            BeginWrite();
        }

        try
        {
            Write();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The process is gone; the reader tells.
        }
        finally
        {
            EndWrite();
        }

        return true;
    }

    /// <summary>Forgets a module, where the worker has it.</summary>
    public void Unload(NodeModule module)
    {
        lock (_lock)
        {
            if (!_isEnding && _modules.Remove(module))
            {
                var before = _queued.WrittenCount;
                WriteModuleFrame(UnloadFrame, module, []);
                _queuedBytes += _queued.WrittenCount - before;
                Monitor.Pulse(_lock);
            }
        }
    }

    /// <summary>Finds the calls that wait behind another module's code, where that has taken long already, for another worker to take.</summary>
    /// <param name="stallTime">How long.</param>
    /// <returns>The calls, each once; most often none. Whichever worker answers one first, answers it.</returns>
    public IReadOnlyList<NodeCall> TakeStalled(TimeSpan stallTime)
    {
        lock (_lock)
        {
            if (!IsStalledFor(stallTime) || _calls.Count < 2)
            {
                return [];
            }

            var culprit = _calls[_calls.Keys.Min()].Module;
            return [.. _calls.Where(pair => pair.Value.Module != culprit && _elsewhere.Add(pair.Key)).Select(pair => pair.Value)];
        }
    }

    /// <summary>Whether no answer came for a while although calls wait.</summary>
    public bool IsStalled(TimeSpan stallTime)
    {
        lock (_lock)
        {
            return IsStalledFor(stallTime);
        }
    }

    /// <summary>Kills the worker where a call takes longer than it may.</summary>
    /// <param name="evaluationTimeout">How long a call may compute.</param>
    /// <param name="startTimeout">How long the process may take to begin.</param>
    public void EndIfOverdue(TimeSpan evaluationTimeout, TimeSpan startTimeout)
    {
        long progressed;
        lock (_lock)
        {
            if (_isEnding || (_isReady && _calls.Count == 0))
            {
                return;
            }

            progressed = _progressed;
        }

        // On a machine with more to do than it can, a worker waits for its turn, and its code must not be blamed for that: what counts is
        // the processor's time, unless the worker came to a halt without using any.
        var elapsed = _timeProvider.GetElapsedTime(progressed);
        var processorTime = GetProcessorTime();
        if (_sample.Progressed != progressed)
        {
            _sample = (progressed, processorTime);
        }

        var isOverdue = _isReady
            ? elapsed > evaluationTimeout
                && (processorTime - _sample.ProcessorTime > evaluationTimeout / 2 || elapsed > evaluationTimeout * WaitFactor)
            : elapsed > startTimeout;
        if (isOverdue)
        {
            Kill(WorkerEnd.Overdue);
        }
    }

    /// <summary>Ends the worker: at once where it is idle, else when it has answered what it was sent.</summary>
    public void Stop() => End(WorkerEnd.Stopped);

    /// <summary>Kills the worker.</summary>
    public void Kill(WorkerEnd end)
    {
        End(end);
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It ended by itself meanwhile.
        }
    }

    private bool IsStalledFor(TimeSpan stallTime) =>
        _isReady && _calls.Count > 0 && _timeProvider.GetElapsedTime(_progressed) > stallTime;

    private void Start(ReadOnlySpan<byte> bootMessage)
    {
        NodeCall.WriteHeader(_queued, BootFrame, BootCall, bootMessage.Length);
        _queued.Write(bootMessage);
        _queuedBytes = _bootBytes = _queued.WrittenCount;
        StartThread("fanfare handler output", WriteLoop);
        StartThread("fanfare handler input", ReadLoop);
        StartThread("fanfare handler errors", ReadErrors);
    }

    private static void StartThread(string name, ThreadStart loop) => new Thread(loop, ThreadStackBytes) { IsBackground = true, Name = name }.Start();

    private void End(WorkerEnd end)
    {
        lock (_lock)
        {
            _end ??= end;
            _isEnding = true;
            Monitor.Pulse(_lock);
        }
    }

    private TimeSpan GetProcessorTime()
    {
        try
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return default;
        }
    }

    private void WriteModuleFrame(byte type, NodeModule module, ReadOnlySpan<byte> body)
    {
        NodeCall.WriteHeader(_queued, type, BootCall, sizeof(uint) + body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(_queued.GetSpan(sizeof(uint)), module.Id);
        _queued.Advance(sizeof(uint));
        _queued.Write(body);
    }

    private void WriteLoop()
    {
        try
        {
            var isEnding = false;
            while (!isEnding)
            {
                lock (_lock)
                {
                    while (_isWriting || (_queued.WrittenCount == 0 && !_isEnding))
                    {
                        Monitor.Wait(_lock);
                    }

                    isEnding = _isEnding;
                    BeginWrite();
                }

                try
                {
                    Write();
                }
                finally
                {
                    EndWrite();
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The process is gone; the reader tells.
        }
        finally
        {
            try
            {
                _input.Close();
            }
            catch (IOException)
            {
                // Closing a pipe that is broken already.
            }
        }
    }

    // Under the lock, by whoever writes next; nobody else touches what is being written until EndWrite.
    private void BeginWrite()
    {
        _isWriting = true;
        (_queued, _writing) = (_writing, _queued);
    }

    private void Write()
    {
        if (_writing.WrittenCount > 0)
        {
            _input.Write(_writing.WrittenSpan);
        }
    }

    private void EndWrite()
    {
        if (_writing.Capacity > BufferBytesKept)
        {
            _writing = new ArrayBufferWriter<byte>(BufferBytes);
        }
        else
        {
            _writing.ResetWrittenCount();
        }

        lock (_lock)
        {
            _isWriting = false;
            if (_queued.WrittenCount > 0 || _isEnding)
            {
                Monitor.Pulse(_lock);
            }
        }
    }

    private void ReadLoop()
    {
        var output = _process.StandardOutput.BaseStream;
        var buffer = new byte[BufferBytes];
        var length = 0;
        try
        {
            int read;
            while ((read = output.Read(buffer, length, buffer.Length - length)) > 0)
            {
                length += read;
                var consumed = Answer(buffer.AsSpan(0, length), out var needed);
                if (consumed > 0)
                {
                    _answered();
                }

                if (needed > _answerBytesMax)
                {
                    Kill(WorkerEnd.TooLarge);
                    break;
                }

                buffer.AsSpan(consumed, length - consumed).CopyTo(buffer);
                length -= consumed;
                if (needed > buffer.Length)
                {
                    Array.Resize(ref buffer, needed);
                }
                else if (length == 0 && buffer.Length > BufferBytesKept)
                {
                    buffer = new byte[BufferBytes];
                }
            }
        }
        catch (IOException)
        {
            // As an end.
        }

        OnExited();
    }

    // Returns how much of the bytes it took; needed is the size of the frame that is not whole yet, or more than any may have where it
    // makes no sense.
    private int Answer(ReadOnlySpan<byte> bytes, out int needed)
    {
        var consumed = 0;
        needed = 0;
        while (bytes.Length - consumed >= FrameHeadBytes)
        {
            var frame = bytes[consumed..];
            var frameLength = sizeof(uint) + (long)BinaryPrimitives.ReadUInt32LittleEndian(frame);
            if (frameLength < FrameHeadBytes)
            {
                needed = int.MaxValue;
                break;
            }

            if (frameLength > frame.Length)
            {
                needed = (int)Math.Min(frameLength, int.MaxValue);
                break;
            }

            Answer(BinaryPrimitives.ReadUInt32LittleEndian(frame[sizeof(uint)..]), frame[FrameHeadBytes..(int)frameLength]);
            consumed += (int)frameLength;
        }

        return consumed;
    }

    private void Answer(uint id, ReadOnlySpan<byte> answer)
    {
        NodeCall? call;
        lock (_lock)
        {
            _progressed = _timeProvider.GetTimestamp();
            if (id == BootCall)
            {
                _isReady = true;
                _readBytes = _bootBytes;
                return;
            }

            if (!_calls.Remove(id, out call))
            {
                return;
            }

            _elsewhere.Remove(id);
            _readBytes = call.EndPosition;
        }

        var rented = ArrayPool<byte>.Shared.Rent(answer.Length);
        answer.CopyTo(rented);
        call.Complete(HandlerReply.Returned(rented, answer.Length));
    }

    private void ReadErrors()
    {
        var buffer = new char[1024];
        try
        {
            int read;
            while ((read = _process.StandardError.Read(buffer)) > 0)
            {
                lock (_errorOutput)
                {
                    _errorOutput.Append(buffer, 0, read);
                    if (_errorOutput.Length > ErrorOutputLengthMax)
                    {
                        _errorOutput.Remove(0, _errorOutput.Length - ErrorOutputLengthMax);
                    }
                }
            }
        }
        catch (IOException)
        {
            // As an end.
        }
    }

    private void OnExited()
    {
        // Its output is closed, so it is ending or dead; no longer than this is waited for the rest.
        if (!_process.WaitForExit(s_exitTimeout))
        {
            Kill(WorkerEnd.Died);
            _process.WaitForExit();
        }

        UnansweredCall[] calls;
        WorkerEnd end;
        lock (_lock)
        {
            _isEnding = true;
            end = _end ??= WorkerEnd.Died;
            calls = [.. _calls.OrderBy(pair => pair.Key).Select(pair => new UnansweredCall(pair.Value, _elsewhere.Contains(pair.Key)))];
            _calls.Clear();
            Monitor.Pulse(_lock);
        }

        _ended(this, end, calls);
        _process.Dispose();
        _exited.SetResult();
    }
}
