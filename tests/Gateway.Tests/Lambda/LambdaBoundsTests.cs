using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Lambda;

/// <summary>What goes to a function and comes back is bounded, and so is what waits for it.</summary>
public sealed class LambdaBoundsTests
{
    [Theory]
    [InlineData(LambdaClient.RequestBytesMax, false, true)]
    [InlineData(LambdaClient.RequestBytesMax + 1, false, false)]
    [InlineData(LambdaClient.EventBytesMax, true, true)]
    [InlineData(LambdaClient.EventBytesMax + 1, true, false)]
    public async Task An_event_of_the_greatest_size_goes_through_and_a_larger_one_does_not(int bytes, bool isEvent, bool isAccepted)
    {
        await using var lambda = await FakeLambda.StartAsync(call => call.AnswerAsync(202, ""));
        foreach (var setting in (string[])["Endpoint", "Functions:auth"])
        {
            await using var fixture = LambdaFixture.Create([(setting, lambda.Address + (setting == "Endpoint" ? "" : "hook"))]);

            var result = await fixture.InvokeAsync(payload: Messages.EventOf(bytes), type: isEvent ? LambdaInvocationType.Event : default);

            Assert.Equal(isAccepted ? null : LambdaFailureKind.RequestTooLarge, result.Failure?.Kind);
        }
    }

    [Theory]
    [InlineData(LambdaEndpoint.ResponseBytesMax, false, true)]
    [InlineData(LambdaEndpoint.ResponseBytesMax, true, true)]
    [InlineData(LambdaEndpoint.ResponseBytesMax + 1, false, false)]
    [InlineData(LambdaEndpoint.ResponseBytesMax + 1, true, false)]
    public async Task An_answer_is_read_up_to_the_limit(int bytes, bool saysLength, bool isAccepted)
    {
        var text = Messages.EventOf(bytes);
        await using var lambda = await FakeLambda.StartAsync(
            call => call.AnswerAsync(200, text, saysLength ? [("Content-Length", $"{bytes}")] : []));
        await using var fixture = LambdaFixture.Create([("Endpoint", lambda.Address.ToString())]);

        var result = await fixture.InvokeAsync();

        Assert.Equal(isAccepted ? null : LambdaFailureKind.ResponseTooLarge, result.Failure?.Kind);
        Assert.Equal(isAccepted ? bytes : 0, result.Payload.Length);
    }

    [Fact]
    public async Task An_asynchronous_call_is_done_when_the_service_has_taken_it()
    {
        await using var lambda = await FakeLambda.StartAsync(call => call.AnswerAsync(202, ""));
        await using var fixture = LambdaFixture.Create([("Endpoint", lambda.Address.ToString())]);

        Assert.Null((await fixture.InvokeAsync(type: LambdaInvocationType.Event)).Failure);

        Assert.Equal("Event", Assert.Single(lambda.Calls).Headers["X-Amz-Invocation-Type"]);
    }

    [Theory]
    [InlineData("hook")]
    [InlineData("2015-03-31/functions/function/invocations")]
    public async Task A_target_that_makes_its_caller_wait_gets_asynchronous_calls_from_a_bounded_backlog(string path)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var lambda = await FakeLambda.StartAsync(async call =>
        {
            await gate.Task.WaitAsync(call.Aborted);
            await call.ReturnAsync("1");
        });
        await using var fixture = LambdaFixture.Create([("Functions:auth", lambda.Address + path)]);

        Assert.Null((await fixture.InvokeAsync(payload: "0", type: LambdaInvocationType.Event)).Failure);
        Assert.Equal("0", (await lambda.NextCallAsync()).Body);
        for (var i = 1; i <= LambdaBacklog.CallsMax; i++)
        {
            Assert.Null((await fixture.InvokeAsync(payload: $"{i}", type: LambdaInvocationType.Event)).Failure);
        }

        Assert.Equal(LambdaFailureKind.Dropped, (await fixture.InvokeAsync(type: LambdaInvocationType.Event)).Failure!.Kind);
        gate.SetResult();
        for (var i = 1; i <= LambdaBacklog.CallsMax; i++)
        {
            Assert.Equal($"{i}", (await lambda.NextCallAsync()).Body);
        }
    }
}
