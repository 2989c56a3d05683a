using System.Text.Json;
using Fanfare.Gateway.Handlers.DataSources;

namespace Fanfare.Gateway.Handlers;

/// <summary>A handler that is code, with a data source between its two functions where it has the object form.</summary>
internal sealed class CodeHandler : IEventHandler
{
    private static readonly JsonDocumentOptions s_documentOptions = new() { MaxDepth = 1100 };
    private static readonly NoneDataSource s_none = new();

    private readonly HandlerServices _services;
    private readonly HandlerModule _module;
    private readonly HandlerForm _form;
    private readonly IDataSource? _source;

    /// <param name="services">What all handlers share.</param>
    /// <param name="module">The module, which can be called.</param>
    /// <param name="kind">The handler of the module that this is.</param>
    /// <param name="source">The data source of the object form; without one, its <c>request</c> answers itself, as with one of type <c>NONE</c>.</param>
    public CodeHandler(HandlerServices services, HandlerModule module, HandlerKind kind, IDataSource? source)
    {
        _services = services;
        _module = module;
        _form = module.GetForm(kind);
        _source = source;
    }

    /// <inheritdoc/>
    public async ValueTask<HandlerOutcome> HandleAsync(HandlerRequest request, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_services.Options.Timeout, _services.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            var phase = _form == HandlerForm.Function ? HandlerPhase.Function : HandlerPhase.Request;
            return await CallAsync(request, phase, default, either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return Fail(request, $"The handler took longer than {_services.Options.Timeout}.");
        }
        catch (Exception e) when (e is JsonException or HandlerResultException or InvalidOperationException)
        {
            // InvalidOperationException: a lone surrogate where no handler has any business to put one.
            return Fail(request, e.Message);
        }
    }

    private async ValueTask<HandlerOutcome> CallAsync(
        HandlerRequest request, HandlerPhase phase, CarriedContext carried, CancellationToken cancellationToken)
    {
        using var context = HandlerContext.WriteForRuntime(request, _services.Log.GetLevel(request.Api.Model), carried);
        using var reply = await _services.Runtime.InvokeAsync(_module, new HandlerCall(request.Kind, phase, context.Memory), cancellationToken);
        if (Refuse(request, reply) is { } refusal)
        {
            return refusal;
        }

        var output = HandlerOutput.Parse(reply.Output);
        _services.Log.Write(request, output.Log);
        if (!output.Failure.IsEmpty)
        {
            return Refuse(request, output.Failure);
        }

        return phase == HandlerPhase.Request && !output.IsEarly
            ? await AskAsync(request, output, cancellationToken)
            : Complete(request, output);
    }

    private async ValueTask<HandlerOutcome> AskAsync(HandlerRequest request, HandlerOutput output, CancellationToken cancellationToken)
    {
        using var asked = JsonDocument.Parse(output.Request.IsEmpty ? "null"u8.ToArray() : output.Request, s_documentOptions);
        var answer = await (_source ?? s_none).CallAsync(
            new DataSourceCall(asked.RootElement, _services.Options.Timeout), cancellationToken);
        return answer.InvalidReason is { } reason
            ? Fail(request, $"The request to the data source is wrong: {reason}")
            : await CallAsync(
                request, HandlerPhase.Response, new CarriedContext(output.Stash, output.OutErrors, answer.Json, Encode(answer.Error)), cancellationToken);
    }

    private HandlerOutcome Complete(in HandlerRequest request, in HandlerOutput output) => request.Events is { } events
        ? HandlerOutcome.Publish(PublishedEvents.MapOutput(output.Result.Span, events, _services.EventBytesMax))
        : HandlerOutcome.Accepted;

    private HandlerRefusal? Refuse(in HandlerRequest request, in HandlerReply reply)
    {
        switch (reply.Failure)
        {
            case HandlerFailure.None:
                return null;
            case HandlerFailure.Overloaded:
                return HandlerRefusal.Overloaded;
            default:
                return Fail(request, reply.Failure switch
                {
                    HandlerFailure.TimedOut => $"The code computed for longer than {_services.Options.EvaluationTimeout}.",
                    HandlerFailure.Crashed => "The code brought down the process that ran it, for want of memory most likely.",
                    HandlerFailure.TooLarge => $"The result is larger than {_services.Options.ResultBytesMax} bytes.",
                    HandlerFailure.Fenced => "The code brought down the processes that ran it too often, and is not run for a while.",
                    _ => "There is no Node.js to run the code.",
                });
        }
    }

    private HandlerRefusal Refuse(in HandlerRequest request, ReadOnlyMemory<byte> failure)
    {
        using var document = JsonDocument.Parse(failure, s_documentOptions);
        var root = document.RootElement;
        var message = GetText(root, "message"u8);
        switch (root.GetProperty("kind"u8).GetString())
        {
            case "unauthorized":
                _services.Log.Refused(request, "util.unauthorized()");
                return HandlerRefusal.Unauthorized;
            case "error":
                var type = GetText(root, "type"u8);
                _services.Log.Rejected(request, type, message, GetJson(root, "data"u8), GetJson(root, "info"u8));
                return new HandlerRefusal(HandlerRefusalKind.Rejected, message, type);
            default:
                return Fail(request, message ?? "");
        }
    }

    private HandlerRefusal Fail(in HandlerRequest request, string reason)
    {
        _services.Log.Failed(request, reason);
        return HandlerRefusal.CodeFailed;
    }

    private static string? GetText(JsonElement element, ReadOnlySpan<byte> name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? HandlerText.Read(value) : null;

    private static string GetJson(JsonElement element, ReadOnlySpan<byte> name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value.GetRawText() : "";

    private static ReadOnlyMemory<byte> Encode(DataSourceError? error)
    {
        if (error is null)
        {
            return default;
        }

        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("message"u8, error.Message);
            writer.WriteString("type"u8, error.Type);
            if (error.UnhandledErrorType is { } unhandled)
            {
                writer.WriteString("unhandledErrorType"u8, unhandled);
            }

            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
