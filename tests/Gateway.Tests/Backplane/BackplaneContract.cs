using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>
/// What every backplane promises (<see cref="Gateway.Backplane.IBackplane"/>), as clients see it. Each engine derives one class and
/// supplies <see cref="StartAsync"/>; one that is not running skips there, with the reason. The promises that need a death (4, 5)
/// are tested where something can die.
/// </summary>
public abstract class BackplaneContract
{
    /// <summary>Whether the engine joins several gateways; one that does not runs every test on a single one.</summary>
    protected virtual bool SpansGateways => true;

    /// <summary>Starts gateways on the engine, with nothing left of other tests.</summary>
    protected abstract Task<TestFleet> StartAsync(int gateways, params string[] arguments);

    [Theory]
    [InlineData("/default/{0}")]
    [InlineData("/default/*")]
    [InlineData("/default/{0}/*")]
    public async Task Once_a_subscription_is_confirmed_no_publish_passes_it_by(string pattern) // promise 1
    {
        await using var fleet = await StartFleetAsync();
        await using var publisher = await fleet[0].ConnectAsync();
        for (var i = 0; i < 50; i++)
        {
            var channel = pattern.EndsWith("{0}/*", StringComparison.Ordinal) ? $"/default/{i}/a" : $"/default/{i}";
            await using var subscriber = await fleet.Last.ConnectAsync();
            await subscriber.SubscribeAsync("s", pattern.Replace("{0}", $"{i}", StringComparison.Ordinal));
            await publisher.PublishAsync(channel, $"{i}");
            Assert.Equal($"{i}", await subscriber.NextEventAsync("s"));
        }
    }

    [Theory]
    [InlineData("/default/again")]
    [InlineData("/default/*")]
    public async Task A_subscription_renewed_at_once_misses_nothing(string pattern) // promise 1
    {
        await using var fleet = await StartFleetAsync();
        await using var publisher = await fleet[0].ConnectAsync();
        await using var subscriber = await fleet.Last.ConnectAsync();
        for (var i = 0; i < 200; i++)
        {
            // Both at once: the withdrawal of the pattern may still be under way when it is announced again.
            await subscriber.SendAsync(Messages.Subscribe($"{i}", pattern));
            await subscriber.NextAsync("subscribe_success", $"{i}");
            await publisher.PublishAsync("/default/again", $"{i}");
            Assert.Equal($"{i}", await subscriber.NextEventAsync($"{i}"));
            await subscriber.SendAsync(Messages.Unsubscribe($"{i}"));
            await subscriber.NextAsync("unsubscribe_success", $"{i}");
        }
    }

