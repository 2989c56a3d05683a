namespace Fanfare.Bench;

/// <summary>Raised where there is nothing to measure, or where a figure would be of something else.</summary>
internal sealed class MeasurementException(string message) : Exception(message);
