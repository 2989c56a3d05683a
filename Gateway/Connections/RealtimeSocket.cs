using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Transport;
using Microsoft.Extensions.Primitives;

namespace Fanfare.Gateway.Connections;

/// <summary>A socket that was just accepted, and becomes a <see cref="Connection"/> if what it sends first is a WebSocket's upgrade.</summary>
/// <remarks>
/// The first bytes are looked at without being taken. Where they are no plain upgrade, the socket is handed to the web server as if
/// nobody had touched it. Everything here happens on the loop's thread.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "The source has no timer and links to none: there is nothing to dispose of.")]
internal sealed class RealtimeSocket : LoopSocket
{
    private enum State : byte
    {
        /// <summary>Nothing has arrived.</summary>
        New,

        /// <summary>A tick has passed, and still nothing has arrived.</summary>
        Quiet,

        /// <summary>Its credentials are being verified.</summary>
        Admitting,

        /// <summary>It is a connection, and what arrives is received.</summary>
        Open,

        /// <summary>A message has to wait, and what arrives with it.</summary>
        Waiting,

        /// <summary>What still arrives is dropped.</summary>
        Discarding,

        /// <summary>What still arrives does not matter; it is closed when all is written.</summary>
        Over,
    }

    private readonly RealtimeListener _listener;
    private readonly Shard _shard;
    private readonly IPAddress _address;
    private State _state;
    private CancellationTokenSource? _aborted;
    private Connection? _connection;

    // A message has to wait, with the bytes behind it; the connection must not end before it.
    private bool _isMessageWaiting;

    // The client sends nothing more, or is gone altogether.
    private bool _isPeerGone;

    // All is written, and the client has some time to take it.
    private bool _isLingering;
    private byte[]? _rest;
    private AdmissionUnderWay? _admission;

    public RealtimeSocket(RealtimeListener listener, Shard shard, int descriptor, IPAddress address)
        : base(shard.Loop!, descriptor)
    {
        _listener = listener;
        _shard = shard;
        _address = address;
    }

    private ConnectionServices Services => _listener.Services;

    /// <inheritdoc/>
    public override void OnSignal(LoopSignal signal)
    {
        base.OnSignal(signal);
        if (signal == LoopSignal.Add)
        {
            // A client that connects to say nothing is the web server's to give up on.
            Loop.TickOnce(this);
        }
        else if (signal == LoopSignal.Resume && Descriptor < 0)
        {
            // Closed meanwhile; what it waited for is over now.
            if (_isMessageWaiting)
            {
                _isMessageWaiting = false;
                End();
            }
            else if (_admission is not null)
            {
                _admission = null;
                Services.FanOut.ConnectionEnded();
            }
        }
    }

    /// <inheritdoc/>
    public override void OnReadable(bool isEndNear)
    {
        switch (_state)
        {
            case State.New or State.Quiet:
                Begin(isEndNear);
                break;
            case State.Open:
                Receive(isEndNear);
                break;
            case State.Admitting when isEndNear:
                if (Receive(LinuxCalls.MessagePeek) is 0 or -2)
                {
                    // Nobody waits for the answer.
                    Close();
                }

                break;
            case State.Discarding:
                Discard();
                break;
        }
    }

    /// <inheritdoc/>
    public override void OnWritable()
    {
        if (_connection is not null)
        {
            _shard.ContinueWrite(_connection.Output);
        }
    }

    /// <inheritdoc/>
    public override void OnTick()
    {
        switch (_state)
        {
            case State.New:
                _state = State.Quiet;
                Loop.TickOnce(this);
                break;
            case State.Quiet:
                HandOver();
                break;
            case State.Over when _isLingering:
                Close();
                break;
            case State.Discarding when _isLingering:
                // Closed at the next tick, so that there is a second for what is on its way.
                _state = State.Over;
                Loop.TickOnce(this);
                break;
        }
    }

    /// <inheritdoc/>
    protected override void OnResumed()
    {
        if (_state == State.Admitting)
        {
            var admission = _admission!;
            _admission = null;
            Accept(admission.Request, admission.Rejection);
        }
        else if (_state == State.Waiting)
        {
            _state = State.Open;
            _isMessageWaiting = false;
            var rest = _rest;
            _rest = null;
            if (!TryTake(rest))
            {
                return;
            }
        }

        if (_state == State.Open)
        {
            Receive(isEndNear: true);
        }
    }

    /// <inheritdoc/>
    public override void Abort()
    {
        if (_isPeerGone)
        {
            // There is nobody to reset.
            Close();
        }
        else
        {
            base.Abort();
        }
    }

    /// <inheritdoc/>
    public override void WritingEnded()
    {
        if (_state == State.Discarding)
        {
            // Closing a socket that has unread bytes resets it, and the reset can destroy the close frame on its way.
            EndSending();
            _isLingering = true;
            Loop.TickOnce(this);
        }
        else
        {
            Close();
        }
    }

    /// <inheritdoc/>
    protected override void OnClosed()
    {
        _state = State.Over;
        if (_connection is not null && !_isMessageWaiting)
        {
            End();
        }
        else
        {
            _ = _aborted?.CancelAsync();
        }
    }

