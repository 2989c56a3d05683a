namespace Fanfare.Gateway.Tests.Backplane;

/// <summary>The backplane of a gateway that stands alone.</summary>
public sealed class EmbeddedBackplaneTests : BackplaneContract
{
    protected override bool SpansGateways => false;

    protected override Task<TestFleet> StartAsync(int gateways, params string[] arguments)
    {
        Assert.Equal(1, gateways);
        return TestFleet.StartAsync(gateways, engine: null, arguments);
    }
}
