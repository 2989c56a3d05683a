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
/// <param name="Namespace">The namespace where it was found.</param>
internal readonly record struct PublishResult(ProtocolError? Error, EventBatch? Events, ServedNamespace? Namespace)
{
    public static implicit operator PublishResult(ProtocolError error) => new(error, null, null);
}

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
    /// <param name="cancellationToken">Ends the wait when the publisher is gone.</param>
    public async ValueTask<PublishResult> PublishAsync(
        ServedApi api, ClientMessage message, PublishSender sender, PublishErrors errors, RateLimit? rate,
        CancellationToken cancellationToken)
    {
        using var activity = GatewayActivity.StartPublish(api.Model.Id);
        var result = await PublishCoreAsync(api, message, sender, errors, rate, activity, cancellationToken);
        activity.SetResult(result.Error, result.Events?.Count ?? 0);
        if (result.Error is { } error)
        {
            metrics.PublishErrors.Add(1, new("api", api.Model.Id), new("type", error.Label), new("protocol", errors.Protocol));
        }
        else
        {
            var events = result.Events!;
            result.Namespace!.Metrics.Published(events.AcceptedCount, events.Count - events.AcceptedCount);
        }

        return result;
    }

    private async ValueTask<PublishResult> PublishCoreAsync(
        ServedApi api, ClientMessage message, PublishSender sender, PublishErrors errors, RateLimit? rate,
        Activity? activity, CancellationToken cancellationToken)
    {
        if (message.Channel is not { } text)
        {
            return ProtocolError.MissingChannel;
        }

        if (!ChannelKey.TryParse(api.Model.Id, text.Span, _limits, out var channel))
        {
            return ProtocolError.InvalidChannel;
        }

        activity.SetChannel(channel);
        var ns = api.FindNamespace(channel.Namespace);
        var decision = await authorizer.AuthorizeAsync(
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
        if (decision.Error is { } refusal)
        {
            return refusal == ProtocolError.TooManyFailedAttempts ? errors.RateExceeded : refusal;
        }

        if (rate is not null && !rate.TryTake())
        {
            return errors.RateExceeded;
        }

        var problem = EventReader.TryRead(message.Events.Span, _limits, out var events);
        if (problem != EventsError.None)
        {
            return errors.Get(problem);
        }

        var isRouted = false;
        try
        {
            var status = await HandleAsync(api, ns!, channel, events!, decision.Identity, sender, errors, cancellationToken);
            isRouted = status is null;
            return isRouted ? new PublishResult(null, events, ns) : status!;
        }
        finally
        {
            if (!isRouted)
            {
                events!.Release();
            }
        }
    }

    private async ValueTask<ProtocolError?> HandleAsync(
        ServedApi api, ServedNamespace ns, ChannelKey channel, EventBatch events, Identity? identity, PublishSender sender, PublishErrors errors,
        CancellationToken cancellationToken)
    {
        if (api.InboundEventRate is { } inbound && !inbound.TryTake(events.Count))
        {
            return errors.RateExceeded;
        }

        // Where every event is too large there is nothing to handle.
        if (handlers.Get(ns).OnPublish is not { } handler || events.AcceptedCount == 0)
        {
            return await RouteAsync(channel, events, errors, cancellationToken);
        }

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
            return broadcast.AcceptedCount == 0 ? null : await RouteAsync(channel, broadcast, errors, cancellationToken);
        }
        finally
        {
            broadcast.Release();
        }
    }

    private async ValueTask<ProtocolError?> RouteAsync(
        ChannelKey channel, EventBatch events, PublishErrors errors, CancellationToken cancellationToken)
    {
        try
        {
            var status = await backplane.PublishAsync(channel, events, cancellationToken);
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
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever it was, it costs this publish and not the connection that it came by.
            backplaneFailures.Failed(e);
            return s_failed;
        }
    }
}
