using System.Globalization;

namespace Fanfare.Handlers;

/// <summary>A gateway with all cases, its workers, and the function.</summary>
internal sealed class HandlerGateway : IDisposable
{
    // A function that is only told of publishes may still have some before it; it is through when its count stands still.
    private static readonly TimeSpan s_stillness = TimeSpan.FromMilliseconds(50);

    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(5) };

    private readonly ServerProcess _function;
    private readonly ServerProcess _gateway;
    private long _calls;

    private HandlerGateway(ServerProcess function, ServerProcess gateway) => (_function, _gateway) = (function, gateway);

    /// <summary>Processes whose times <see cref="GetProcessorTimes"/> tells apart, in its order.</summary>
    public static IReadOnlyList<string> Servers { get; } = ["gateway", "workers", "function"];

    /// <summary>The gateway's port.</summary>
    public int Port => _gateway.Port;

    /// <summary>Starts all.</summary>
    /// <param name="gateway">The program of gateways.</param>
    /// <param name="data">The gateway's folder.</param>
    /// <param name="workerCount">How many workers there are; 0 for one for each core.</param>
    public static async Task<HandlerGateway> StartAsync(string gateway, string data, int workerCount)
    {
        var functionPort = ServerProcess.ReservePort();
        var function = new ServerProcess(
            "the function", functionPort, "dotnet", [typeof(HandlerGateway).Assembly.Location, "function", "--port", $"{functionPort}"]);
        await function.AwaitReadyAsync(hasHealth: true);
        var port = ServerProcess.ReservePort();
        var server = new ServerProcess(
            "the gateway", port, "dotnet",
            [
                gateway, "--urls", $"http://127.0.0.1:{port}", "--data", data, "--api-key", ServerProcess.ApiKey,
                "--template", Path.Combine(AppContext.BaseDirectory, "template.yaml"),
            ],
            ("Fanfare__Lambda__Endpoint", $"http://127.0.0.1:{functionPort}"),
            ("Fanfare__Handlers__Workers", workerCount.ToString(CultureInfo.InvariantCulture)));
        await server.AwaitReadyAsync(hasHealth: true);
        return new HandlerGateway(function, server);
    }

    /// <summary>Returns the processor times so far of the gateway, of all its workers and of the function.</summary>
    public TimeSpan[] GetProcessorTimes() =>
        [_gateway.GetProcessorTime(), _gateway.GetChildrenProcessorTime(), _function.GetProcessorTime()];

    /// <summary>Returns when the function is through; says how many calls it had since the last time, and fails where that cannot be.</summary>
    /// <param name="calls">Of how many publishes it was to hear.</param>
    /// <param name="publishes">How many publishes there were since the last time.</param>
    public async Task<long> DrainAsync(FunctionCalls calls, long publishes)
    {
        var count = await CountCallsAsync();
        while (calls == FunctionCalls.Some)
        {
            await Task.Delay(s_stillness);
            var (before, now) = (count, await CountCallsAsync());
            count = now;
            if (before == now)
            {
                break;
            }
        }

        var since = count - _calls;
        _calls = count;
        var isRight = calls switch
        {
            FunctionCalls.None => since == 0,
            FunctionCalls.All => since == publishes,
            _ => since > 0 && since <= publishes,
        };
        return isRight ? since : throw new MeasurementException($"The function had {since} calls for {publishes} publishes.");
    }

    /// <summary>Fails where a worker was lost: calls that were repeated are counted nowhere.</summary>
    public async Task CheckWorkersAsync()
    {
        var lost = await _gateway.GetMetricAsync("fanfare_handler_workers_lost_total");
        if (lost > 0)
        {
            throw new MeasurementException($"{lost} workers came to an end.");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _gateway.Dispose();
        _function.Dispose();
    }

    private async Task<long> CountCallsAsync() =>
        long.Parse(await s_http.GetStringAsync($"http://127.0.0.1:{_function.Port}{FunctionServer.CountPath}"), CultureInfo.InvariantCulture);
}
