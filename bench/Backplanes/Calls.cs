namespace Fanfare.Backplanes;

/// <summary>What publishes cost in messages within the cluster, by the metrics of its processes.</summary>
/// <param name="Name">What was published and who subscribed.</param>
/// <param name="CallsPerPublish">Messages from gateways to silos for each publish.</param>
/// <param name="DeliveriesPerPublish">Messages from silos to gateways for each publish and interested gateway.</param>
internal readonly record struct Calls(string Name, double CallsPerPublish, double DeliveriesPerPublish)
{
    /// <summary>Measures all cases.</summary>
    public static async Task<IReadOnlyList<Calls>> MeasureAsync(Deployment deployment, int count)
    {
        var (near, far) = (deployment.PublishingPort, deployment.SubscribingPort);
        return
        [
            await MeasureAsync(deployment, "quiet", "one at a time, nobody subscribed", 1, 1, count, 0),
            await MeasureAsync(deployment, "one", "one at a time, 1 interested gateway", 1, 1, count, 1, (far, "/default/calls/one")),
            await MeasureAsync(
                deployment, "both", "one at a time, 2 interested gateways", 1, 1, count, 2,
                (near, "/default/calls/both"), (far, "/default/calls/both")),
            await MeasureAsync(
                deployment, "mixed", "one at a time, 1 gateway interested in the channel and 2 wildcards", 1, 1, count, 1,
                (far, "/default/calls/mixed"), (far, "/default/calls/*"), (far, "/default/*")),
            await MeasureAsync(
                deployment, "busy8", "a busy channel, 8 publishes under way, 1 interested gateway", 8, 1, count, 1,
                (far, "/default/calls/busy8")),
            await MeasureAsync(
                deployment, "busy64", "a busy channel, 64 publishes under way, 1 interested gateway", 64, 1, count, 1,
                (far, "/default/calls/busy64")),
            await MeasureAsync(
                deployment, "many64", "64 busy channels, one publish under way to each, 1 interested gateway", 64, 1, count, 1,
                (far, "/default/calls/many64/*")),
        ];
    }

    private static async Task<Calls> MeasureAsync(
        Deployment deployment, string segment, string name, int connectionCount, int window, int count, int gatewayCount,
        params (int Port, string Pattern)[] subscriptions)
    {
        var subscribers = new List<Subscriber>();
        var publishers = new List<Publisher>();
        try
        {
            foreach (var (port, pattern) in subscriptions)
            {
                subscribers.Add(await Subscriber.StartAsync(new Target(port, port), pattern, connectionCount));
            }

            for (var i = 0; i < connectionCount; i++)
            {
                var channel = $"/default/calls/{segment}{(subscriptions is [(_, var pattern)] && pattern.EndsWith('*') ? $"/{i}" : "")}";
                var message = new PublishMessage(channel, i, PublishShape.Small);
                publishers.Add(new Publisher(await ClientConnection.OpenAsync(deployment.PublishingPort), [message], window));
            }

            var before = await ReadAsync(deployment);
            await Task.WhenAll(publishers.Select(publisher => publisher.RunAsync(long.MaxValue, count / connectionCount)));
            foreach (var subscriber in subscribers)
            {
                await subscriber.AwaitAsync(publishers.Sum(publisher => publisher.AcceptedCount));
            }

            var after = await ReadAsync(deployment);
            var publishes = after.Publishes - before.Publishes;
            return publishes == count / connectionCount * connectionCount
                ? new Calls(
                    name, (after.Calls - before.Calls) / publishes,
                    gatewayCount == 0 ? after.Deliveries - before.Deliveries : (after.Deliveries - before.Deliveries) / publishes / gatewayCount)
                : throw new MeasurementException($"The metrics tell of {publishes} publishes, and {count} were made.");
        }
        finally
        {
            publishers.ForEach(publisher => publisher.Dispose());
            subscribers.ForEach(subscriber => subscriber.Dispose());
        }
    }

    private static async Task<(double Publishes, double Calls, double Deliveries)> ReadAsync(Deployment deployment) => (
        await deployment.GetMetricAsync("fanfare_publishes_total"),
        await deployment.GetMetricAsync("fanfare_cluster_publish_calls_total"),
        await deployment.GetMetricAsync("fanfare_cluster_delivery_calls_total"));
}
