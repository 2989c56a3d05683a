using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Fanfare.Gateway.Observability;

/// <summary>The gateway's instruments, in the vocabulary of AppSync's own metrics (docs/operations.md has the table).</summary>
/// <remarks>
/// What happens per publish or per delivery is counted in plain fields (<see cref="NamespaceMetrics"/>, <see cref="ApiMetrics"/>) and
/// read when somebody looks; only rare happenings and one histogram entry per publish go through an instrument at once.
/// </remarks>
internal sealed class GatewayMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Fanfare.Gateway";

    private static readonly InstrumentAdvice<double> s_latencyAdvice = new()
    {
        HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    };

    private static readonly InstrumentAdvice<double> s_durationAdvice = new()
    {
        HistogramBucketBoundaries = [1, 10, 60, 300, 900, 3600, 14400, 43200, 86400],
    };

    private readonly Meter _meter;
    private readonly ConcurrentDictionary<string, ApiMetrics> _apis = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Api, string Namespace), NamespaceMetrics> _namespaces = new();

    public GatewayMetrics(IMeterFactory meterFactory)
    {
        _meter = meterFactory.Create(MeterName);
        Connects = _meter.CreateCounter<long>("fanfare.connects", "{connection}", "WebSocket connects by outcome.");
        Disconnects = _meter.CreateCounter<long>("fanfare.disconnects", "{connection}", "WebSockets that ended, by reason.");
        Subscribes = _meter.CreateCounter<long>("fanfare.subscribes", "{subscription}", "Subscribe messages by outcome.");
        Unsubscribes = _meter.CreateCounter<long>("fanfare.unsubscribes", "{subscription}", "Unsubscribe messages by outcome.");
        PublishErrors = _meter.CreateCounter<long>("fanfare.publish.errors", "{publish}", "Publishes refused, by error type.");
        AuthFailures = _meter.CreateCounter<long>("fanfare.auth.failures", "{request}", "Requests whose credentials were refused.");
        AuthLimited = _meter.CreateCounter<long>(
            "fanfare.auth.limited", "{request}", "Requests refused unseen after too many failures from their address.");
        LambdaInvocations = _meter.CreateCounter<long>("fanfare.lambda.invocations", "{call}", "Calls of functions by outcome.");
        LambdaDuration = _meter.CreateHistogram("fanfare.lambda.duration", "s",
            "From the call of a function to its outcome, all attempts together.", advice: s_latencyAdvice);
        DataSourceDuration = _meter.CreateHistogram("fanfare.datasource.duration", "s",
            "From the call of a handler's data source to its answer, waiting and all attempts together.", advice: s_latencyAdvice);
        HandlerDuration = _meter.CreateHistogram("fanfare.handler.duration", "s",
            "From the call of an event handler to its outcome, data sources and functions included.", advice: s_latencyAdvice);
        HandlerWorkersLost = _meter.CreateCounter<long>(
            "fanfare.handler.workers.lost", "{process}", "Processes that handler code brought down, by how.");
        HandshakeDuration = _meter.CreateHistogram("fanfare.handshake.duration", "s",
            "From the upgrade request to its answer.", advice: s_latencyAdvice);
        ConnectionDuration = _meter.CreateHistogram("fanfare.connection.duration", "s",
            "How long WebSockets lived.", advice: s_durationAdvice);
        RequestDuration = _meter.CreateHistogram("fanfare.publish.http.duration", "s",
            "From an HTTP publish to its answer.", advice: s_latencyAdvice);
        DeliveryDuration = _meter.CreateHistogram("fanfare.delivery.duration", "s",
            "From the acceptance of a publish to its last write at this gateway's shard.", advice: s_latencyAdvice);

        ObserveApi("fanfare.connections.active", "{connection}", "WebSockets open now.", api => api.ActiveConnections, isGauge: true);
        ObserveApi("fanfare.publish.http.requests", "{request}", "HTTP publish requests.", api => api.HttpRequests);
        ObserveApi("fanfare.publish.http.client_errors", "{request}", "HTTP publishes answered with 4xx.", api => api.HttpClientErrors);
        ObserveApi("fanfare.publish.http.server_errors", "{request}", "HTTP publishes answered with 5xx.", api => api.HttpServerErrors);
        ObserveApi("fanfare.received", "By", "Bytes of messages and bodies that clients sent.", api => api.ReceivedBytes);
        ObserveApi("fanfare.sent", "By", "Bytes written to WebSockets.", api => api.SentBytes);
        ObserveNamespace("fanfare.subscriptions.active", "{subscription}", "Subscriptions live now.", ns => ns.ActiveSubscriptions, isGauge: true);
        ObserveNamespace("fanfare.publishes", "{publish}", "Publishes accepted.", ns => ns.Publishes);
        ObserveNamespace("fanfare.events.successful", "{event}", "Events accepted for delivery.", ns => ns.SuccessfulEvents);
        ObserveNamespace(
            "fanfare.events.failed", "{event}", "Events that failed one by one, or whose publish a handler refused.", ns => ns.FailedEvents);
        ObserveNamespace("fanfare.events.dropped", "{event}", "Events that a handler left out.", ns => ns.DroppedEvents);
        ObserveNamespace("fanfare.deliveries", "{event}", "Events put on subscriptions.", ns => ns.Deliveries);
    }

    /// <summary>WebSocket connects; tags <c>api</c>, <c>outcome</c>.</summary>
    public Counter<long> Connects { get; }

    /// <summary>WebSockets that ended; tags <c>api</c>, <c>reason</c>.</summary>
    public Counter<long> Disconnects { get; }

    /// <summary>Subscribe messages; tags <c>api</c>, <c>outcome</c>.</summary>
    public Counter<long> Subscribes { get; }

    /// <summary>Unsubscribe messages; tags <c>api</c>, <c>outcome</c>.</summary>
    public Counter<long> Unsubscribes { get; }

    /// <summary>Publishes refused; tags <c>api</c>, <c>type</c>, <c>protocol</c>.</summary>
    public Counter<long> PublishErrors { get; }

    /// <summary>Requests whose credentials were refused; tags <c>api</c>, <c>mode</c>, <c>operation</c>.</summary>
    public Counter<long> AuthFailures { get; }

    /// <summary>Requests refused unseen after too many failures; tags <c>api</c>, <c>operation</c>.</summary>
    public Counter<long> AuthLimited { get; }

    /// <summary>Calls of functions; tags <c>function</c>, <c>outcome</c>.</summary>
    public Counter<long> LambdaInvocations { get; }

    /// <summary>Seconds that calls of functions took; tag <c>function</c>.</summary>
    public Histogram<double> LambdaDuration { get; }

    /// <summary>Seconds that calls of data sources took; tags <c>api</c>, <c>source</c>, <c>kind</c>, <c>outcome</c>.</summary>
    public Histogram<double> DataSourceDuration { get; }

    /// <summary>Seconds that event handlers took; tags <c>api</c>, <c>namespace</c>, <c>handler</c>, <c>outcome</c>.</summary>
    public Histogram<double> HandlerDuration { get; }

    /// <summary>Processes that handler code brought down; tag <c>reason</c>.</summary>
    public Counter<long> HandlerWorkersLost { get; }

    /// <summary>Seconds from the upgrade request to its answer.</summary>
    public Histogram<double> HandshakeDuration { get; }

    /// <summary>Seconds that WebSockets lived.</summary>
    public Histogram<double> ConnectionDuration { get; }

    /// <summary>Seconds from an HTTP publish to its answer.</summary>
    public Histogram<double> RequestDuration { get; }

    /// <summary>Seconds from acceptance to the last write of a publish on one shard.</summary>
    public Histogram<double> DeliveryDuration { get; }

    /// <summary>An event handler ran.</summary>
    /// <param name="ns">Whose.</param>
    /// <param name="handler">Its name.</param>
    /// <param name="refusal">Why it refused, or <see langword="null"/>.</param>
    /// <param name="elapsed">How long it took.</param>
    public void HandlerInvoked(NamespaceMetrics ns, string handler, string? refusal, TimeSpan elapsed)
    {
        var tags = new TagList(ns.Tags) { { "handler", handler }, { "outcome", refusal ?? "success" } };
        HandlerDuration.Record(elapsed.TotalSeconds, tags);
    }

    /// <summary>The counters of one API.</summary>
    public ApiMetrics ForApi(string apiId) => _apis.GetOrAdd(apiId, static id => new ApiMetrics(id));

    /// <summary>The counters of one namespace.</summary>
    public NamespaceMetrics ForNamespace(string apiId, string name) =>
        _namespaces.GetOrAdd((apiId, name), static key => new NamespaceMetrics(key.Api, key.Namespace));

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private void ObserveApi(string name, string unit, string description, Func<ApiMetrics, long> read, bool isGauge = false)
    {
        IEnumerable<Measurement<long>> ReadAll() => _apis.Values.Select(api => new Measurement<long>(read(api), api.Tags));
        Observe(name, unit, description, ReadAll, isGauge);
    }

    private void ObserveNamespace(string name, string unit, string description, Func<NamespaceMetrics, long> read, bool isGauge = false)
    {
        IEnumerable<Measurement<long>> ReadAll() => _namespaces.Values.Select(ns => new Measurement<long>(read(ns), ns.Tags));
        Observe(name, unit, description, ReadAll, isGauge);
    }

    private void Observe(string name, string unit, string description, Func<IEnumerable<Measurement<long>>> observe, bool isGauge)
    {
        if (isGauge)
        {
            _meter.CreateObservableUpDownCounter(name, observe, unit, description);
        }
        else
        {
            _meter.CreateObservableCounter(name, observe, unit, description);
        }
    }
}

