using System.Runtime.InteropServices;

namespace Fanfare.Gateway.Transport;

/// <summary>The system calls that <see cref="EventLoop"/> makes, as Linux has them. Errors are in <see cref="Marshal.GetLastPInvokeError"/>.</summary>
internal static unsafe partial class LinuxCalls
{
    public const uint EventIn = 0x001;
    public const uint EventOut = 0x004;
    public const uint EventPeerClosed = 0x2000;
    public const uint EventEdgeTriggered = 1u << 31;

    public const int ControlAdd = 1;
    public const int ControlRemove = 2;

    public const int MessagePeek = 0x02;
    public const int MessageDontWait = 0x40;
    public const int MessageNoSignal = 0x4000;

    public const int ErrorInterrupted = 4;
    public const int ErrorAgain = 11;
    public const int ErrorProtocol = 71;
    public const int ErrorConnectionAborted = 103;

    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int OptionLevelSocket = 1;
    private const int OptionLinger = 13;
    private const int ShutdownWrite = 1;

    /// <summary>The kernel's <c>struct epoll_event</c>, which is packed on x86-64 only.</summary>
    public static readonly int EventLength = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    /// <summary>Where the data of an event is.</summary>
    public static readonly int EventDataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    public static int CreateEpoll() => Check(epoll_create1(CloseOnExec));

    public static int CreateEvent() => Check(eventfd(0, CloseOnExec | NonBlocking));

    /// <summary>Registers a descriptor, or takes it out.</summary>
    /// <exception cref="IOException">It can't be.</exception>
    public static void Control(int epoll, int operation, int descriptor, uint events, ulong data)
    {
        var entry = stackalloc byte[16];
        *(uint*)entry = events;
        *(ulong*)(entry + EventDataOffset) = data;
        Check(epoll_ctl(epoll, operation, descriptor, entry));
    }

    public static int Accept(int listener, byte* address, int* addressLength) =>
        accept4(listener, address, addressLength, CloseOnExec | NonBlocking);

    /// <summary>Makes the close that follows reset the connection, so that the kernel keeps nothing that is still unsent.</summary>
    public static void ResetOnClose(int descriptor)
    {
        var linger = stackalloc int[2] { 1, 0 };
        _ = setsockopt(descriptor, OptionLevelSocket, OptionLinger, linger, 2 * sizeof(int));
    }

    /// <summary>Ends the sending direction.</summary>
    public static int Shutdown(int descriptor) => shutdown(descriptor, ShutdownWrite);

    private static int Check(int result) => result >= 0
        ? result
        : throw new IOException($"A system call failed: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(int epoll, int operation, int descriptor, byte* entry);

    [LibraryImport("libc", SetLastError = true, EntryPoint = "epoll_wait")]
    public static partial int Wait(int epoll, byte* entries, int entriesMax, int timeoutMilliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int accept4(int listener, byte* address, int* addressLength, int flags);

    [LibraryImport("libc", SetLastError = true, EntryPoint = "recv")]
    public static partial nint Receive(int descriptor, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true, EntryPoint = "send")]
    public static partial nint Send(int descriptor, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "write")]
    public static partial nint Write(int descriptor, byte* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "read")]
    public static partial nint Read(int descriptor, byte* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int descriptor);

    [LibraryImport("libc")]
    private static partial int shutdown(int descriptor, int how);

    [LibraryImport("libc")]
    private static partial int setsockopt(int descriptor, int level, int option, int* value, int length);
}
