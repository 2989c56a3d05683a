using System.Text;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Lambda;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Lambda;

/// <summary>When an authorizer function is asked, and when its earlier answer decides.</summary>
public sealed class AuthorizerCacheTests
{
    private const string Allow = """{"isAuthorized":true}""";
    private const string KeepThirtySeconds = "AuthorizerResultTtlInSeconds: 30";

    [Theory]
    [InlineData("", Allow, 0)]
    [InlineData("AuthorizerResultTtlInSeconds: 0", Allow, 0)]
    [InlineData(KeepThirtySeconds, Allow, 30)]
    [InlineData(KeepThirtySeconds, """{"isAuthorized":true,"ttlOverride":0}""", 0)]
    [InlineData(KeepThirtySeconds, """{"isAuthorized":true,"ttlOverride":-5}""", 0)]
    [InlineData(KeepThirtySeconds, """{"isAuthorized":true,"ttlOverride":300}""", 300)]
    [InlineData("", """{"isAuthorized":true,"ttlOverride":5}""", 5)]
    [InlineData("", """{"isAuthorized":true,"ttlOverride":0.5}""", 0.5)]
    [InlineData("", """{"isAuthorized":true,"ttlOverride":1e300}""", 3600)]
    public async Task An_answer_decides_until_its_time_is_up(string settings, string json, double seconds)
    {
        var clock = new ManualTimeProvider();
        await using var lambda = await FakeLambda.ReturningAsync(json);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address, settings, clock);

