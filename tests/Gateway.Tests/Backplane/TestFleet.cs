using System.Collections.Concurrent;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>Gateways that share a backplane, reached as clients reach them.</summary>
public sealed class TestFleet : IAsyncDisposable
{
    private readonly IReadOnlyList<GatewayServer> _gateways;
    private readonly IReadOnlyList<InterestRecorder> _recorders;
    private readonly IAsyncDisposable? _engine;
    private readonly TemporaryFolder _data;

    private TestFleet(
        IReadOnlyList<GatewayServer> gateways, IReadOnlyList<InterestRecorder> recorders, IAsyncDisposable? engine, TemporaryFolder data) =>
        (_gateways, _recorders, _engine, _data) = (gateways, recorders, engine, data);

    /// <summary>One gateway.</summary>
    public GatewayServer this[int index] => _gateways[index];

    /// <summary>The last gateway: another one than the first where the engine has several.</summary>
    public GatewayServer Last => _gateways[^1];

    /// <summary>How many there are.</summary>
    public int Count => _gateways.Count;

    /// <summary>The patterns that a gateway announced (<c>+</c>) and withdrew (<c>-</c>), in order.</summary>
    public IReadOnlyCollection<string> GetInterestCalls(int gateway) => _recorders[gateway].Calls;

    /// <summary>Starts gateways that share an engine.</summary>
    /// <param name="count">How many.</param>
    /// <param name="engine">What they share, disposed with the fleet; <see langword="null"/> where there is nothing.</param>
    /// <param name="arguments">The arguments of each.</param>
    public static Task<TestFleet> StartAsync(int count, IAsyncDisposable? engine, params string[] arguments) =>
        StartAsync(count, engine, GatewayProgram.Standalone, _ => arguments);

    /// <summary>Starts gateways of another program that share an engine.</summary>
    /// <param name="count">How many.</param>
    /// <param name="engine">What they share, disposed with the fleet.</param>
    /// <param name="program">The program.</param>
    /// <param name="getArguments">The arguments of one.</param>
    internal static async Task<TestFleet> StartAsync(
        int count, IAsyncDisposable? engine, GatewayProgram program, Func<int, string[]> getArguments)
    {
        var gateways = new List<GatewayServer>();
        var recorders = new List<InterestRecorder>();
        // One identity: the API's id is part of every channel's key.
        var data = new TemporaryFolder();
        try
        {
            for (var i = 0; i < count; i++)
            {
                var recorder = new InterestRecorder();
                recorders.Add(recorder);
                gateways.Add(await GatewayServer.StartProgramAsync(program, recorder.Insert, [.. getArguments(i), $"--Fanfare:Data={data.Path}"]));
            }
        }
        catch
        {
            await new TestFleet(gateways, recorders, engine, data).DisposeAsync();
            throw;
        }

        return new TestFleet(gateways, recorders, engine, data);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in _gateways)
        {
            await gateway.DisposeAsync();
        }

        if (_engine is not null)
        {
            await _engine.DisposeAsync();
        }

        _data.Dispose();
    }

    /// <summary>Stands between a gateway and its backplane and notes what it says of its interests.</summary>
    private sealed class InterestRecorder
    {
        private readonly ConcurrentQueue<string> _calls = [];

        public IReadOnlyCollection<string> Calls => _calls;

        public void Insert(IServiceCollection services)
        {
            var engine = services.Last(service => service.ServiceType == typeof(IBackplane));
            services.Remove(engine);
            services.AddSingleton<IBackplane>(provider => new Recording(
                (IBackplane)(engine.ImplementationInstance
                    ?? engine.ImplementationFactory?.Invoke(provider)
                    ?? ActivatorUtilities.CreateInstance(provider, engine.ImplementationType!)),
                _calls));
        }

        private sealed class Recording(IBackplane engine, ConcurrentQueue<string> calls) : IBackplane, IAsyncDisposable
        {
            public ValueTask<PublishStatus> PublishAsync(ChannelKey channel, EventBatch events, out bool isPlaced, CancellationToken cancellationToken) =>
                engine.PublishAsync(channel, events, out isPlaced, cancellationToken);

            public ValueTask AddInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
            {
                calls.Enqueue($"+{pattern}");
                return engine.AddInterestAsync(pattern, cancellationToken);
            }

            public ValueTask RemoveInterestAsync(PatternKey pattern, CancellationToken cancellationToken)
            {
                calls.Enqueue($"-{pattern}");
                return engine.RemoveInterestAsync(pattern, cancellationToken);
            }

            public async ValueTask DisposeAsync()
            {
                if (engine is IAsyncDisposable asynchronous)
                {
                    await asynchronous.DisposeAsync();
                }
                else
                {
                    (engine as IDisposable)?.Dispose();
                }
            }
        }
    }
}
