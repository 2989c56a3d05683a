using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace Fanfare.ServiceDefaults.Logging;

/// <summary>The console logger without the two entries that a failed start leaves there, stack traces included.</summary>
/// <remarks>
/// The program catches the same exception and prints one line that says what to do. A filter by category would also hide what
/// shares the category (a background service that dies, say), and filters do not see event ids; hence a provider around the
/// console's own. Other providers, the exporter of logs among them, still get the entries.
/// </remarks>
[ProviderAlias("Console")]
internal sealed class StartFailureFilter(IOptionsMonitor<ConsoleLoggerOptions> options, IEnumerable<ConsoleFormatter> formatters)
    : ILoggerProvider, ISupportExternalScope
{
    // Found by failing the start of .NET 10 in six ways; Kestrel itself logs none of them.
    private static readonly Dictionary<string, int> s_startFailures = new()
    {
        ["Microsoft.Extensions.Hosting.Internal.Host"] = 11, // "Hosting failed to start"
        ["Microsoft.AspNetCore.Hosting.Diagnostics"] = 6, // "Application startup exception": the request pipeline threw
    };

    private readonly ConsoleLoggerProvider _console = new(options, formatters);

    public ILogger CreateLogger(string categoryName)
    {
        ILogger logger = _console.CreateLogger(categoryName);
        return s_startFailures.TryGetValue(categoryName, out int eventId) ? new FilteredLogger(logger, eventId) : logger;
    }

    public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _console.SetScopeProvider(scopeProvider);

    public void Dispose() => _console.Dispose();

    private sealed class FilteredLogger(ILogger logger, int droppedEventId) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => logger.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => logger.IsEnabled(logLevel);

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id != droppedEventId)
                logger.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
