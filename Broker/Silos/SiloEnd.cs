namespace Fanfare.Broker.Silos;

/// <summary>Says when this silo begins to hand its grains over.</summary>
/// <remarks>
/// A grain is only told after its calls have ended. Those that wait for a gateway's receipt need not: the publisher turns to the
/// channel's next activation, which finds out who has received what.
/// </remarks>
internal sealed class SiloEnd : ILifecycleParticipant<ISiloLifecycle>, IDisposable
{
    private readonly CancellationTokenSource _begun = new();

    /// <summary>Called by the container.</summary>
    public SiloEnd() => Begun = _begun.Token;

    /// <summary>Cancelled when the silo begins to stop.</summary>
    /// <remarks>
    /// No task: every publish waits for it beside its receipts, and those who leave a task that others wait for too are searched for
    /// among as many as there ever were.
    /// </remarks>
    public CancellationToken Begun { get; }

    /// <inheritdoc/>
    public void Participate(ISiloLifecycle lifecycle) =>
        // The last stage of the start is the first one of the stop, before grains are deactivated.
        lifecycle.Subscribe(nameof(SiloEnd), ServiceLifecycleStage.Active, _ => Task.CompletedTask, _ => _begun.CancelAsync());

    /// <inheritdoc/>
    public void Dispose() => _begun.Dispose();
}