/// <summary>What is counted for one API. All members are safe for concurrent use.</summary>
internal sealed class ApiMetrics(string apiId)
{
    private long _activeConnections;
    private long _httpRequests;
    private long _httpClientErrors;
    private long _httpServerErrors;
    private long _receivedBytes;
    private long _sentBytes;

    /// <summary>The tags of the API's measurements.</summary>
    public KeyValuePair<string, object?>[] Tags { get; } = [new("api", apiId)];

    public long ActiveConnections => Volatile.Read(ref _activeConnections);

    public long HttpRequests => Volatile.Read(ref _httpRequests);

    public long HttpClientErrors => Volatile.Read(ref _httpClientErrors);

    public long HttpServerErrors => Volatile.Read(ref _httpServerErrors);

    public long ReceivedBytes => Volatile.Read(ref _receivedBytes);

    public long SentBytes => Volatile.Read(ref _sentBytes);

    public void ConnectionOpened() => Interlocked.Increment(ref _activeConnections);

    public void ConnectionClosed() => Interlocked.Decrement(ref _activeConnections);

    public void HttpAnswered(int status)
    {
        Interlocked.Increment(ref _httpRequests);
        if (status >= 500)
        {
            Interlocked.Increment(ref _httpServerErrors);
        }
        else if (status >= 400)
        {
            Interlocked.Increment(ref _httpClientErrors);
        }
    }

