namespace Fanfare.ServiceDefaults.Prometheus;

/// <summary>What an instrument's measurements mean, whether they are pushed or observed.</summary>
internal enum InstrumentKind
{
    /// <summary>A sum that only grows.</summary>
    Counter,

    /// <summary>A sum that grows and shrinks.</summary>
    UpDownCounter,

    /// <summary>The last value seen.</summary>
    Gauge,

    /// <summary>A distribution.</summary>
    Histogram,
}
