namespace Fanfare.Broker.Channels;

/// <summary>The owner of one channel: its interested gateways and its order. Its key is <see cref="Fanfare.Gateway.Channels.ChannelKey.Value"/>.</summary>
[Alias("fanfare.channel")]
public interface IChannelGrain : IGrainWithStringKey
{
    /// <summary>Gives the batch its place in the order and hands it to every interested gateway; returns when they have received it.</summary>
    /// <remarks>May be repeated with the same batch: it is published once, and each call has the same outcome.</remarks>
    [ResponseTimeout(Timing.PublishCall)]
    Task<PublishAnswer> PublishAsync(PublishBatch batch);

    /// <summary>Notes a gateway's interest in this very channel, or its end; returns when it counts and is stored.</summary>
    [ResponseTimeout(Timing.InterestCall)]
    Task ChangeInterestAsync(InterestChange change);
}