        Assert.Equal(200, (await fixture.PostAsync()).Status);
        Assert.Equal(200, (await fixture.PostAsync()).Status);
        Assert.Equal(seconds == 0 ? 2 : 1, lambda.Calls.Count);
        if (seconds > 0)
        {
            clock.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromTicks(1));
            Assert.Equal(200, (await fixture.PostAsync()).Status);
            Assert.Single(lambda.Calls);
            clock.Advance(TimeSpan.FromTicks(1));
            Assert.Equal(200, (await fixture.PostAsync()).Status);
            Assert.Equal(2, lambda.Calls.Count);
        }
    }

    [Fact]
    public async Task An_answer_holds_for_one_operation_of_one_token_on_one_channel_as_it_was_written()
    {
        await using var lambda = await FakeLambda.ReturningAsync(Allow);
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address, KeepThirtySeconds);
        await using var socket = await fixture.OpenAsync();
        for (var round = 0; round < 2; round++)
        {
            await fixture.ConnectAsync();
            await fixture.PostAsync();
            await fixture.PostAsync(channel: "chat/a");
            await fixture.PostAsync(channel: "/chat/b");
            await fixture.PostAsync("other");
            await AuthorizerFixture.PublishAsync(socket, $"p{round}"); // the same operation as over HTTP
            await AuthorizerFixture.SubscribeAsync(socket, $"s{round}", channel: "/chat/c");
            await AuthorizerFixture.SubscribeAsync(socket, $"w{round}", channel: "/chat/c/*");
            Assert.Equal(7, lambda.Calls.Count);
        }
    }

    [Fact]
    public async Task Denials_and_failures_are_not_kept()
    {
        await using var lambda = await FakeLambda.ReturningAsync("""{"isAuthorized":false,"ttlOverride":300}""");
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address, KeepThirtySeconds);
        (await fixture.PostAsync()).AssertError(401, "UnauthorizedException");

        lambda.Answer = call => call.AnswerAsync(404, "{}");
        (await fixture.PostAsync()).AssertError(500, "AuthorizerFailureException");

        lambda.Answer = call => call.ReturnAsync(Allow);
        Assert.Equal(200, (await fixture.PostAsync()).Status);
        Assert.Equal(3, lambda.Calls.Count);
    }

    [Theory]
    [InlineData(KeepThirtySeconds, Allow, 1)]
    [InlineData(KeepThirtySeconds, """{"isAuthorized":true,"ttlOverride":0}""", 8)]
    [InlineData("", Allow, 8)]
    public async Task Equal_requests_at_the_same_time_share_a_call_where_they_may_share_its_answer(string settings, string json, int calls)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var lambda = await FakeLambda.StartAsync(async call =>
        {
            await gate.Task.WaitAsync(call.Aborted);
            await call.ReturnAsync(json);
        });
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address, settings);

        var answers = Enumerable.Range(0, 8).Select(_ => fixture.PostAsync()).ToList();
        await lambda.NextCallAsync();
        gate.SetResult();

        Assert.All(await Task.WhenAll(answers), answer => Assert.Equal(200, answer.Status));
        Assert.Equal(calls, lambda.Calls.Count);
    }

    [Fact]
    public async Task The_one_who_asked_first_may_hang_up_without_harm_to_the_others()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var lambda = await FakeLambda.StartAsync(async call =>
        {
            await gate.Task.WaitAsync(call.Aborted);
            await call.ReturnAsync(Allow);
        });
        await using var fixture = await AuthorizerFixture.StartAsync(lambda.Address, KeepThirtySeconds);
        var first = await fixture.OpenAsync();
        await using var second = await fixture.OpenAsync();

        await first.SendAsync(Messages.Publish("p", "/chat/a", AuthorizerFixture.Authorization(AuthorizerFixture.Token), "1"));
        await lambda.NextCallAsync();
        await first.DisposeAsync();
        var answer = AuthorizerFixture.PublishAsync(second, "p");
        gate.SetResult();

        Assert.Equal("publish_success", (string?)(await answer)["type"]);
        Assert.Single(lambda.Calls);
    }

    [Fact]
    public void The_oldest_answers_make_room_in_entries_and_in_bytes()
    {
        var cache = new AuthorizerCache(new ManualTimeProvider());
        var small = new LambdaIdentity([]);
        for (var i = 0; i <= AuthorizerCache.EntriesMax; i++)
        {
            cache.Store(Key($"{i}"), small, TimeSpan.FromHours(1));
        }

        Assert.Null(cache.Find(Key("0")));
        Assert.Same(small, cache.Find(Key("1")));
        Assert.Same(small, cache.Find(Key($"{AuthorizerCache.EntriesMax}")));

        var half = new LambdaIdentity([KeyValuePair.Create("a", new string('x', (int)(AuthorizerCache.BytesMax / 2) - 1000))]);
        cache.Store(Key("half"), half, TimeSpan.FromHours(1));
        cache.Store(Key("other half"), half, TimeSpan.FromHours(1));
        Assert.Null(cache.Find(Key($"{AuthorizerCache.EntriesMax - 100}")));
        Assert.Same(half, cache.Find(Key("half")));
        cache.Store(Key("third half"), half, TimeSpan.FromHours(1));
        Assert.Null(cache.Find(Key("half")));
        Assert.Same(half, cache.Find(Key("other half")));

        var huge = new LambdaIdentity([KeyValuePair.Create("a", new string('x', (int)AuthorizerCache.BytesMax))]);
        cache.Store(Key("huge"), huge, TimeSpan.FromHours(1));
        Assert.Null(cache.Find(Key("huge")));
        Assert.Same(half, cache.Find(Key("other half")));
    }

    [Fact]
    public void Keys_differ_where_any_part_does()
    {
        var keys = new HashSet<AuthorizerCacheKey>();
        foreach (var authorizer in (long[])[1, 2])
        {
            foreach (var operation in Enum.GetValues<AuthOperation>())
            {
                foreach (var (channel, token) in ((string, string)[])[("", "ab"), ("a", "b"), ("ab", "")])
                {
                    keys.Add(AuthorizerCacheKey.Compute(authorizer, operation, Encoding.UTF8.GetBytes(channel), Encoding.UTF8.GetBytes(token)));
                }
            }
        }

        Assert.Equal(2 * 3 * 3, keys.Count);
    }

    private static AuthorizerCacheKey Key(string token) =>
        AuthorizerCacheKey.Compute(1, AuthOperation.Connect, default, Encoding.UTF8.GetBytes(token));
}
