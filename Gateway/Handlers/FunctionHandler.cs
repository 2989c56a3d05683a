using System.Text.Json;
using System.Text.Unicode;
using Fanfare.Gateway.Lambda;

namespace Fanfare.Gateway.Handlers;

/// <summary>A handler that is a Lambda function, called directly (<c>DIRECT</c>; handlers, section 6).</summary>
/// <param name="services">What all handlers share.</param>
/// <param name="function">The function's name or ARN.</param>
/// <param name="isWaitedFor"><see langword="false"/> for the invoke type <c>EVENT</c>, whose outcome has no influence.</param>
internal sealed class FunctionHandler(HandlerServices services, string function, bool isWaitedFor) : IEventHandler
{
    private static readonly JsonDocumentOptions s_documentOptions = new() { MaxDepth = 1100 };

    /// <inheritdoc/>
    public async ValueTask<HandlerOutcome> HandleAsync(HandlerRequest request, CancellationToken cancellationToken)
    {
        using var payload = HandlerContext.WriteForFunction(request);
        if (!isWaitedFor)
        {
            services.Notifications.Send(function, payload.Memory, request);
            return Accept(request);
        }

        var result = await services.Lambda.InvokeAsync(
            new LambdaInvocation(function, payload.Memory, services.Options.Timeout), cancellationToken);
        if (result.Failure is { } failure)
        {
            return Fail(request, $"The function failed: {failure.Kind} {LambdaLog.Clean(failure.ErrorType)}");
        }

        try
        {
            if (!Utf8.IsValid(result.Payload.Span))
            {
                throw new HandlerResultException("The function's answer is not UTF-8.");
            }

            using var document = JsonDocument.Parse(result.Payload, s_documentOptions);
            return Read(request, document.RootElement);
        }
        catch (Exception e) when (e is JsonException or HandlerResultException or InvalidOperationException)
        {
            // InvalidOperationException: a lone surrogate in a name or an id.
            return Fail(request, e.Message);
        }
    }

    private HandlerOutcome Read(in HandlerRequest request, JsonElement answer)
    {
        var isObject = answer.ValueKind == JsonValueKind.Object;
        if (isObject && answer.TryGetProperty("error"u8, out var error) && error.ValueKind != JsonValueKind.Null)
        {
            return Fail(request, $"The function refused: {(HandlerText.ReadOrCompact(error))}");
        }

        if (request.Events is { } events)
        {
            if (!isObject && answer.ValueKind != JsonValueKind.Null)
            {
                throw new HandlerResultException("The function's answer must be an object with events.");
            }

            var list = isObject && answer.TryGetProperty("events"u8, out var found) ? found : default;
            return HandlerOutcome.Publish(PublishedEvents.MapList(list, events, services.EventBytesMax));
        }

        // Observed on AppSync: anything else, true for instance, refuses.
        return answer.ValueKind == JsonValueKind.Null || (isObject && !answer.EnumerateObject().Any())
            ? HandlerOutcome.Accepted
            : Fail(request, "The function's answer to a subscribe must be null.");
    }

    private static HandlerOutcome Accept(in HandlerRequest request)
    {
        if (request.Events is not { } events)
        {
            return HandlerOutcome.Accepted;
        }

        events.AddReference();
        return HandlerOutcome.Publish(events);
    }

    private HandlerRefusal Fail(in HandlerRequest request, string reason)
    {
        services.Log.Failed(request, reason);
        return HandlerRefusal.FunctionFailed;
    }
}
