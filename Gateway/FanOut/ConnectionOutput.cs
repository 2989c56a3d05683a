using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Transport;

namespace Fanfare.Gateway.FanOut;

/// <summary>How far a connection's sending half has come; only ever forward.</summary>
internal enum OutputState
{
    /// <summary>Frames are taken.</summary>
    Open,

    /// <summary>A close frame is queued or sent; nothing else is taken.</summary>
    Closing,

    /// <summary>Nothing is sent any more.</summary>
    Closed,
}

/// <summary>The sending half of one connection. Its methods hand work to the shard, which owns all that changes.</summary>
/// <remarks>
/// Because replies and deliveries go through the same shard, they leave in the order in which they were posted: no <c>data</c>
/// precedes its <c>subscribe_success</c> or follows its <c>unsubscribe_success</c>.
/// </remarks>
internal sealed class ConnectionOutput
{
    // Of requests: how many are under way, in the bits below these marks. The close frame follows the last answer; no further request
    // is carried out.
    private const int ClosesBehindAnswers = 1 << 30;
    private const int Closed = 1 << 29;

    private int _state;
    private int _requests;
    private CloseReason _lateCloseReason;

    /// <param name="shard">The shard that serves the connection.</param>
    /// <param name="transport">Where frames are written.</param>
    /// <param name="api">The API, whose counters count what is sent.</param>
    public ConnectionOutput(Shard shard, ConnectionTransport transport, ServedApi api)
    {
        Shard = shard;
        Transport = transport;
        Api = api;
    }

    /// <summary>The shard that serves the connection.</summary>
    public Shard Shard { get; }

    /// <summary>Why the connection ended.</summary>
    public CloseReason Reason { get; internal set; }

    /// <summary>Whether the connection is past the point where requests are carried out. May be read by anyone.</summary>
    public bool IsClosing => State != OutputState.Open;

    internal ConnectionTransport Transport { get; }

    internal ServedApi Api { get; }

    // What follows is owned by the shard.
    internal OutboundBuffer Buffer;

    /// <summary>How far the output has come. Written by the shard, read by anyone.</summary>
    internal OutputState State
    {
        get => (OutputState)Volatile.Read(ref _state);
        set => Volatile.Write(ref _state, (int)value);
    }

    /// <summary>Whether the connection takes part no longer in what closes connections: it is closed, or will be behind an answer.</summary>
    internal bool IsCloseDue => IsClosing || Volatile.Read(ref _requests) >= Closed;

    /// <summary>Whether the output is in the shard's list of those to flush.</summary>
    internal bool IsTouched { get; set; }

    /// <summary>How many subscriptions the connection has.</summary>
    internal int SubscriptionCount { get; set; }

    /// <summary>The connection's only subscription while it is one that may wait for the end of a round.</summary>
    internal Subscription? Lone { get; set; }

    /// <summary>Where the output stands in the shard's list, or −1.</summary>
    internal int Position { get; set; } = -1;

    /// <summary>Whether the client will send nothing more that matters, so that a sent close frame is the end.</summary>
    internal bool IsPeerDone { get; set; }

    /// <summary>When the next <c>ka</c> is due; a timestamp.</summary>
    internal long KeepAliveDue { get; set; }

    /// <summary>When the connection's lifetime is over; a timestamp.</summary>
    internal long LifetimeEnd { get; set; }

    /// <summary>When the write under way began or last made progress; a timestamp.</summary>
    internal long WriteStarted { get; set; }

    /// <summary>When a closing connection is broken off; a timestamp.</summary>
    internal long CloseDeadline { get; set; }

    /// <summary>Sends frames, whose owner the shard becomes.</summary>
    public void Send(PooledFrame frames) => Shard.Post(ShardCommand.Send(this, frames));

    /// <summary>Sends <c>connection_ack</c> and starts the keep-alive's interval anew.</summary>
    public void SendConnectionAck(PooledFrame frames) => Shard.Post(ShardCommand.Acknowledge(this, frames));

    /// <summary>Makes a subscription live, then sends its confirmation.</summary>
    public void Subscribe(Subscription subscription, PooledFrame confirmation) =>
        Shard.Post(ShardCommand.Subscribe(subscription, confirmation));

    /// <summary>Ends a subscription, then sends its confirmation.</summary>
    public void Unsubscribe(Subscription subscription, PooledFrame confirmation) =>
        Shard.Post(ShardCommand.Unsubscribe(subscription, confirmation));

    /// <summary>Starts the closing handshake from our side; sends a last message before it where one is given.</summary>
    public void Close(CloseReason reason, PooledFrame? lastMessage = null) =>
        Shard.Post(ShardCommand.Close(this, reason, reason.GetCode(), isPeerDone: false, lastMessage));

    /// <summary>Answers the client's close frame, or a violation after which its bytes mean nothing.</summary>
    public void CloseFinally(CloseReason reason, CloseCode code) =>
        Shard.Post(ShardCommand.Close(this, reason, code, isPeerDone: true, lastMessage: null));

    /// <summary>Gives the connection up: the transport is gone.</summary>
    public void Abandon(CloseReason reason) => Shard.Post(ShardCommand.Abandon(this, reason));

    /// <summary>Takes the connection and its subscriptions out of the shard; the last call.</summary>
    /// <param name="subscriptions">The connection's subscriptions, not changed afterwards.</param>
    public void End(IReadOnlyList<Subscription> subscriptions) => Shard.Post(ShardCommand.End(this, subscriptions));

    /// <summary>Begins a request; <see langword="false"/> where none is carried out any more. Several may be under way.</summary>
    public bool TryBeginRequest()
    {
        var requests = Volatile.Read(ref _requests);
        while (requests < Closed)
        {
            var found = Interlocked.CompareExchange(ref _requests, requests + 1, requests);
            if (found == requests)
            {
                return true;
            }

            requests = found;
        }

        return false;
    }

    /// <summary>Ends a request, whose answer has been sent.</summary>
    public void EndRequest()
    {
        if (Interlocked.Decrement(ref _requests) == ClosesBehindAnswers)
        {
            Interlocked.Or(ref _requests, Closed);
            Close(_lateCloseReason);
        }
    }

    /// <summary>
    /// Stops requests before a close that the client did not ask for; <see langword="false"/> where some are under way, and the
    /// close comes by itself behind their answers. Called by the shard.
    /// </summary>
    internal bool TryEndRequests(CloseReason reason)
    {
        while (true)
        {
            var requests = Volatile.Read(ref _requests);
            if (requests >= Closed)
            {
                return requests < ClosesBehindAnswers;
            }

            if (requests > 0)
            {
                // Before the mark, since whoever ends the last request looks at it then.
                _lateCloseReason = reason;
            }

            var marked = requests == 0 ? Closed : requests | ClosesBehindAnswers;
            if (Interlocked.CompareExchange(ref _requests, marked, requests) == requests)
            {
                return requests == 0;
            }
        }
    }

    /// <summary>Breaks the transport off.</summary>
    internal void AbortTransport() => Transport.Abort();

    /// <summary>Says that nothing will be written any more and the transport may be closed. Called once.</summary>
    internal void Complete() => Transport.WritingEnded();
}
