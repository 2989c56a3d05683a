namespace Fanfare.Broker.Silos;

/// <summary>Says when this silo begins to hand its grains over.</summary>
/// <remarks>
/// A grain is only told after its calls have ended. Those that wait for a gateway's receipt need not: the publisher turns to the
/// channel's next activation, which finds out who has received what.
/// </remarks>
internal sealed class SiloEnd : ILifecycleParticipant<ISiloLifecycle>
{
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the silo begins to stop.</summary>
    public Task Begun => _begun.Task;

    /// <inheritdoc/>
    public void Participate(ISiloLifecycle lifecycle) =>
        // The last stage of the start is the first one of the stop, before grains are deactivated.
        lifecycle.Subscribe(nameof(SiloEnd), ServiceLifecycleStage.Active, _ => Task.CompletedTask, Begin);

    private Task Begin(CancellationToken cancellationToken)
    {
        _begun.TrySetResult();
        return Task.CompletedTask;
    }
}