    private void End()
    {
        if (_connection!.HasRequestsUnderWay)
        {
            // Elsewhere, since what waits for the token goes on where it is cancelled.
            ThreadPool.UnsafeQueueUserWorkItem(static socket => _ = socket.EndAsync(), this, preferLocal: false);
        }
        else
        {
            _ = EndAsync();
        }
    }

    private async Task EndAsync()
    {
        try
        {
            _aborted!.Cancel();
            await _connection!.EndAsync();
        }
        finally
        {
            Services.FanOut.ConnectionEnded();
        }
    }

    private void Begin(bool isEndNear)
    {
        var length = Receive(LinuxCalls.MessagePeek);
        if (length == -1)
        {
            return;
        }

        if (length <= 0)
        {
            Close();
        }
        else if (!_listener.ServesUpgrades || !UpgradeRequest.TryRead(Loop.ReceiveBuffer.AsSpan(0, length), out var request))
        {
            HandOver();
        }
        else
        {
            Skip(request.Head.Length);
            Admit(request, hasMore: isEndNear || length > request.Head.Length);
        }
    }

    private void HandOver() => _listener.HandOver(Release());

    private void Admit(UpgradeRequest upgrade, bool hasMore)
    {
        _state = State.Admitting;
        _aborted = new CancellationTokenSource();
        var requestId = RandomUuid.Create().ToString();
        var origin = new RequestOrigin(requestId, _address, upgrade.Head.ToArray());
        var subprotocols = upgrade.Subprotocols.IsEmpty ? default : new StringValues(Encoding.ASCII.GetString(upgrade.Subprotocols));
        var connect = ConnectRequest.Read(subprotocols, origin, fromQuery: null);
        var request = new AcceptedUpgrade(
            _listener.FindApi(upgrade.Host), origin, Admission.ComputeAccept(upgrade.Key), connect.IsProtocolOffered, Services.TimeProvider.GetTimestamp());
        var admission = _listener.Admission.AdmitAsync(request.Api, connect, origin, _aborted.Token);
        // Behind the limit on connections, which must not see this one, and before the wait, so that a drain waits too.
        Services.FanOut.ConnectionBegins();
        if (admission.IsCompletedSuccessfully)
        {
            Accept(request, admission.Result);
            if (hasMore)
            {
                Receive(isEndNear: true);
            }
        }
        else
        {
            _ = AwaitAdmissionAsync(request, admission);
        }
    }

    private async Task AwaitAdmissionAsync(AcceptedUpgrade request, ValueTask<ProtocolError?> admission)
    {
        try
        {
            _admission = new AdmissionUnderWay(request, await admission);
            Loop.Signal(this, LoopSignal.Resume);
        }
        catch (Exception e)
        {
            if (e is not OperationCanceledException)
            {
                Services.Log.ConnectionFailed(e, request.Origin.RequestId);
            }

            Services.FanOut.ConnectionEnded();
            Loop.Signal(this, LoopSignal.Close);
        }
    }

    private void Accept(AcceptedUpgrade request, ProtocolError? rejection)
    {
        _state = State.Open;
        Services.Metrics.HandshakeDuration.Record(
            Services.TimeProvider.GetElapsedTime(request.Began).TotalSeconds, request.Api.Metrics.Tags);
        _connection = new Connection(Services, request.Api, request.Origin, _shard, this, rejection, _aborted!.Token);
        _connection.Open(UpgradeAnswer.Encode(request));
    }

    private void Receive(bool isEndNear)
    {
        while (_state == State.Open)
        {
            var length = Receive(flags: 0);
            if (length == -1)
            {
                return;
            }

            if (length <= 0)
            {
                _state = State.Over;
                _isPeerGone = true;
                _connection!.Lose();
                return;
            }

            if (!TryTake(Loop.ReceiveBuffer.AsSpan(0, length)))
            {
                return;
            }

            if (length == Loop.ReceiveBuffer.Length)
            {
                // The others' turn comes first.
                Loop.LookAgain(this);
                return;
            }

            if (!isEndNear)
            {
                return;
            }
        }

        if (_state == State.Discarding)
        {
            Discard();
        }
    }

    private bool TryTake(ReadOnlySpan<byte> bytes)
    {
        if (!_connection!.TryReceive(ref bytes, out var waiting))
        {
            _state = State.Waiting;
            _isMessageWaiting = true;
            _rest = bytes.IsEmpty ? null : bytes.ToArray();
            _ = AwaitMessageAsync(waiting);
            return false;
        }

        if (_connection.IsReceiveOver)
        {
            _state = _connection.IsViolated ? State.Discarding : State.Over;
        }

        return true;
    }

    private async Task AwaitMessageAsync(ValueTask waiting)
    {
        try
        {
            await waiting;
        }
        catch (Exception e)
        {
            _connection!.Fail(e);
        }

        Loop.Signal(this, LoopSignal.Resume);
    }

    private void Discard()
    {
        var length = Receive(flags: 0);
        if (length > 0)
        {
            // The others' turn comes first.
            Loop.LookAgain(this);
        }
        else if (length != -1)
        {
            _state = State.Over;
            if (_connection!.Output.State == OutputState.Closed)
            {
                Close();
            }
        }
    }

    private sealed record AdmissionUnderWay(AcceptedUpgrade Request, ProtocolError? Rejection);
}
