using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Fanfare.Gateway.Transport;

/// <summary>What an <see cref="EventLoop"/> carries out between looks at its sockets.</summary>
internal interface IEventLoopWork
{
    /// <summary>The loop has woken up: whoever queues work from now on need not wake it.</summary>
    void LoopWoke();

    /// <summary>A socket has been read: what that led to elsewhere may begin.</summary>
    void SocketRead();

    /// <summary>Carries out what is queued. Returns <see langword="false"/> where the queue is empty and the loop may sleep.</summary>
    bool RunQueued();

    /// <summary>Something failed that no caller can be told of.</summary>
    void LoopFailed(Exception exception);
}

/// <summary>What other threads ask of a loop about one of its sockets.</summary>
internal enum LoopSignal
{
    /// <summary>Begin to watch it.</summary>
    Add,

    /// <summary>Go on with it: what it waited for has come.</summary>
    Resume,

    /// <summary>Close it.</summary>
    Close,
}

/// <summary>A thread that waits for its sockets and for queued work (epoll, edge-triggered). Linux only.</summary>
/// <remarks>
/// One turn takes what has arrived on all sockets that have something, then carries out what that queued, so that one system call
/// writes all that a turn has for a connection. Nothing hops between threads on the way from a socket to a socket, which is what
/// most of the time of small messages goes into otherwise.
/// </remarks>
internal sealed unsafe class EventLoop : IDisposable
{
    private const int EventsMax = 512;

    // Large enough that a busy publisher's bytes come in few calls, small enough to stay in the processor's cache.
    private const int ReceiveLength = 64 * 1024;

    // What no slot has: the loop's own descriptor.
    private const ulong WakeData = ulong.MaxValue;

    private readonly IEventLoopWork _work;
    private readonly Thread _thread;
    private readonly int _epoll;

    // Closed by its finalizer: who still wakes a loop that has ended must not write to what has its number by then.
    private readonly SafeFileHandle _wake;
    private readonly byte* _events = (byte*)NativeMemory.Alloc((nuint)(EventsMax * LinuxCalls.EventLength));
    private readonly byte[] _receiveBuffer = GC.AllocateUninitializedArray<byte>(ReceiveLength, pinned: true);
    private LoopSocket?[] _sockets = new LoopSocket?[64];
    private int[] _freeSlots = new int[64];
    private int _freeSlotCount;
    private int _slotCount;
    private readonly ConcurrentQueue<(LoopSocket Socket, LoopSignal Signal)> _signals = new();
    private List<LoopSocket> _again = [];
    private List<LoopSocket> _turn = [];
    private List<LoopSocket> _ticked = [];
    private List<LoopSocket> _ticking = [];
    private int _isWakePending;
    private int _isStopping;

    public EventLoop(string name, IEventLoopWork work)
    {
        _work = work;
        _epoll = LinuxCalls.CreateEpoll();
        _wake = new SafeFileHandle(LinuxCalls.CreateEvent(), ownsHandle: true);
        LinuxCalls.Control(_epoll, LinuxCalls.ControlAdd, (int)_wake.DangerousGetHandle(), LinuxCalls.EventIn | LinuxCalls.EventEdgeTriggered, WakeData);
        _thread = new Thread(Run) { Name = name, IsBackground = true };
        // Nothing of whoever starts it, such as a trace, goes on for as long as the loop.
        _thread.UnsafeStart();
    }

