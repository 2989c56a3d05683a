using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>The backplane of gateways that share a Redis.</summary>
public sealed class RedisBackplaneTests : BackplaneContract
{
    protected override async Task<TestFleet> StartAsync(int gateways, params string[] arguments)
    {
        var redis = await RedisServer.StartAsync();
        return await TestFleet.StartAsync(gateways, redis, [.. redis.Arguments, .. arguments]);
    }
}
