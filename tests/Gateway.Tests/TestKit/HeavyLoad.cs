namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>Tests that want the machine for themselves: they run one after the other, and no other test beside them.</summary>
[CollectionDefinition(nameof(HeavyLoad), DisableParallelization = true)]
public sealed class HeavyLoad;