    /// <summary>Whether this system has what the loop needs.</summary>
    public static bool IsSupported { get; } =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    /// <summary>Wakes the loop, which then looks at its queues. Safe for concurrent use.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _isWakePending, 1) == 0)
        {
            ulong one = 1;
            _ = LinuxCalls.Write((int)_wake.DangerousGetHandle(), (byte*)&one, sizeof(ulong));
        }
    }

    /// <summary>Asks something about a socket. Safe for concurrent use.</summary>
    public void Signal(LoopSocket socket, LoopSignal signal)
    {
        _signals.Enqueue((socket, signal));
        Wake();
    }

    /// <summary>Ends the loop and waits for it. Sockets that are left are closed.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isStopping, 1) == 0)
        {
            Wake();
            _thread.Join();
        }
    }

    /// <summary>Begins to watch a socket. On the loop's thread.</summary>
    internal void Add(LoopSocket socket)
    {
        var slot = _freeSlotCount > 0 ? _freeSlots[--_freeSlotCount] : _slotCount++;
        if (slot == _sockets.Length)
        {
            Array.Resize(ref _sockets, slot * 2);
        }

        _sockets[slot] = socket;
        socket.Slot = slot;
        LinuxCalls.Control(
            _epoll, LinuxCalls.ControlAdd, socket.Descriptor,
            LinuxCalls.EventIn | LinuxCalls.EventOut | LinuxCalls.EventPeerClosed | LinuxCalls.EventEdgeTriggered, (ulong)slot);
    }

    /// <summary>Stops watching a socket, which stays open. On the loop's thread.</summary>
    internal void Remove(LoopSocket socket)
    {
        LinuxCalls.Control(_epoll, LinuxCalls.ControlRemove, socket.Descriptor, 0, 0);
        Forget(socket);
    }

    /// <summary>Lets go of a socket that is about to be closed, by which the kernel stops watching it. On the loop's thread.</summary>
    internal void Forget(LoopSocket socket)
    {
        _sockets[socket.Slot] = null;
        if (_freeSlotCount == _freeSlots.Length)
        {
            Array.Resize(ref _freeSlots, _freeSlotCount * 2);
        }

        _freeSlots[_freeSlotCount++] = socket.Slot;
        socket.Slot = -1;
    }

    /// <summary>Looks at a socket again in the next turn, whether something happens on it or not. On the loop's thread.</summary>
    internal void LookAgain(LoopSocket socket)
    {
        if (!socket.IsLookedAtAgain)
        {
            socket.IsLookedAtAgain = true;
            _again.Add(socket);
        }
    }

    /// <summary>Has <see cref="LoopSocket.OnTick"/> called at the next tick, once. On the loop's thread.</summary>
    internal void TickOnce(LoopSocket socket)
    {
        if (!socket.IsTickDue)
        {
            socket.IsTickDue = true;
            _ticked.Add(socket);
        }
    }

    /// <summary>Lets time pass for the sockets that asked for it. On the loop's thread, about every second.</summary>
    public void Tick()
    {
        (_ticking, _ticked) = (_ticked, _ticking);
        foreach (var socket in _ticking)
        {
            socket.IsTickDue = false;
            if (socket.Slot >= 0)
            {
                Tick(socket);
            }
        }

        _ticking.Clear();
    }

    /// <summary>The buffer that all sockets of the loop receive into; what is in it is gone with the next one's turn.</summary>
    internal byte[] ReceiveBuffer => _receiveBuffer;

    private void Run()
    {
        var mayStillRun = true;
        while (Volatile.Read(ref _isStopping) == 0)
        {
            var count = LinuxCalls.Wait(_epoll, _events, EventsMax, mayStillRun || _again.Count > 0 ? 0 : -1);
            _work.LoopWoke();
            (_turn, _again) = (_again, _turn);
            for (var i = 0; i < count; i++)
            {
                var entry = _events + (i * LinuxCalls.EventLength);
                Handle(*(uint*)entry, *(ulong*)(entry + LinuxCalls.EventDataOffset));
            }

            foreach (var socket in _turn)
            {
                socket.IsLookedAtAgain = false;
                // Closed since, perhaps.
                if (socket.Slot >= 0)
                {
                    Handle(socket, LinuxCalls.EventIn | LinuxCalls.EventPeerClosed);
                }
            }

            _turn.Clear();
            TakeSignals();
            mayStillRun = _work.RunQueued();
        }

        CloseAll();
    }

    private void TakeSignals()
    {
        while (_signals.TryDequeue(out var entry))
        {
            try
            {
                entry.Socket.OnSignal(entry.Signal);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Fail(entry.Socket, e);
            }
        }
    }

    private void Handle(uint events, ulong data)
    {
        if (data == WakeData)
        {
            // In this order, and before the queues are looked at: who queues something afterwards wakes the loop again.
            ulong count;
            _ = LinuxCalls.Read((int)_wake.DangerousGetHandle(), (byte*)&count, sizeof(ulong));
            Interlocked.Exchange(ref _isWakePending, 0);
        }
        else if (_sockets[(int)data] is { } socket)
        {
            // A slot that was freed and given away within one turn gets an event that is not its own: it looks and finds nothing.
            Handle(socket, events);
        }
    }

    private void Handle(LoopSocket socket, uint events)
    {
        try
        {
            // Errors and hang-ups are found by whoever reads, behind what came before them.
            if ((events & ~LinuxCalls.EventOut) != 0)
            {
                socket.OnReadable(isEndNear: (events & ~(LinuxCalls.EventOut | LinuxCalls.EventIn)) != 0);
                _work.SocketRead();
            }

            if ((events & LinuxCalls.EventOut) != 0 && socket.Slot >= 0)
            {
                socket.OnWritable();
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Fail(socket, e);
        }
    }

    private void Tick(LoopSocket socket)
    {
        try
        {
            socket.OnTick();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Fail(socket, e);
        }
    }

    // A bug in one connection must not end the loop, and with it a share of all connections.
    private void Fail(LoopSocket socket, Exception exception)
    {
        _work.LoopFailed(exception);
        socket.Abort();
    }

    private void CloseAll()
    {
        TakeSignals();
        for (var slot = 0; slot < _slotCount; slot++)
        {
            _sockets[slot]?.Close();
        }

        _ = LinuxCalls.Close(_epoll);
        NativeMemory.Free(_events);
    }
}
