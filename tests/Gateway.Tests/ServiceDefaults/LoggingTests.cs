using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.ServiceDefaults;

public sealed class LoggingTests
{
    private readonly RecordingFormatter _console = new();

    [Fact]
    public async Task A_port_in_use_fails_the_start_without_a_word_on_the_console()
    {
        using TcpListener occupant = new(IPAddress.Loopback, 0);
        occupant.Start();
        await using WebApplication application = Build(new() { ["urls"] = $"http://{occupant.LocalEndpoint}" });

        await Assert.ThrowsAsync<IOException>(() => application.StartAsync(TestContext.Current.CancellationToken));
        await AssertNothingPrintedAsync(application);
    }

    [Fact]
    public async Task A_wrong_option_fails_the_start_without_a_word_on_the_console()
    {
        await using WebApplication application = Build(new() { ["Fanfare:ShutdownTimeout"] = "soon" });

        await Assert.ThrowsAsync<OptionsValidationException>(() => application.StartAsync(TestContext.Current.CancellationToken));
        await AssertNothingPrintedAsync(application);
    }

    [Fact]
    public async Task A_broken_pipeline_fails_the_start_without_a_word_on_the_console()
    {
        await using WebApplication application = Build([]);
        application.Use((RequestDelegate _) => throw new InvalidOperationException("broken"));

        await Assert.ThrowsAsync<InvalidOperationException>(() => application.StartAsync(TestContext.Current.CancellationToken));
        await AssertNothingPrintedAsync(application);
    }

    [Fact]
    public async Task A_background_service_that_dies_is_still_reported()
    {
        await using WebApplication application = Build([], services => services.AddHostedService<Dying>());
        await application.StartAsync(TestContext.Current.CancellationToken);
        await application.WaitForShutdownAsync(TestContext.Current.CancellationToken);
        await application.DisposeAsync(); // the console prints from a queue, which this empties

        Assert.Contains(_console.Entries, entry => entry.Exception is InvalidOperationException { Message: "dying" });
    }

    [Theory]
    [InlineData("Microsoft.AspNetCore.Routing", LogLevel.Information, false)]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Warning, true)]
    [InlineData("Microsoft.Hosting.Lifetime", LogLevel.Information, false)]
    [InlineData("Fanfare.Gateway", LogLevel.Information, true)]
    public async Task The_framework_is_quiet_unless_something_is_wrong(string category, LogLevel level, bool isEnabled)
    {
        await using WebApplication application = Build([]);

        Assert.Equal(isEnabled, GetLogger(application, category).IsEnabled(level));
    }

    [Fact]
    public async Task Configured_levels_win()
    {
        await using WebApplication application = Build(new()
        {
            ["Logging:LogLevel:Microsoft.AspNetCore"] = "Information",
            ["Logging:LogLevel:Microsoft.AspNetCore.Server.Kestrel.BadRequests"] = "Debug",
            ["Logging:Console:LogLevel:Fanfare"] = "Error",
        });

        Assert.True(GetLogger(application, "Microsoft.AspNetCore.Routing").IsEnabled(LogLevel.Information));
        Assert.True(GetLogger(application, "Microsoft.AspNetCore.Server.Kestrel.BadRequests").IsEnabled(LogLevel.Debug));
        GetLogger(application, "Fanfare.Gateway").Log(LogLevel.Warning, default, "hidden", null, (state, _) => state);
        GetLogger(application, "Fanfare.Gateway").Log(LogLevel.Error, default, "shown", null, (state, _) => state);
        await application.DisposeAsync(); // the console prints from a queue, which this empties
        Assert.Equal("shown", Assert.Single(_console.Entries).Message);
    }

    [Theory]
    [InlineData("false", null, "simple")]
    [InlineData("true", null, "json")]
    [InlineData("true", "systemd", "systemd")]
    [InlineData("false", "json", "json")]
    public async Task The_console_is_text_for_people_and_json_in_a_container_unless_configured(
        string inContainer, string? configured, string expected)
    {
        Dictionary<string, string?> configuration = new() { ["DOTNET_RUNNING_IN_CONTAINER"] = inContainer };
        if (configured is not null)
            configuration["Logging:Console:FormatterName"] = configured;
        await using WebApplication application = TestHost.Build(configuration);

        Assert.Equal(expected, Get<ConsoleLoggerOptions>().FormatterName);
        SimpleConsoleFormatterOptions text = Get<SimpleConsoleFormatterOptions>();
        Assert.True(text.SingleLine);
        Assert.True(text.UseUtcTimestamp);
        JsonConsoleFormatterOptions json = Get<JsonConsoleFormatterOptions>();
        Assert.True(json.UseUtcTimestamp);
        Assert.EndsWith(expected == "json" ? "'Z'" : "'Z' ", json.TimestampFormat, StringComparison.Ordinal);

        TOptions Get<TOptions>() => application.Services.GetRequiredService<IOptionsMonitor<TOptions>>().CurrentValue;
    }

    private static ILogger GetLogger(WebApplication application, string category) =>
        application.Services.GetRequiredService<ILoggerFactory>().CreateLogger(category);

    private WebApplication Build(Dictionary<string, string?> configuration, Action<IServiceCollection>? configure = null)
    {
        configuration["Logging:Console:FormatterName"] = RecordingFormatter.FormatterName;
        return TestHost.Build(configuration, services =>
        {
            services.AddSingleton<ConsoleFormatter>(_console);
            configure?.Invoke(services);
        });
    }

    private async Task AssertNothingPrintedAsync(WebApplication application)
    {
        await application.DisposeAsync(); // the console prints from a queue, which this empties
        Assert.Empty(_console.Entries);
    }

    /// <summary>Sees what the console would print and prints none of it.</summary>
    private sealed class RecordingFormatter() : ConsoleFormatter(FormatterName)
    {
        public const string FormatterName = "recording";

        public ConcurrentQueue<(string Message, Exception? Exception)> Entries { get; } = [];

        public override void Write<TState>(
            in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter) =>
            Entries.Enqueue((logEntry.Formatter(logEntry.State, logEntry.Exception), logEntry.Exception));
    }

    private sealed class Dying(IHostApplicationLifetime lifetime) : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
            using CancellationTokenRegistration registration = lifetime.ApplicationStarted.Register(started.SetResult);
            await started.Task; // dying earlier would cancel the start, which is another story
            throw new InvalidOperationException("dying");
        }
    }
}
