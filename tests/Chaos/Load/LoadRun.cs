using System.Collections.Concurrent;
using System.Diagnostics;
using Fanfare.Chaos.Checking;

namespace Fanfare.Chaos.Load;

/// <summary>Subscribers and publishers at work, and what they saw. Safe for concurrent use.</summary>
internal sealed class LoadRun(GatewayChoice gateways) : IDisposable
{
    private static readonly TimeSpan s_subscribeTimeout = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan s_answerTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_drainTime = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly History _history = new();
    private readonly ConcurrentDictionary<string, int> _refusals = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<int, int> _closes = [];
    private readonly CancellationTokenSource _stopPublishing = new();
    private readonly CancellationTokenSource _stopSubscribing = new();
    private readonly List<Task> _publishing = [];
    private readonly List<Task> _subscribing = [];
    private readonly List<string> _notes = [];
    private int _lastPublisher;
    private int _accepted;
    private int _subscribeErrors;
    private TimeSpan _slowestSubscribe;

    /// <summary>The gateways.</summary>
    public GatewayChoice Gateways => gateways;

    /// <summary>Whether publishers send again what had no answer when a gateway closed their connection with 1001.</summary>
    public bool ResendsAfterClose { get; init; }

    /// <summary>When the run began.</summary>
    public long Began { get; } = Stopwatch.GetTimestamp();

    /// <summary>When publishers stopped.</summary>
    public long PublishingEnded { get; private set; }

    /// <summary>How many publishes were accepted so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>Refused publishes by error.</summary>
    public IReadOnlyDictionary<string, int> Refusals => _refusals;

    /// <summary>Connections that gateways closed, by code.</summary>
    public IReadOnlyDictionary<int, int> Closes => _closes;

    /// <summary>What else is worth telling.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>How many subscribes were answered with an error, and repeated.</summary>
    public int SubscribeErrors => _subscribeErrors;

    /// <summary>The longest time until <c>subscribe_success</c>.</summary>
    public TimeSpan SlowestSubscribe
    {
        get
        {
            lock (_lock)
            {
                return _slowestSubscribe;
            }
        }
    }

    /// <summary>Starts subscribers, and returns when all have subscribed.</summary>
    public async Task SubscribeAsync(IReadOnlyList<Subscriber> subscribers)
    {
        // In groups: a start is no test of how many can connect at once.
        foreach (var group in subscribers.Chunk(25))
        {
            _subscribing.AddRange(group.Select(subscriber => subscriber.RunAsync(_stopSubscribing.Token)));
            await Task.WhenAll(group.Select(subscriber => subscriber.Subscribed)).WaitAsync(s_subscribeTimeout);
        }
    }

    /// <summary>Starts publishers.</summary>
    public void Publish(IEnumerable<Publisher> publishers) =>
        _publishing.AddRange(publishers.Select(publisher => publisher.RunAsync(_stopPublishing.Token)));

    /// <summary>Stops publishers, waits until nothing comes any more, stops subscribers and returns what happened.</summary>
    public async Task<History> StopAsync()
    {
        PublishingEnded = Stopwatch.GetTimestamp();
        await _stopPublishing.CancelAsync();
        await Task.WhenAll(_publishing).WaitAsync(s_answerTimeout);
        await DrainAsync();
        await _stopSubscribing.CancelAsync();
        await Task.WhenAll(_subscribing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return _history;
    }

    /// <summary>A number for a publisher.</summary>
    public int NextPublisher() => Interlocked.Increment(ref _lastPublisher);

    /// <summary>A publish is about to be sent.</summary>
    public void Add(PublishRecord record)
    {
        lock (_lock)
        {
            _history.Publishes.Add(record);
        }
    }

    /// <summary>A subscription has ended, or the run has.</summary>
    public void Add(SubscriptionRecord record)
    {
        lock (_lock)
        {
            _history.Subscriptions.Add(record);
        }
    }

    /// <summary>A publish was answered.</summary>
    public void NoteAnswer(PublishRecord record, string? error)
    {
        if (error is null)
        {
            Interlocked.Increment(ref _accepted);
        }
        else
        {
            _refusals.AddOrUpdate(error, 1, static (_, count) => count + 1);
        }
    }

    /// <summary>A subscribe was answered.</summary>
    public void NoteSubscribe(TimeSpan time, string? error)
    {
        lock (_lock)
        {
            _slowestSubscribe = time > _slowestSubscribe ? time : _slowestSubscribe;
            _subscribeErrors += error is null ? 0 : 1;
        }
    }

    /// <summary>Keeps something for the report.</summary>
    public void AddNote(FormattableString note)
    {
        lock (_lock)
        {
            _notes.Add(FormattableString.Invariant(note));
        }
    }

    /// <summary>A gateway closed a connection.</summary>
    public void CountClose(int code) => _closes.AddOrUpdate(code, 1, static (_, count) => count + 1);

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopPublishing.Dispose();
        _stopSubscribing.Dispose();
    }

    // There is no signal for "nothing more will come" but time; a delivery that is late is late by a retry, not by minutes.
    private static Task DrainAsync() => Task.Delay(s_drainTime);
}
