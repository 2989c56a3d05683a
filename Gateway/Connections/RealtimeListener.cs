using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Channels;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Transport;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Connections;

/// <summary>Listens for the web server, and keeps to itself what turns out to be a WebSocket's upgrade over plain HTTP/1.1.</summary>
/// <remarks>
/// A WebSocket that is served on its event loop costs a small part of what one costs behind the web server: there is no stream, no
/// pipe, no HTTP connection that waits underneath, and no change of threads between a publish's arrival and its delivery.
/// Other connections go to the web server untouched.
/// </remarks>
internal sealed class RealtimeListenerFactory(
    ConnectionServices services, Admission admission, ApiDirectory apis, IServiceProvider provider, IConfiguration configuration,
    IOptions<SocketTransportOptions> options, IOptions<KestrelServerOptions> server, ILoggerFactory loggerFactory)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly SocketTransportFactory _sockets = new(options, loggerFactory);

    /// <inheritdoc/>
    public bool CanBind(EndPoint endpoint) => _sockets.CanBind(endpoint);

    /// <inheritdoc/>
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        if (endpoint is not IPEndPoint address || IsWebServerAskedFor())
        {
            return await _sockets.BindAsync(endpoint, cancellationToken);
        }

        Socket? socket = null;
        try
        {
            socket = options.Value.CreateBoundListenSocket(address);
            socket.Blocking = false;
            // Accepted sockets have it from this one: what a turn writes is all there is, so nothing is to be waited for.
            socket.NoDelay = true;
            socket.Listen(options.Value.Backlog);
        }
        catch (Exception e)
        {
            socket?.Dispose();
            if (e is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
            {
                // By this the web server tells an address that is taken from one that does not exist, as IPv6 may not.
                throw new AddressInUseException(e.Message, e);
            }

            throw;
        }

        // The web server's addresses are known when it has bound them all; its factory can't ask for it before it is made.
        return new RealtimeListener(services, admission, apis, provider.GetRequiredService<IServer>, socket, loggerFactory);
    }

    // What an operator may ask of the web server that has to be done to every connection or request.
    private bool IsWebServerAskedFor() =>
        configuration["AllowedHosts"] is { Length: > 0 } and not "*"
        || string.Equals(configuration["ForwardedHeaders_Enabled"], "true", StringComparison.OrdinalIgnoreCase)
        || server.Value.Limits.MaxConcurrentConnections is not null
        || server.Value.Limits.MaxConcurrentUpgradedConnections is not null;
}

/// <summary>One address that is listened on.</summary>
internal sealed class RealtimeListener : IConnectionListener
{
    // As many may wait for the web server to take them; it takes them at once while it runs at all.
    private const int HandedOverMax = 4096;

    private readonly Channel<ConnectionContext> _handedOver =
        Channel.CreateBounded<ConnectionContext>(new BoundedChannelOptions(HandedOverMax) { SingleReader = true });

    private readonly ApiDirectory _apis;
    private readonly Func<IServer> _getServer;
    private readonly SocketConnectionContextFactory _contexts;
    private readonly ListeningSocket _socket;
    private bool? _servesUpgrades;

    public RealtimeListener(
        ConnectionServices services, Admission admission, ApiDirectory apis, Func<IServer> getServer, Socket socket, ILoggerFactory loggerFactory)
    {
        Services = services;
        Admission = admission;
        _apis = apis;
        _getServer = getServer;
        _contexts = new SocketConnectionContextFactory(
            new SocketConnectionFactoryOptions(), loggerFactory.CreateLogger("Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets"));
        EndPoint = socket.LocalEndPoint!;
        _socket = new ListeningSocket(this, services.FanOut.AssignShard(), Take(socket), loggerFactory.CreateLogger<RealtimeListener>());
        _socket.Loop.Signal(_socket, LoopSignal.Add);
    }

    /// <inheritdoc/>
    public EndPoint EndPoint { get; }

    /// <summary>What all connections share.</summary>
    public ConnectionServices Services { get; }

    /// <summary>Who lets connects in.</summary>
    public Admission Admission { get; }

    /// <summary>Whether upgrades that come in plain text are served here; not on an address that is meant for TLS, nor while draining.</summary>
    public bool ServesUpgrades => !Services.FanOut.IsDraining && (_servesUpgrades ??= FindWhetherPlain()) == true;

    /// <summary>Finds the API of a request's host.</summary>
    public ServedApi FindApi(ReadOnlySpan<byte> host) => _apis.Find(HostNames.WithoutPort(Encoding.ASCII.GetString(host)));

