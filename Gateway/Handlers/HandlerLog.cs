using System.Text.Json;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Observability;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Handlers;

/// <summary>What handlers log, and what is logged of them, as much as the API's log level asks for. Category <c>Fanfare.Api</c>.</summary>
/// <remarks>Every line carries the request's id. Never sent to clients. Source: AppSync Events, "Logging".</remarks>
internal sealed partial class HandlerLog(ILoggerFactory loggerFactory, IOptions<GatewayOptions> options)
{
    // Whoever watches handlers is writing them, and wants to read what they log.
    private readonly ApiLogLevel _levelMin = options.Value.Handlers.Watch ? ApiLogLevel.Info : ApiLogLevel.None;

    // Headers that prove who somebody is. Handlers see them, as on AppSync, and may well log them all.
    private static readonly string[] s_secretHeaders =
        ["authorization", "x-api-key", "x-amz-security-token", "proxy-authorization", "sec-websocket-protocol"];

    // Nothing shorter is a secret, and a common word that somebody sends as one must not blot out the log.
    private const int SecretLengthMin = 8;

    private readonly ILogger _logger = loggerFactory.CreateLogger(ApiLog.Category);

    /// <summary>What is kept of the log of an API's handlers.</summary>
    public ApiLogLevel GetLevel(Api api) => api.LogLevel > _levelMin ? api.LogLevel : _levelMin;

    /// <summary>Writes what a handler logged: triples of level, position and text, JSON; the runtime left out what the API does not keep.</summary>
    public void Write(in HandlerRequest request, ReadOnlyMemory<byte> lines)
    {
        if (lines.Length <= "[]".Length)
        {
            return;
        }

        var secrets = GetSecrets(request);
        using var document = JsonDocument.Parse(lines);
        foreach (var line in document.RootElement.EnumerateArray())
        {
            var name = line[0].GetString()!;
            var level = name switch { "ERROR" => LogLevel.Error, "WARN" => LogLevel.Warning, _ => LogLevel.Information };
            var position = line[1].GetString()!;
            var text = LogText.Clean(Mask(HandlerText.Read(line[2]), secrets));
            LogLine(_logger, level, request.Origin.RequestId, request.Namespace.Name, name, position, text);
        }
    }

    /// <summary>A handler failed.</summary>
    public void Failed(in HandlerRequest request, string reason)
    {
        if (IsKept(request))
        {
            LogFailure(
                _logger, request.Origin.RequestId, request.Kind.GetTag(), request.Namespace.Name, LogText.Clean(Mask(reason, GetSecrets(request))));
        }
    }

    /// <summary>A handler refused a request.</summary>
    public void Refused(in HandlerRequest request, string how)
    {
        if (IsKept(request))
        {
            LogRefusal(_logger, request.Origin.RequestId, request.Kind.GetTag(), request.Namespace.Name, how);
        }
    }

    /// <summary>A handler refused a request by <c>util.error</c>.</summary>
    public void Rejected(in HandlerRequest request, string? type, string? message, string data, string info)
    {
        if (IsKept(request))
        {
            var secrets = GetSecrets(request);
            var (shownType, shownMessage) = (LogText.Clean(Mask(type ?? "", secrets)), LogText.Clean(Mask(message ?? "", secrets)));
            LogRejection(
                _logger, request.Origin.RequestId, request.Kind.GetTag(), request.Namespace.Name, shownType, shownMessage,
                LogText.Clean(Mask(data, secrets)), LogText.Clean(Mask(info, secrets)));
        }
    }

    /// <summary>A function was not called, since too many calls were under way. Logged whatever the API asks for.</summary>
    public void Dropped(in HandlerRequest request, string function) =>
        LogDrop(_logger, request.Origin.RequestId, function, request.Namespace.Name);

    private bool IsKept(in HandlerRequest request) => GetLevel(request.Api.Model) >= ApiLogLevel.Error;

    private static List<string> GetSecrets(in HandlerRequest request)
    {
        var secrets = new List<string>();
        foreach (var name in s_secretHeaders)
        {
            if (request.Origin.Headers.TryGetValue(name, out var values))
            {
                secrets.AddRange(values.OfType<string>());
            }

            if (request.Credentials.GetHeader(name) is { } value)
            {
                secrets.Add(value);
            }
        }

        secrets.RemoveAll(secret => secret.Length < SecretLengthMin);
        return secrets;
    }

    private static string Mask(string text, List<string> secrets)
    {
        foreach (var secret in secrets)
        {
            text = text.Replace(secret, "***", StringComparison.Ordinal);
        }

        return text;
    }

    [LoggerMessage(EventId = 80, Message = "{RequestId} {Namespace} {Level} - {Position}: {Text}")]
    private static partial void LogLine(
        ILogger logger, LogLevel logLevel, string requestId, string @namespace, string level, string position, string text);

    [LoggerMessage(81, LogLevel.Warning, "{RequestId} {Handler} of {Namespace} failed: {Reason}")]
    private static partial void LogFailure(ILogger logger, string requestId, string handler, string @namespace, string reason);

    [LoggerMessage(82, LogLevel.Information, "{RequestId} {Handler} of {Namespace} refused by {How}.")]
    private static partial void LogRefusal(ILogger logger, string requestId, string handler, string @namespace, string how);

    [LoggerMessage(83, LogLevel.Information, "{RequestId} {Handler} of {Namespace} refused by util.error: '{Type}' '{Message}' {Data} {Info}")]
    private static partial void LogRejection(
        ILogger logger, string requestId, string handler, string @namespace, string type, string message, string data, string info);

    [LoggerMessage(84, LogLevel.Warning, "{RequestId} The function '{Function}' of {Namespace} was not called: too many calls are under way.")]
    private static partial void LogDrop(ILogger logger, string requestId, string function, string @namespace);
}
