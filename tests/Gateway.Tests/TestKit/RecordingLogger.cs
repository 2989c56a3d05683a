using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>One line of a log.</summary>
/// <param name="Category">The logger's category.</param>
/// <param name="Level">How much it matters.</param>
/// <param name="Text">The message, and the exception where there is one.</param>
/// <param name="Values">What a structured log would keep beside the message, which need not show all of it.</param>
public sealed record LogLine(string Category, LogLevel Level, string Text, string Values);

/// <summary>Keeps every log line of a gateway, all levels and categories.</summary>
public sealed class RecordingLogger : ILoggerProvider
{
    private readonly ConcurrentQueue<LogLine> _entries = [];

    /// <summary>The lines so far, with their categories.</summary>
    public IReadOnlyCollection<LogLine> Entries => _entries;

    /// <summary>The lines so far.</summary>
    public IReadOnlyCollection<(LogLevel Level, string Text)> Lines => [.. _entries.Select(entry => (entry.Level, entry.Text))];

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _entries);

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private sealed class Logger(string category, ConcurrentQueue<LogLine> entries) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var values = state is IEnumerable<KeyValuePair<string, object?>> pairs
                ? string.Join(' ', pairs.Where(pair => pair.Key != "{OriginalFormat}").Select(pair => $"{pair.Key}={pair.Value}"))
                : "";
            entries.Enqueue(new LogLine(category, logLevel, $"{formatter(state, exception)} {exception}", values));
        }
    }
}
