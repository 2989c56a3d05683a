using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.FanOut;
using Fanfare.Gateway.Handlers;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Connections;

/// <content>Subscribe and unsubscribe.</content>
internal sealed partial class Connection
{
    private async ValueTask SubscribeAsync(ClientMessage message)
    {
        if (message.Id.IsEmpty)
        {
            _output.Send(ServerMessages.Error(default, ProtocolError.InvalidId));
            return;
        }

        var error = await TrySubscribeAsync(message);
        _services.Log.Operation(_api, _origin.RequestId, "EVENT_SUBSCRIBE", error);
        _services.Metrics.Subscribes.Add(1, new("api", _api.Model.Id), new("outcome", GetOutcome(error)));
        if (error is not null)
        {
            _output.Send(ServerMessages.SubscribeError(message.Id.Span, error));
        }
    }

    private static string GetOutcome(ProtocolError? error) =>
        error is null ? "success" : error.Status >= 500 ? "server_error" : "client_error";

    private async ValueTask<ProtocolError?> TrySubscribeAsync(ClientMessage message)
    {
        if (message.Channel is not { } text)
        {
            return ProtocolError.MissingChannel;
        }

        if (!PatternKey.TryParse(_api.Model.Id, text.Span, _services.Limits, out var pattern))
        {
            return ProtocolError.InvalidChannel;
        }

        if (!Credentials.TryParse(message.Authorization, out var credentials))
        {
            return ProtocolError.MalformedAuthorization;
        }

        var ns = _api.FindNamespace(pattern.Namespace);
        var decision = await _services.Authorizer.AuthorizeAsync(
            new AuthRequest
            {
                Api = _api,
                Operation = AuthOperation.Subscribe,
                Namespace = ns,
                Channel = text,
                Credentials = credentials,
                Content = SignedContent.Message(message.ChannelToken, default),
                Origin = _origin,
            },
            _aborted);
        if (decision.Error is { } refusal)
        {
            return refusal;
        }

        lock (_subscriptionsLock)
        {
            if (Find(message.Id.Span) is { } existing)
            {
                if (existing.Interest.Pattern != pattern)
                {
                    return ProtocolError.DuplicatedOperation;
                }

                // Amplify sends all its subscriptions again, with their ids, after one answer was lost; an error here would end them.
                _output.Send(ServerMessages.SubscribeSuccess(message.Id.Span));
                return null;
            }

            if ((_subscriptions?.Count ?? 0) + _subscribesUnderWay >= _services.Limits.SubscriptionsPerConnectionMax)
            {
                return _services.TooManySubscriptions;
            }

            _subscribesUnderWay++;
        }

        Subscription? subscription = null;
        try
        {
            var (error, interest) = await DecideAsync(ns!, pattern, decision.Identity, credentials);
            if (error is not null)
            {
                return error;
            }

            subscription = new Subscription(_output, interest!, ns!, message.Id.Span);
        }
        finally
        {
            lock (_subscriptionsLock)
            {
                _subscribesUnderWay--;
                if (subscription is not null)
                {
                    (_subscriptions ??= new List<Subscription>(1)).Add(subscription);
                }
            }
        }

        _output.Subscribe(subscription, ServerMessages.SubscribeSuccess(message.Id.Span));
        return null;
    }

    private async ValueTask<(ProtocolError? Error, Interest? Interest)> DecideAsync(
        ServedNamespace ns, PatternKey pattern, Identity? identity, Credentials credentials)
    {
        if (_services.Handlers.Get(ns).OnSubscribe is { } handler
            && await HandleAsync(handler, ns, pattern, identity, credentials) is { } handled)
        {
            return (handled, null);
        }

        try
        {
            var interest = await _services.FanOut.Interests.AcquireAsync(pattern, _output.Shard.Index, _aborted);
            _services.BackplaneFailures.Succeeded();
            return (null, interest);
        }
        catch (Exception e) when (!_aborted.IsCancellationRequested)
        {
            // Whatever it was, it costs this subscribe and not the connection.
            _services.BackplaneFailures.Failed(e);
            return (ProtocolError.SubscriptionFailed, null);
        }
    }

    private async ValueTask<ProtocolError?> HandleAsync(
        IEventHandler handler, ServedNamespace ns, PatternKey pattern, Identity? identity, Credentials credentials)
    {
        var began = _services.TimeProvider.GetTimestamp();
        var outcome = await handler.HandleAsync(
            new HandlerRequest
            {
                Kind = HandlerKind.OnSubscribe,
                Api = _api,
                Namespace = ns,
                Path = pattern.ToString(),
                Identity = identity,
                Origin = _origin,
                Credentials = credentials,
            },
            _aborted);
        _services.Metrics.HandlerInvoked(
            ns.Metrics, HandlerKind.OnSubscribe.GetTag(), outcome.Refusal?.Kind.GetTag(), _services.TimeProvider.GetElapsedTime(began));
        return outcome.Refusal switch
        {
            null => null,
            { Kind: HandlerRefusalKind.Unauthorized } => ProtocolError.SubscribeUnauthorized,
            { Kind: HandlerRefusalKind.Rejected } rejection => ProtocolError.Rejected(rejection.ErrorType, rejection.Message),
            { Kind: HandlerRefusalKind.Overloaded } => _services.PublishErrors.Overloaded,
            _ => ProtocolError.HandlerFailed,
        };
    }

    private async ValueTask UnsubscribeAsync(ClientMessage message)
    {
        if (message.Id.IsEmpty)
        {
            _output.Send(ServerMessages.Error(default, ProtocolError.InvalidId));
            return;
        }

        Subscription? subscription;
        lock (_subscriptionsLock)
        {
            subscription = Find(message.Id.Span);
            if (subscription is not null)
            {
                _subscriptions!.Remove(subscription);
            }
        }

        _services.Metrics.Unsubscribes.Add(
            1, new("api", _api.Model.Id), new("outcome", subscription is null ? "client_error" : "success"));
        if (subscription is null)
        {
            _output.Send(ServerMessages.UnsubscribeUnknown(message.Id.Span));
            return;
        }

        _output.Unsubscribe(subscription, ServerMessages.UnsubscribeSuccess(message.Id.Span));
        await ReleaseInterestAsync(subscription);
    }

    private async ValueTask ReleaseInterestAsync(Subscription subscription)
    {
        try
        {
            await _services.FanOut.Interests.ReleaseAsync(subscription.Interest, _output.Shard.Index);
        }
        catch (Exception e)
        {
            // The subscription is gone all the same; what a backplane still believes of this gateway is its own to mend.
            _services.BackplaneFailures.Failed(e);
        }
    }

    // Under the lock. A connection has few subscriptions, 200 at most by default, and looks them up only to subscribe and unsubscribe.
    private Subscription? Find(ReadOnlySpan<byte> id)
    {
        if (_subscriptions is not null)
        {
            foreach (var subscription in _subscriptions)
            {
                if (subscription.Id.SequenceEqual(id))
                {
                    return subscription;
                }
            }
        }

        return null;
    }
}