    public void Received(long bytes) => Interlocked.Add(ref _receivedBytes, bytes);

    public void Sent(long bytes) => Interlocked.Add(ref _sentBytes, bytes);
}

/// <summary>What is counted for one namespace. All members are safe for concurrent use.</summary>
internal sealed class NamespaceMetrics(string apiId, string name)
{
    private long _activeSubscriptions;
    private long _publishes;
    private long _successfulEvents;
    private long _failedEvents;
    private long _droppedEvents;
    private long _deliveries;

    /// <summary>The tags of the namespace's measurements.</summary>
    public KeyValuePair<string, object?>[] Tags { get; } = [new("api", apiId), new("namespace", name)];

    public long ActiveSubscriptions => Volatile.Read(ref _activeSubscriptions);

    public long Publishes => Volatile.Read(ref _publishes);

    public long SuccessfulEvents => Volatile.Read(ref _successfulEvents);

    public long FailedEvents => Volatile.Read(ref _failedEvents);

    public long DroppedEvents => Volatile.Read(ref _droppedEvents);

    public long Deliveries => Volatile.Read(ref _deliveries);

    public void SubscriptionAdded() => Interlocked.Increment(ref _activeSubscriptions);

    public void SubscriptionsRemoved(int count) => Interlocked.Add(ref _activeSubscriptions, -count);

    public void Published(int successful, int failed)
    {
        Interlocked.Increment(ref _publishes);
        Interlocked.Add(ref _successfulEvents, successful);
        if (failed > 0)
        {
            Interlocked.Add(ref _failedEvents, failed);
        }
    }

    public void Refused(int events) => Interlocked.Add(ref _failedEvents, events);

    public void Dropped(int events) => Interlocked.Add(ref _droppedEvents, events);

    public void Delivered(long events) => Interlocked.Add(ref _deliveries, events);
}