    /// <summary>Gives a socket to the web server.</summary>
    public void HandOver(int descriptor)
    {
        var handle = new SafeSocketHandle(descriptor, ownsHandle: true);
        ConnectionContext context;
        try
        {
            context = _contexts.Create(new Socket(handle));
        }
        catch (SocketException)
        {
            // The client has reset it meanwhile.
            handle.Dispose();
            return;
        }

        if (!_handedOver.Writer.TryWrite(context))
        {
            // The server stops.
            context.Abort();
            _ = context.DisposeAsync().AsTask();
        }
    }

    /// <inheritdoc/>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _handedOver.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_handedOver.Reader.TryRead(out var context))
            {
                return context;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _socket.Loop.Signal(_socket, LoopSignal.Close);
        _handedOver.Writer.TryComplete();
        return new ValueTask(_socket.Closed);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await UnbindAsync();
        _contexts.Dispose();
    }

    // Null while the web server has not said yet.
    private bool? FindWhetherPlain()
    {
        var port = ((IPEndPoint)EndPoint).Port;
        var isKnown = false;
        foreach (var address in _getServer().Features.Get<IServerAddressesFeature>()!.Addresses.ToArray())
        {
            var parsed = BindingAddress.Parse(address);
            if (parsed.Port == port)
            {
                isKnown = true;
                if (!parsed.Scheme.Equals(Uri.UriSchemeHttp, StringComparison.OrdinalIgnoreCase))
                {
                    return false;
                }
            }
        }

        return isKnown ? true : null;
    }

    // The socket keeps nothing: who closes a descriptor is its loop, on the thread that may be using it.
    private static int Take(Socket socket)
    {
        var descriptor = (int)socket.SafeHandle.DangerousGetHandle();
        socket.SafeHandle.SetHandleAsInvalid();
        return descriptor;
    }
}

/// <summary>A listening socket: accepts, and gives each shard its turn.</summary>
internal sealed unsafe partial class ListeningSocket(RealtimeListener listener, Shard shard, int descriptor, ILogger logger)
    : LoopSocket(shard.Loop!, descriptor)
{
    // What else happens on the loop has its turn after so many.
    private const int AcceptsPerTurn = 64;

    // sockaddr_in6, the longest one that comes.
    private const int AddressLengthMax = 28;
    private const int FamilyIPv4 = 2;

    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isPausing;

    /// <summary>Ends when the address is free again.</summary>
    public Task Closed => _closed.Task;

    /// <inheritdoc/>
    public override void OnReadable(bool isEndNear)
    {
        if (_isPausing)
        {
            return;
        }

        var address = stackalloc byte[AddressLengthMax];
        for (var i = 0; i < AcceptsPerTurn; i++)
        {
            var length = AddressLengthMax;
            var accepted = LinuxCalls.Accept(Descriptor, address, &length);
            if (accepted >= 0)
            {
                Begin(accepted, ReadAddress(address));
                continue;
            }

            var error = Marshal.GetLastPInvokeError();
            if (error == LinuxCalls.ErrorAgain)
            {
                return;
            }

            if (error is not (LinuxCalls.ErrorInterrupted or LinuxCalls.ErrorProtocol or LinuxCalls.ErrorConnectionAborted))
            {
                // No descriptor is free, most likely: another time. What waits for it must not be logged one by one.
                LogAcceptFailed(logger, Marshal.GetPInvokeErrorMessage(error));
                _isPausing = true;
                Loop.TickOnce(this);
                return;
            }
        }

        Loop.LookAgain(this);
    }

    /// <inheritdoc/>
    public override void OnWritable()
    {
    }

    /// <inheritdoc/>
    public override void OnTick()
    {
        _isPausing = false;
        OnReadable(isEndNear: false);
    }

    /// <inheritdoc/>
    public override void WritingEnded()
    {
    }

    /// <inheritdoc/>
    protected override void OnClosed() => _closed.TrySetResult();

    /// <inheritdoc/>
    protected override void OnResumed()
    {
    }

    private void Begin(int accepted, IPAddress address)
    {
        var target = listener.Services.FanOut.AssignShard();
        var socket = new RealtimeSocket(listener, target, accepted, address);
        if (target.Loop != Loop)
        {
            target.Loop!.Signal(socket, LoopSignal.Add);
            return;
        }

        try
        {
            socket.OnSignal(LoopSignal.Add);
        }
        catch (IOException e)
        {
            // The system watches no more sockets for this user. That is the end of this one, not of the address.
            LogAcceptFailed(logger, e.Message);
            socket.Abort();
        }
    }

    private static IPAddress ReadAddress(byte* address) => *(ushort*)address == FamilyIPv4
        ? new IPAddress(new ReadOnlySpan<byte>(address + 4, 4))
        : new IPAddress(new ReadOnlySpan<byte>(address + 8, 16), *(uint*)(address + 24));

    [LoggerMessage(30, LogLevel.Warning, "A connection could not be accepted: {Reason}.")]
    private static partial void LogAcceptFailed(ILogger logger, string reason);
}
