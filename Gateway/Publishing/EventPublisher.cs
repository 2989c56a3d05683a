using System.Diagnostics;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Publishing;

/// <summary>What became of a publish: an error for the whole of it, or the events with what became of each.</summary>
/// <param name="Error">The error, or <see langword="null"/>.</param>
/// <param name="Events">The events where there is no error, as they came, with what became of each; the receiver owns the reference.</param>
internal readonly record struct PublishResult(ProtocolError? Error, EventBatch? Events);

/// <summary>Who sent a publish, and how that can be verified.</summary>
/// <param name="Credentials">The request's own credentials.</param>
/// <param name="Content">What a signature covers.</param>
/// <param name="Origin">Where the request comes from.</param>
/// <param name="Memo">What the connection remembers of its credentials; <see langword="null"/> over HTTP.</param>
internal readonly record struct PublishSender(Credentials Credentials, SignedContent Content, RequestOrigin Origin, AuthorizationMemo? Memo = null);

/// <summary>The one path that publishes take, over HTTP and WebSocket: check the channel, authorize, check the events, handle, route.</summary>
/// <remarks>Safe for concurrent use.</remarks>
internal sealed class EventPublisher(
    Authorizer authorizer, HandlerDirectory handlers, IBackplane backplane, BackplaneFailures backplaneFailures, GatewayMetrics metrics, IOptions<GatewayLimits> limits,
    TimeProvider timeProvider)
{
    private static readonly ProtocolError s_failed =
        new("InternalFailureException", "There was an error processing the operation", StatusCodes.Status500InternalServerError);

    private readonly GatewayLimits _limits = limits.Value;

    /// <summary>Publishes.</summary>
    /// <param name="api">The API that the request reached.</param>
    /// <param name="message">The request: its channel and events.</param>
    /// <param name="sender">Who sent it.</param>
    /// <param name="errors">The texts of the protocol that the request came by.</param>
    /// <param name="rate">The limit on the connection's publishes, or <see langword="null"/>.</param>
    /// <param name="isPlaced">Whether whatever is published to the channel from now on comes behind this, though this may not be over.</param>
    /// <param name="cancellationToken">Ends the wait when the publisher is gone.</param>
    /// <remarks>Most publishes wait for nothing; those get by without any state machine.</remarks>
    public ValueTask<PublishResult> PublishAsync(
        ServedApi api, in ClientMessage message, in PublishSender sender, PublishErrors errors, RateLimit? rate, out bool isPlaced,
        CancellationToken cancellationToken) =>
        GatewayActivity.IsListenedTo
            ? PublishTracedAsync(api, message, sender, errors, rate, out isPlaced, cancellationToken)
            : PublishAsync(api, message, sender, errors, rate, activity: null, out isPlaced, cancellationToken);

    private ValueTask<PublishResult> PublishTracedAsync(
        ServedApi api, in ClientMessage message, in PublishSender sender, PublishErrors errors, RateLimit? rate, out bool isPlaced,
        CancellationToken cancellationToken)
    {
        // A span that is started here must not become the caller's current one.
        var callers = Activity.Current;
        var activity = GatewayActivity.StartPublish(api.Model.Id);
        try
        {
            return AwaitTracedAsync(PublishAsync(api, message, sender, errors, rate, activity, out isPlaced, cancellationToken), activity);
        }
        catch
        {
            activity?.Dispose();
            throw;
        }
        finally
        {
            Activity.Current = callers;
        }
    }

    private static async ValueTask<PublishResult> AwaitTracedAsync(ValueTask<PublishResult> publishing, Activity? activity)
    {
        using (activity)
        {
            var result = await publishing;
            activity.SetResult(result.Error, result.Events?.Count ?? 0);
            return result;
        }
    }

    private ValueTask<PublishResult> PublishAsync(
        ServedApi api, in ClientMessage message, in PublishSender sender, PublishErrors errors, RateLimit? rate, Activity? activity,
        out bool isPlaced, CancellationToken cancellationToken)
    {
        isPlaced = false;
        if (message.Channel is not { } text)
        {
            return new(Refuse(api, errors, ProtocolError.MissingChannel));
        }

        if (!api.Channels.TryFind(text.Span, out var channel))
        {
            return new(Refuse(api, errors, ProtocolError.InvalidChannel));
        }

        activity.SetChannel(channel.Key);
        var ns = channel.Namespace;
        var authorized = authorizer.AuthorizeAsync(
            new AuthRequest
            {
                Api = api,
                Operation = AuthOperation.Publish,
                Namespace = ns,
                Channel = text,
                Credentials = sender.Credentials,
                Content = sender.Content,
                Origin = sender.Origin,
                Memo = sender.Memo,
            },
            cancellationToken);
        return authorized.IsCompletedSuccessfully
            ? AdmitAsync(authorized.Result, api, ns, channel.Key, message.Events, sender, errors, rate, out isPlaced, cancellationToken)
            : AwaitAuthorizationAsync(authorized, api, ns, channel.Key, message.Events, sender, errors, rate, cancellationToken);
    }

    private async ValueTask<PublishResult> AwaitAuthorizationAsync(
        ValueTask<AuthDecision> authorized, ServedApi api, ServedNamespace? ns, ChannelKey channel, ReadOnlyMemory<byte> json, PublishSender sender,
        PublishErrors errors, RateLimit? rate, CancellationToken cancellationToken) =>
        await AdmitAsync(await authorized, api, ns, channel, json, sender, errors, rate, out _, cancellationToken);

    private ValueTask<PublishResult> AdmitAsync(
        in AuthDecision decision, ServedApi api, ServedNamespace? ns, ChannelKey channel, ReadOnlyMemory<byte> json, in PublishSender sender,
        PublishErrors errors, RateLimit? rate, out bool isPlaced, CancellationToken cancellationToken)
    {
        isPlaced = false;
        if (decision.Error is { } refusal)
        {
            return new(Refuse(api, errors, refusal == ProtocolError.TooManyFailedAttempts ? errors.RateExceeded : refusal));
        }

        if (rate is not null && !rate.TryTake())
        {
            return new(Refuse(api, errors, errors.RateExceeded));
        }

        var problem = EventReader.TryRead(json.Span, _limits, out var events);
        if (problem != EventsError.None)
        {
            return new(Refuse(api, errors, errors.Get(problem)));
        }

        if (api.InboundEventRate is { } inbound && !inbound.TryTake(events!.Count))
        {
            return new(Conclude(errors.RateExceeded, events, api, ns!, errors));
        }

        // Where every event is too large there is nothing to handle.
        var handled = handlers.Get(ns!).OnPublish is { } handler && events!.AcceptedCount > 0
            ? HandleAsync(handler, api, ns!, channel, events, decision.Identity, sender, errors, cancellationToken)
            : RouteAsync(channel, events!, errors, out isPlaced, cancellationToken);
        return handled.IsCompletedSuccessfully
            ? new(Conclude(handled.Result, events!, api, ns!, errors))
            : AwaitRouteAsync(handled, events!, api, ns!, errors);
    }

    private async ValueTask<PublishResult> AwaitRouteAsync(
        ValueTask<ProtocolError?> handled, EventBatch events, ServedApi api, ServedNamespace ns, PublishErrors errors)
    {
        ProtocolError? error;
        try
        {
            error = await handled;
        }
        catch
        {
            events.Release();
            throw;
        }

        return Conclude(error, events, api, ns, errors);
    }

    private PublishResult Conclude(ProtocolError? error, EventBatch events, ServedApi api, ServedNamespace ns, PublishErrors errors)
    {
        if (error is not null)
        {
            events.Release();
            return Refuse(api, errors, error);
        }

        ns.Metrics.Published(events.AcceptedCount, events.Count - events.AcceptedCount);
        return new PublishResult(null, events);
    }

    private PublishResult Refuse(ServedApi api, PublishErrors errors, ProtocolError error)
    {
        metrics.PublishErrors.Add(1, new("api", api.Model.Id), new("type", error.Label), new("protocol", errors.Protocol));
        return new PublishResult(error, null);
    }

    private async ValueTask<ProtocolError?> HandleAsync(
        IEventHandler handler, ServedApi api, ServedNamespace ns, ChannelKey channel, EventBatch events, Identity? identity, PublishSender sender, PublishErrors errors,
        CancellationToken cancellationToken)
    {
        var began = timeProvider.GetTimestamp();
        var outcome = await handler.HandleAsync(
            new HandlerRequest
            {
                Kind = HandlerKind.OnPublish,
                Api = api,
                Namespace = ns,
                Path = channel.ToString(),
                Identity = identity,
                Origin = sender.Origin,
                Credentials = sender.Credentials,
                Events = events,
            },
            cancellationToken);
        metrics.HandlerInvoked(ns.Metrics, HandlerKind.OnPublish.GetTag(), outcome.Refusal?.Kind.GetTag(), timeProvider.GetElapsedTime(began));
        if (outcome.Refusal is { } refusal)
        {
            ns.Metrics.Refused(events.Count);
            return errors.Get(refusal);
        }

        var broadcast = outcome.Broadcast!;
        try
        {
            ns.Metrics.Dropped(events.AcceptedCount - broadcast.AcceptedCount);
            return broadcast.AcceptedCount == 0 ? null : await RouteAsync(channel, broadcast, errors, out _, cancellationToken);
        }
        finally
        {
            broadcast.Release();
        }
    }

    private ValueTask<ProtocolError?> RouteAsync(
        ChannelKey channel, EventBatch events, PublishErrors errors, out bool isPlaced, CancellationToken cancellationToken)
    {
        isPlaced = false;
        ValueTask<PublishStatus> routed;
        try
        {
            routed = backplane.PublishAsync(channel, events, out isPlaced, cancellationToken);
        }
        catch (Exception e)
        {
            routed = ValueTask.FromException<PublishStatus>(e);
        }

        return routed.IsCompletedSuccessfully ? new(Judge(routed.Result, errors)) : AwaitBackplaneAsync(routed, errors, cancellationToken);
    }

    private async ValueTask<ProtocolError?> AwaitBackplaneAsync(
        ValueTask<PublishStatus> routed, PublishErrors errors, CancellationToken cancellationToken)
    {
        try
        {
            return Judge(await routed, errors);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever it was, it costs this publish and not the connection that it came by.
            backplaneFailures.Failed(e);
            return s_failed;
        }
    }

    private ProtocolError? Judge(PublishStatus status, PublishErrors errors)
    {
        if (status != PublishStatus.Unavailable)
        {
            backplaneFailures.Succeeded();
        }

        return status switch
        {
            PublishStatus.Accepted => null,
            PublishStatus.Overloaded => errors.Overloaded,
            _ => ProtocolError.Unavailable,
        };
    }
}
