using System.Runtime.InteropServices;

namespace Fanfare.Gateway.Transport;

/// <summary>A non-blocking socket that an <see cref="EventLoop"/> watches. Everything happens on the loop's thread.</summary>
/// <param name="loop">The loop.</param>
/// <param name="descriptor">The socket, whose owner this becomes.</param>
internal abstract unsafe class LoopSocket(EventLoop loop, int descriptor) : ConnectionTransport
{
    /// <summary>The loop.</summary>
    public EventLoop Loop { get; } = loop;

    /// <summary>The socket's file descriptor; −1 once it was closed or given away.</summary>
    public int Descriptor { get; private set; } = descriptor;

    /// <summary>Where the loop keeps the socket; −1 where it does not.</summary>
    internal int Slot { get; set; } = -1;

    /// <summary>Whether the loop will look at the socket in the next turn anyway.</summary>
    internal bool IsLookedAtAgain { get; set; }

    /// <summary>Whether the socket's <see cref="OnTick"/> is due.</summary>
    internal bool IsTickDue { get; set; }

    /// <summary>There may be something to receive.</summary>
    /// <param name="isEndNear">
    /// Whether the connection's end may come directly behind it, of which nothing will tell again: it must be read until there is nothing more.
    /// </param>
    public abstract void OnReadable(bool isEndNear);

    /// <summary>There may be room to send again.</summary>
    public abstract void OnWritable();

    /// <summary>Time has passed; see <see cref="EventLoop.TickOnce"/>.</summary>
    public abstract void OnTick();

    /// <summary>Another thread asked something.</summary>
    public virtual void OnSignal(LoopSignal signal)
    {
        switch (signal)
        {
            case LoopSignal.Add:
                Loop.Add(this);
                break;
            case LoopSignal.Resume:
                if (Slot >= 0)
                {
                    OnResumed();
                }

                break;
            case LoopSignal.Close:
                Close();
                break;
        }
    }

    /// <summary>Sends as much as the socket takes at once.</summary>
    /// <returns>How many bytes; −1 where the connection is gone.</returns>
    public int Send(ReadOnlySpan<byte> bytes)
    {
        var sent = 0;
        fixed (byte* start = bytes)
        {
            while (sent < bytes.Length)
            {
                var result = LinuxCalls.Send(
                    Descriptor, start + sent, (nuint)(bytes.Length - sent), LinuxCalls.MessageDontWait | LinuxCalls.MessageNoSignal);
                if (result >= 0)
                {
                    sent += (int)result;
                    continue;
                }

                var error = Marshal.GetLastPInvokeError();
                if (error == LinuxCalls.ErrorAgain)
                {
                    break;
                }

                if (error != LinuxCalls.ErrorInterrupted)
                {
                    return -1;
                }
            }
        }

        return sent;
    }

    /// <summary>Closes the socket. What was sent is still delivered.</summary>
    public void Close()
    {
        if (Descriptor >= 0)
        {
            if (Slot >= 0)
            {
                Loop.Forget(this);
            }

            _ = LinuxCalls.Close(Descriptor);
            Descriptor = -1;
            OnClosed();
        }
    }

    /// <summary>Closes the socket and drops what was not delivered yet.</summary>
    public override void Abort()
    {
        if (Descriptor >= 0)
        {
            LinuxCalls.ResetOnClose(Descriptor);
            Close();
        }
    }

    /// <summary>What the socket waited for has come.</summary>
    protected abstract void OnResumed();

    /// <summary>The socket has been closed.</summary>
    protected abstract void OnClosed();

    /// <summary>Receives into the loop's buffer.</summary>
    /// <param name="flags">Of the system call.</param>
    /// <returns>How many bytes: 0 at the end, −1 where there is nothing now, −2 where the connection is gone.</returns>
    protected int Receive(int flags)
    {
        fixed (byte* buffer = Loop.ReceiveBuffer)
        {
            while (true)
            {
                var result = LinuxCalls.Receive(
                    Descriptor, buffer, (nuint)Loop.ReceiveBuffer.Length, flags | LinuxCalls.MessageDontWait);
                if (result >= 0)
                {
                    return (int)result;
                }

                var error = Marshal.GetLastPInvokeError();
                if (error != LinuxCalls.ErrorInterrupted)
                {
                    return error == LinuxCalls.ErrorAgain ? -1 : -2;
                }
            }
        }
    }

    /// <summary>Ends the sending direction; the peer sees the end behind what was sent.</summary>
    protected void EndSending() => _ = LinuxCalls.Shutdown(Descriptor);

    /// <summary>Takes bytes off that were peeked at.</summary>
    protected void Skip(int length)
    {
        fixed (byte* buffer = Loop.ReceiveBuffer)
        {
            _ = LinuxCalls.Receive(Descriptor, buffer, (nuint)length, LinuxCalls.MessageDontWait);
        }
    }

    /// <summary>Gives the descriptor away, no longer watched and still open.</summary>
    protected int Release()
    {
        Loop.Remove(this);
        var descriptor = Descriptor;
        Descriptor = -1;
        return descriptor;
    }
}
