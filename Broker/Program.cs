using Fanfare.Broker;
using Fanfare.Gateway;

return await BrokerProgram.Node.RunAsync(args);

namespace Fanfare.Broker
{
    /// <summary>The program of a node: silo, gateway or both.</summary>
    internal static class BrokerProgram
    {
        /// <summary>A node of the cluster.</summary>
        public static readonly GatewayProgram Node = new()
        {
            ServiceName = "fanfare-broker",
            Description = "A node of a Fanfare cluster: a WebSocket broker that speaks AWS AppSync Events.",
            Options =
            [
                new("--roles", "ROLES", "Fanfare:Roles", "What this node does: Silo, Gateway or Silo,Gateway. Default: both."),
            ],
            Sections = ["Orleans"],
            OptionTypes = [typeof(BrokerOptions)],
            ServesClients = configuration => ClusterHosting.GetRoles(configuration).HasFlag(NodeRoles.Gateway),
            Configure = ClusterHosting.Add,
        };
    }
}
