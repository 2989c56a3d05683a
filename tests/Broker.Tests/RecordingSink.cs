using System.Text;
using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Channels;

namespace Fanfare.Broker.Tests;

/// <summary>A fan-out that notes what is delivered to it.</summary>
internal sealed class RecordingSink : IDeliverySink
{
    public List<string> Texts { get; } = [];

    public bool HasRoom { get; set; } = true;

    public void Deliver(ChannelKey channel, EventBatch events)
    {
        for (var i = 0; i < events.Count; i++)
        {
            Texts.Add(Encoding.UTF8.GetString(events.GetTail(i)).TrimEnd('}').Trim('"'));
        }
    }

    public void Deliver(PatternKey pattern, ChannelKey channel, EventBatch events) => Assert.Fail("The cluster delivers by channel.");

    public ValueTask<bool> WaitForRoomAsync(CancellationToken cancellationToken) => new(HasRoom);
}
