using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>Keeps every log line of a gateway, all levels and categories.</summary>
public sealed class RecordingLogger : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = [];

    /// <summary>The lines so far.</summary>
    public IReadOnlyCollection<(LogLevel Level, string Text)> Lines => _lines;

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => this;

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => true;

    /// <inheritdoc/>
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        ArgumentNullException.ThrowIfNull(formatter);
        _lines.Enqueue((logLevel, $"{formatter(state, exception)} {exception}"));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