    [Fact]
    public async Task What_a_handler_makes_of_a_publish_is_what_all_gateways_deliver()
    {
        using var folder = new TemporaryFolder();
        var template = Path.Combine(folder.Path, "handled.yaml");
        await File.WriteAllTextAsync(template, """
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: handled
                  EventConfig:
                    AuthProviders: [{AuthType: API_KEY}]
                    ConnectionAuthModes: [{AuthType: API_KEY}]
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
                    DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
              Key: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Api.ApiId}}
              Default:
                Type: AWS::AppSync::ChannelNamespace
                Properties:
                  ApiId: !GetAtt Api.ApiId
                  Name: default
                  CodeHandlers: |
                    export const onPublish = (ctx) => [ctx.events[2], { id: ctx.events[0].id, payload: { n: ctx.events[0].payload + 1 } }]
                    export const onSubscribe = (ctx) => { if (ctx.info.channel.path === '/default/closed') util.unauthorized() }
            """, TestContext.Current.CancellationToken);
        await using var fleet = await StartFleetAsync("--template", template);
        await using var publisher = await fleet[0].ConnectAsync();
        await using var subscriber = await fleet.Last.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/*");
        await subscriber.SendAsync(Messages.Subscribe("t", "/default/closed"));
        await subscriber.NextAsync("subscribe_error", "t");

        await publisher.PublishAsync("/default/a", "1", "2", "3.0");
        Assert.Equal("3.0", await subscriber.NextEventAsync("s"));
        Assert.Equal("""{"n":2}""", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Subscribers_that_come_and_go_do_not_disturb_one_that_stays() // promises 1 and 3
    {
        const int Publishes = 300;
        await using var fleet = await StartFleetAsync();
        await using var publisher = await fleet[0].ConnectAsync();
        await using var staying = await fleet.Last.ConnectAsync();
        await staying.SubscribeAsync("s", "/default/busy");
        using var done = new CancellationTokenSource();

        async Task ComeAndGoAsync()
        {
            while (!done.IsCancellationRequested)
            {
                await using var passing = await fleet.Last.ConnectAsync();
                await passing.SendAsync(Messages.Subscribe("p", "/default/busy"));
                await passing.NextAsync("subscribe_success", "p");
            }
        }

        var passers = Task.WhenAll(ComeAndGoAsync(), ComeAndGoAsync());
        for (var i = 0; i < Publishes; i++)
        {
            await publisher.PublishAsync("/default/busy", $"{i}");
        }

        for (var i = 0; i < Publishes; i++)
        {
            Assert.Equal($"{i}", await staying.NextEventAsync("s"));
        }

        await done.CancelAsync();
        await Deadline.WaitAsync(passers, "the end of the passing subscribers");
        await staying.AssertNothingElseAsync();
    }

    [Fact]
    public async Task All_subscribers_of_a_channel_see_one_order_and_each_publishers_own_within_it() // promises 2 and 3
    {
        const int Publishers = 4, Publishes = 100, EventsPerPublish = 3;
        await using var fleet = await StartFleetAsync();
        var subscribers = new List<RawWebSocket>();
        foreach (var pattern in new[] { "/default/order", "/default/*", "/default/order", "/default/*" })
        {
            subscribers.Add(await fleet[subscribers.Count / 2 % fleet.Count].ConnectAsync());
            await subscribers[^1].SubscribeAsync("s", pattern);
        }

        await Deadline.WaitAsync(
            Task.WhenAll(Enumerable.Range(0, Publishers).Select(async publisher =>
            {
                await using var socket = await fleet[publisher % fleet.Count].ConnectAsync();
                for (var i = 0; i < Publishes; i++)
                {
                    var events = Enumerable.Range(i * EventsPerPublish, EventsPerPublish).Select(n => $"[{publisher},{n}]");
                    await socket.PublishAsync("/default/order", [.. events]);
                }
            })),
            "all publishes",
            TimeSpan.FromSeconds(60));

        var orders = new List<List<string>>();
        foreach (var subscriber in subscribers)
        {
            var order = new List<string>();
            while (order.Count < Publishers * Publishes * EventsPerPublish)
            {
                order.Add(await subscriber.NextEventAsync("s"));
            }

            await subscriber.AssertNothingElseAsync();
            orders.Add(order);
            await subscriber.DisposeAsync();
        }

        Assert.All(orders, order => Assert.Equal(orders[0], order));
        for (var publisher = 0; publisher < Publishers; publisher++)
        {
            var own = orders[0].Where(text => text.StartsWith($"[{publisher},", StringComparison.Ordinal));
            Assert.Equal(Enumerable.Range(0, Publishes * EventsPerPublish).Select(n => $"[{publisher},{n}]"), own);
        }

        // The events of one publish stay together.
        for (var i = 0; i < orders[0].Count; i += EventsPerPublish)
        {
            Assert.Single(orders[0].Skip(i).Take(EventsPerPublish).Select(text => text.Split(',')[0]).Distinct());
        }
    }

    [Fact]
    public async Task What_a_connection_publishes_without_waiting_for_answers_keeps_its_order() // promises 2 and 3
    {
        const int Publishers = 3, Publishes = 600, Channels = 2;
        await using var fleet = await StartFleetAsync();
        await using var subscriber = await fleet.Last.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/hasty/*");

        await Deadline.WaitAsync(
            Task.WhenAll(Enumerable.Range(0, Publishers).Select(async publisher =>
            {
                await using var socket = await fleet[publisher % fleet.Count].ConnectAsync();
                for (var i = 0; i < Publishes; i++)
                {
                    await socket.SendAsync(Messages.Publish($"{i}", $"/default/hasty/{i % Channels}", $"[{publisher},{i}]"));
                }

                Assert.Equal(Publishes, (await NextAsync(socket, "publish_success", Publishes)).Distinct().Count());
            })),
            "all answers",
            TimeSpan.FromSeconds(60));

        var events = new List<string>();
        while (events.Count < Publishers * Publishes)
        {
            events.Add(await subscriber.NextEventAsync("s"));
        }

        await subscriber.AssertNothingElseAsync();
        for (var publisher = 0; publisher < Publishers; publisher++)
        {
            for (var channel = 0; channel < Channels; channel++)
            {
                var sent = Enumerable.Range(0, Publishes).Where(i => i % Channels == channel).Select(i => $"[{publisher},{i}]").ToList();
                Assert.Equal(sent, events.Where(sent.ToHashSet().Contains));
            }
        }
    }

    [Fact]
    public async Task Every_subscription_that_matches_gets_an_event_just_once() // promise 3
    {
        await using var fleet = await StartFleetAsync();
        await using var publisher = await fleet[0].ConnectAsync();
        string[] matching = ["/default/a/b/c", "/default/a/b/*", "/default/a/*", "/default/*", "/default/a/b/c"];
        string[] others = ["/default/a/b", "/default/a/b/c/*", "/default/a/b/d", "/default/x/*"];
        for (var gateway = 0; gateway < fleet.Count; gateway++)
        {
            await using var subscriber = await fleet[gateway].ConnectAsync();
            foreach (var (pattern, id) in matching.Concat(others).Select((pattern, index) => (pattern, $"{index}")))
            {
                await subscriber.SubscribeAsync(id, pattern);
            }

            await publisher.PublishAsync("/default/a/b/c", "1");

            var ids = new List<string>();
            while (ids.Count < matching.Length)
            {
                ids.Add((string)(await subscriber.NextAsync("a delivery"))["id"]!);
            }

            Assert.Equal(["0", "1", "2", "3", "4"], ids.Order());
            // By way of the backplane, so that a second copy would come before it.
            await publisher.PublishAsync("/default/x/marker", "2");
            var last = new[] { await subscriber.NextAsync("the marker"), await subscriber.NextAsync("the marker's second delivery") };
            Assert.All(last, message => Assert.Equal("2", (string?)message["event"]));
            await subscriber.AssertNothingElseAsync();
        }
    }

    [Fact]
    public async Task Many_subscriptions_of_one_gateway_are_one_interest() // promise 6
    {
        await using var fleet = await StartFleetAsync();
        var subscribers = new List<RawWebSocket>();
        for (var i = 0; i < 5; i++)
        {
            subscribers.Add(await fleet.Last.ConnectAsync());
            for (var n = 0; n < 100; n++)
            {
                await subscribers[i].SendAsync(Messages.Subscribe($"{n}", "/default/crowd"));
            }
        }

        foreach (var subscriber in subscribers)
        {
            Assert.Equal(100, (await NextAsync(subscriber, "subscribe_success", 100)).Distinct().Count());
        }

        Assert.Equal(["+/default/crowd"], fleet.GetInterestCalls(fleet.Count - 1));
        foreach (var subscriber in subscribers)
        {
            await subscriber.DisposeAsync();
        }

        await WaitForInterestCallsAsync(fleet, 2);
        Assert.Equal(["+/default/crowd", "-/default/crowd"], fleet.GetInterestCalls(fleet.Count - 1));
    }

    [Fact]
    public async Task Ten_thousand_patterns_of_one_gateway_are_served_and_then_withdrawn() // promises 1, 3 and 6
    {
        const int Patterns = 10_000, Batch = 500;
        await using var fleet = await StartAsync(SpansGateways ? 2 : 1, $"--Fanfare:Limits:SubscriptionsPerConnectionMax={Patterns}");
        await using var publisher = await fleet[0].ConnectAsync();
        await using (var subscriber = await fleet.Last.ConnectAsync())
        {
            for (var i = 0; i < Patterns; i += Batch)
            {
                for (var n = i; n < i + Batch; n++)
                {
                    await subscriber.SendAsync(Messages.Subscribe($"{n}", PatternOf(n)));
                }

                // Requests with other ids need not be answered in their order.
                Assert.Equal(Batch, (await NextAsync(subscriber, "subscribe_success", Batch)).Distinct().Count());
            }

            for (var i = 0; i < Patterns; i += Batch)
            {
                for (var n = i; n < i + Batch; n++)
                {
                    await publisher.SendAsync(Messages.Publish($"{n}", $"/default/c{n}/x", $"{n}"));
                }

                Assert.Equal(Batch, (await NextAsync(publisher, "publish_success", Batch)).Distinct().Count());
                var batch = Enumerable.Range(i, Batch).Select(n => $"{n} {n}").Order();
                Assert.Equal(batch, (await NextAsync(subscriber, "data", Batch)).Order());
            }

            await subscriber.AssertNothingElseAsync();
        }

        await WaitForInterestCallsAsync(fleet, 2 * Patterns);
        var withdrawn = fleet.GetInterestCalls(fleet.Count - 1).Skip(Patterns);
        Assert.Equal(Enumerable.Range(0, Patterns).Select(n => $"-{PatternOf(n)}").Order(), withdrawn.Order());

        await using var again = await fleet.Last.ConnectAsync();
        await again.SubscribeAsync("s", PatternOf(0));
        await publisher.PublishAsync("/default/c0/x", "1");
        Assert.Equal("1", await again.NextEventAsync("s"));

        static string PatternOf(int n) => n % 2 == 0 ? $"/default/c{n}/x" : $"/default/c{n}/*";
    }

    [Fact]
    public async Task Subscribers_that_come_and_go_at_every_level_get_all_from_their_confirmation_to_their_farewell() // promises 1 to 3
    {
        const int Rounds = 15, EventsPerRound = 5;
        string[] patterns = ["/default/*", "/default/a/*", "/default/a/b/*", "/default/a/b/c/*", "/default/a/b/c/d"];
        await using var fleet = await StartFleetAsync();
        await using var publisher = await fleet[0].ConnectAsync();
        var begun = 0;

        // Every gateway has two of each pattern, so that first and last interests come and go everywhere at once.
        async Task ComeAndGoAsync(int gateway, string pattern)
        {
            await using var socket = await fleet[gateway].ConnectAsync();
            for (var round = 0; round < Rounds; round++)
            {
                // Where anything comes behind the farewell, it comes before this confirmation.
                await socket.SubscribeAsync($"{round}", pattern);
                var before = Volatile.Read(ref begun);
                var numbers = new List<int>();
                do
                {
                    numbers.Add(NumberOf(await socket.NextAsync("data", $"{round}")));
                }
                while (numbers[^1] < before + EventsPerRound);

                await socket.SendAsync(Messages.Unsubscribe($"{round}"));
                var message = await socket.NextAsync("an event or the farewell");
                while ((string?)message["type"] == "data")
                {
                    numbers.Add(NumberOf(message));
                    message = await socket.NextAsync("an event or the farewell");
                }

                Assert.Equal("unsubscribe_success", (string?)message["type"]);
                Assert.True(numbers[0] <= before + 1, $"{pattern}: {before + 1} was published after the confirmation; the first is {numbers[0]}");
                Assert.Equal(Enumerable.Range(numbers[0], numbers.Count), numbers);
            }
        }

        var subscribers = Task.WhenAll(
            from gateway in Enumerable.Range(0, fleet.Count)
            from pattern in patterns.Concat(patterns)
            select ComeAndGoAsync(gateway, pattern));
        while (!subscribers.IsCompleted)
        {
            var number = begun + 1;
            Volatile.Write(ref begun, number);
            await publisher.PublishAsync("/default/a/b/c/d", $"{number}");
        }

        await Deadline.WaitAsync(subscribers, "the end of the subscribers");

        static int NumberOf(JsonObject message) =>
            int.Parse((string)message["event"]!, System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Namespaces_are_kept_apart_whichever_gateway_publishes() // promises 2 and 3
    {
        const int Publishes = 100;
        using var folder = new TemporaryFolder();
        var template = folder.Write("template.yaml", """
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: two
                  EventConfig:
                    AuthProviders: [{AuthType: API_KEY}]
                    ConnectionAuthModes: [{AuthType: API_KEY}]
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
                    DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
              One: {Type: AWS::AppSync::ChannelNamespace, Properties: {ApiId: !GetAtt Api.ApiId, Name: one}}
              Two: {Type: AWS::AppSync::ChannelNamespace, Properties: {ApiId: !GetAtt Api.ApiId, Name: two}}
              Key: {Type: AWS::AppSync::ApiKey, Properties: {ApiId: !GetAtt Api.ApiId}}
            """);
        await using var fleet = await StartAsync(SpansGateways ? 2 : 1, "--template", template);
        string[] namespaces = ["one", "two"];
        var subscribers = new List<RawWebSocket>();
        foreach (var ns in namespaces)
        {
            foreach (var gateway in Enumerable.Range(0, fleet.Count))
            {
                subscribers.Add(await fleet[gateway].ConnectAsync());
                await subscribers[^1].SubscribeAsync(ns, $"/{ns}/*");
            }
        }

        await Deadline.WaitAsync(
            Task.WhenAll(namespaces.Select(async (ns, index) =>
            {
                await using var publisher = await fleet[index % fleet.Count].ConnectAsync();
                for (var i = 0; i < Publishes; i++)
                {
                    await publisher.PublishAsync($"/{ns}/same", $"\"{ns}{i}\"");
                }
            })),
            "all publishes");

        for (var i = 0; i < subscribers.Count; i++)
        {
            var ns = namespaces[i / fleet.Count];
            for (var n = 0; n < Publishes; n++)
            {
                Assert.Equal($"\"{ns}{n}\"", await subscribers[i].NextEventAsync(ns));
            }

            await subscribers[i].AssertNothingElseAsync();
            await subscribers[i].DisposeAsync();
        }
    }

    [Fact]
    public async Task Overload_is_pushed_back_to_publishers_and_loses_nothing_that_was_accepted() // promise 7
    {
        await using var fleet = await StartOverloadedAsync();
        await using var subscriber = await RawWebSocket.ConnectAsync(fleet[0].EndPoint, receiveBufferBytes: 4096);
        await subscriber.SubscribeAsync("s", "/default/flood");
        await using var publisher = await fleet[0].ConnectAsync();

        var accepted = await PublishUntilRefusedAsync(publisher);
        var overHttp = await HttpPublisher.PostAsync(fleet[0], Messages.HttpBody("/default/flood", "1"));
        overHttp.AssertError(429, "ThrottlingException");

        for (var i = 0; i < accepted; i++)
        {
            var text = await subscriber.NextEventAsync("s");
            Assert.StartsWith($"[{i},", text, StringComparison.Ordinal);
        }

        await publisher.PublishAsync("/default/flood", "\"after\"");
        Assert.Equal("\"after\"", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Publishing_works_again_once_the_subscriber_that_held_it_up_is_gone() // promise 7
    {
        await using var fleet = await StartOverloadedAsync();
        var stuck = await RawWebSocket.ConnectAsync(fleet[0].EndPoint, receiveBufferBytes: 4096);
        await stuck.SubscribeAsync("s", "/default/flood");
        await using var publisher = await fleet[0].ConnectAsync();
        await PublishUntilRefusedAsync(publisher);

        stuck.Connection.Abort();

        await Deadline.WaitAsync(
            async token =>
            {
                JsonObject answer;
                do
                {
                    token.ThrowIfCancellationRequested();
                    await publisher.SendAsync(Messages.Publish("again", "/default/flood", "1"));
                    answer = await publisher.NextAsync("an answer to the publish");
                }
                while ((string?)answer["type"] != "publish_success");
            },
            "a publish that is accepted again");
    }

    [Fact]
    public async Task A_publisher_that_is_held_back_goes_on_as_soon_as_there_is_room() // promise 7
    {
        // Long enough for the wait to be seen through on a busy machine.
        await using var fleet = await StartOverloadedAsync("--Fanfare:Limits:PublishTimeout=00:00:04");
        var stuck = await RawWebSocket.ConnectAsync(fleet[0].EndPoint, receiveBufferBytes: 4096);
        await stuck.SubscribeAsync("s", "/default/flood");
        await using var publisher = await fleet[0].ConnectAsync();
        await PublishUntilRefusedAsync(publisher);

        await publisher.SendAsync(Messages.Publish("held", "/default/flood", "1"));
        stuck.Connection.Abort();

        await publisher.NextAsync("publish_success", "held");
    }

    private static Task WaitForInterestCallsAsync(TestFleet fleet, int count) => Deadline.WaitAsync(
        async token =>
        {
            while (fleet.GetInterestCalls(fleet.Count - 1).Count < count)
            {
                await Task.Yield();
                token.ThrowIfCancellationRequested();
            }
        },
        "the withdrawal of the interests");

    private static string EventOf(int index) => $"[{index},{Messages.EventOf(200_000)}]";

    private static async Task<int> PublishUntilRefusedAsync(RawWebSocket publisher)
    {
        // The kernel takes some megabytes before anything waits in the gateway.
        for (var i = 0; i < 200; i++)
        {
            await publisher.SendAsync(Messages.Publish($"{i}", "/default/flood", EventOf(i)));
            var answer = await publisher.NextAsync("an answer to the publish");
            if ((string?)answer["type"] != "publish_success")
            {
                WireError.AssertReply(answer, "publish_error", $"{i}", "LimitExceededError");
                return i;
            }
        }

        throw new InvalidOperationException("40 MB were accepted for a subscriber that reads nothing.");
    }

    // What has other ids may come in any order.
    private static async Task<List<string>> NextAsync(RawWebSocket socket, string type, int count)
    {
        var received = new List<string>();
        while (received.Count < count)
        {
            var message = await socket.NextAsync(type);
            Assert.Equal(type, (string?)message["type"]);
            received.Add(type == "data" ? $"{message["id"]} {message["event"]}" : $"{message["id"]}");
        }

        return received;
    }

    private Task<TestFleet> StartFleetAsync(params string[] arguments) => StartAsync(
        SpansGateways ? 2 : 1, ["--Fanfare:Limits:SubscriptionsPerConnectionMax=1000", .. arguments]);

    // One gateway: where several share an engine, whose publisher is held back is a matter of the engine.
    private Task<TestFleet> StartOverloadedAsync(params string[] arguments) => StartAsync(
        1,
        [
            "--Fanfare:Limits:PendingBytesTotalMax=1000000", "--Fanfare:Limits:PendingBytesMax=100000000",
            "--Fanfare:Limits:PublishTimeout=00:00:00.5", "--Fanfare:Limits:WriteTimeout=00:10:00", .. arguments,
        ]);
}
