namespace Fanfare.Broker.Gateways;

/// <summary>The gateway in this process, for the silo in this process. Safe for concurrent use.</summary>
internal sealed class LocalGateway
{
    private volatile Inboxes? _inboxes;

    /// <summary>The gateway is about to join the cluster under a new id.</summary>
    public void Join(Guid id, GatewayInbox[] inboxes) => _inboxes = new Inboxes(id, inboxes);

    /// <summary>Returns where channels deliver to if the gateway is the one in this process.</summary>
    public GatewayInbox[]? Find(Guid id) => _inboxes is { } inboxes && inboxes.Id == id ? inboxes.All : null;

    private sealed record Inboxes(Guid Id, GatewayInbox[] All);
}
