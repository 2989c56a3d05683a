using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>Whatever functions are called at, on a real socket: the Invoke API, the emulator, a webhook, or something broken.</summary>
public sealed class FakeLambda : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly ConcurrentQueue<FakeCall> _calls = [];
    private readonly Channel<FakeCall> _arrivals = Channel.CreateUnbounded<FakeCall>();
    private int _running;
    private int _mostRunning;

    private FakeLambda(WebApplication application)
    {
        _application = application;
        application.Run(AnswerAsync);
    }

    /// <summary>Where it listens, without a path.</summary>
    public Uri Address => new(Assert.Single(_application.Urls));

    /// <summary>How calls are answered; <c>null</c> with status 200 unless a test says otherwise.</summary>
    public Func<FakeCall, Task> Answer { get; set; } = call => call.ReturnAsync("null");

    /// <summary>The calls so far.</summary>
    public IReadOnlyCollection<FakeCall> Calls => _calls;

    /// <summary>How many calls ran at the same time at most.</summary>
    public int MostRunning => Volatile.Read(ref _mostRunning);

    /// <summary>Starts on a free port.</summary>
    public static async Task<FakeLambda> StartAsync(Func<FakeCall, Task>? answer = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var lambda = new FakeLambda(builder.Build());
        lambda.Answer = answer ?? lambda.Answer;
        await lambda._application.StartAsync(TestContext.Current.CancellationToken);
        return lambda;
    }

    /// <summary>Starts one that returns the same JSON to every call.</summary>
    public static Task<FakeLambda> ReturningAsync(string json) => StartAsync(call => call.ReturnAsync(json));

    /// <summary>Waits for the next call that no one waited for yet; it may still be running.</summary>
    public Task<FakeCall> NextCallAsync() =>
        Deadline.WaitAsync(async token => await _arrivals.Reader.ReadAsync(token), "a call of the function");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _application.StopAsync(now.Token);
        await _application.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var running = Interlocked.Increment(ref _running);
        for (var most = MostRunning; running > most; most = MostRunning)
        {
            Interlocked.CompareExchange(ref _mostRunning, running, most);
        }

        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var call = new FakeCall(context, await reader.ReadToEndAsync(context.RequestAborted));
        _calls.Enqueue(call);
        _arrivals.Writer.TryWrite(call);
        try
        {
            await Answer(call);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The gateway gave up, as some tests want it to.
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }
}

/// <summary>One call of a function.</summary>
public sealed class FakeCall(HttpContext context, string body)
{
    /// <summary>The method and target as sent, nothing decoded.</summary>
    public string RequestLine { get; } = $"{context.Request.Method} {context.Features.Get<IHttpRequestFeature>()!.RawTarget}";

    /// <summary>The request's headers.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; } =
        context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);

    /// <summary>The event.</summary>
    public string Body { get; } = body;

    /// <summary>The event as a JSON object.</summary>
    public JsonObject Json => JsonNode.Parse(Body)!.AsObject();

    /// <summary>Cancelled when the caller hangs up.</summary>
    public CancellationToken Aborted { get; } = context.RequestAborted;

    /// <summary>Answers as a function that returned.</summary>
    public Task ReturnAsync(string json) => AnswerAsync(200, json);

    /// <summary>Answers with bytes of any kind.</summary>
    public async Task AnswerBytesAsync(byte[] body) => await context.Response.Body.WriteAsync(body, Aborted);

    /// <summary>Answers in any way.</summary>
    public async Task AnswerAsync(int status, string text, params (string Name, string Value)[] headers)
    {
        context.Response.StatusCode = status;
        foreach (var (name, value) in headers)
        {
            context.Response.Headers[name] = value;
        }

        if (status is not (204 or 304))
        {
            await context.Response.WriteAsync(text, Encoding.UTF8, Aborted);
        }
    }

    /// <summary>Breaks the connection off.</summary>
    public Task AbortAsync()
    {
        context.Abort();
        return Task.CompletedTask;
    }
}
