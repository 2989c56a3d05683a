using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>Collects the measurements of <see cref="TelemetrySources.Meters"/> and prints them for Prometheus.</summary>
/// <remarks>
/// <para>
/// Each instrument has an <see cref="InstrumentSeries"/>, handed to the listener as the instrument's state; a measurement goes
/// straight to it and takes no lock that a scrape could hold. A scrape asks the observable instruments for their values, then
/// reads all series as they stand.
/// </para>
/// <para>Safe for concurrent use. Scrapes run one after another, because observed values go to shared series.</para>
/// </remarks>
internal sealed class PrometheusExporter : IDisposable
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly MeterListener _listener = new();
    private readonly SemaphoreSlim _scraping = new(1, 1);
    private readonly Lock _instrumentsLock = new();
    private readonly Dictionary<Instrument, InstrumentSeries> _instruments = []; // guarded by _instrumentsLock
    private readonly IMeterFactory _meterFactory;
    private readonly ILogger<PrometheusExporter> _logger;
    private bool _observationFailing; // touched only by the scrape that holds _scraping

    /// <summary>Starts to collect.</summary>
    /// <param name="meterFactory">The host's own factory; meters that another host in this process made are left out.</param>
    /// <param name="logger">Where observable instruments that fail are reported.</param>
    public PrometheusExporter(IMeterFactory meterFactory, ILogger<PrometheusExporter> logger)
    {
        _meterFactory = meterFactory;
        _logger = logger;
        _listener.InstrumentPublished = OnInstrumentPublished;
        _listener.MeasurementsCompleted = OnMeasurementsCompleted;
        _listener.SetMeasurementEventCallback<byte>(static (_, value, tags, state) => Record(state, (long)value, tags));
        _listener.SetMeasurementEventCallback<short>(static (_, value, tags, state) => Record(state, (long)value, tags));
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, state) => Record(state, (long)value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<float>(static (_, value, tags, state) => Record(state, (double)value, tags));
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<decimal>(static (_, value, tags, state) => Record(state, (double)value, tags));
        _listener.Start();
    }

    /// <summary>Renders every series as it is now, in an order that depends on names and labels only.</summary>
    /// <param name="cancellationToken">Gives up the wait for a scrape that is under way.</param>
    public async Task<string> ScrapeAsync(CancellationToken cancellationToken)
    {
        await _scraping.WaitAsync(cancellationToken);
        try
        {
            InstrumentSeries[] instruments = GetInstruments();
            foreach (InstrumentSeries instrument in instruments)
                instrument.ForgetObservations();
            Observe();

            StringBuilder text = new();
            PrometheusText.Write(text, GetInstruments());
            return text.ToString();
        }
        finally
        {
            _scraping.Release();
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        _scraping.Dispose();
    }

    private static void Record(object? state, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        ((InstrumentSeries)state!).Record(value, tags);

    private static void Record(object? state, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        ((InstrumentSeries)state!).Record(value, tags);

    private void Observe()
    {
        try
        {
            _listener.RecordObservableInstruments();
            _observationFailing = false;
        }
        catch (AggregateException exception)
        {
            // The listener has asked every instrument by now; those that threw have no series in this scrape, the rest do.
            if (!_observationFailing)
                PrometheusLog.ObservationFailed(_logger, exception);
            _observationFailing = true;
        }
    }

    private void OnInstrumentPublished(Instrument instrument, MeterListener listener)
    {
        object? scope = instrument.Meter.Scope;
        if (scope is not null && !ReferenceEquals(scope, _meterFactory))
            return;
        if (!TelemetrySources.IncludesMeter(instrument.Meter.Name))
            return;
        if (!InstrumentSeries.TryCreate(instrument, out InstrumentSeries? series))
            return;

        lock (_instrumentsLock)
            _instruments[instrument] = series;

        // If the meter was disposed in between, this calls OnMeasurementsCompleted, so the entry does not stay behind.
        listener.EnableMeasurementEvents(instrument, series);
    }

    private void OnMeasurementsCompleted(Instrument instrument, object? state)
    {
        lock (_instrumentsLock)
            _instruments.Remove(instrument);
    }

    private InstrumentSeries[] GetInstruments()
    {
        lock (_instrumentsLock)
            return [.. _instruments.Values];
    }
}
