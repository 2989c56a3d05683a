using System.Diagnostics;
using Fanfare.Gateway.Channels;
using Fanfare.Gateway.Protocol;

namespace Fanfare.Gateway.Observability;

/// <summary>The gateway's own spans: one for each publish that reached the backplane or was refused on the way.</summary>
/// <remarks>
/// Costs a comparison where nobody listens. Over HTTP the span is a child of the request's. Names follow OpenTelemetry's conventions
/// for messaging; no span holds an event or a credential.
/// </remarks>
internal static class GatewayActivity
{
    /// <summary>The name of the source.</summary>
    public const string SourceName = "Fanfare.Gateway";

    private static readonly ActivitySource s_source = new(SourceName);

    /// <summary>Whether anybody listens.</summary>
    public static bool IsListenedTo => s_source.HasListeners();

    /// <summary>Starts the span of a publish; <see langword="null"/> where nobody listens.</summary>
    public static Activity? StartPublish(string apiId) =>
        s_source.StartActivity("publish", ActivityKind.Producer)?.SetTag("messaging.system", "fanfare").SetTag("fanfare.api", apiId);

    /// <summary>Says where the events went.</summary>
    public static void SetChannel(this Activity? activity, ChannelKey channel) =>
        activity?.SetTag("messaging.destination.name", channel.ToString());

    /// <summary>Says what became of them.</summary>
    public static void SetResult(this Activity? activity, ProtocolError? error, int eventCount)
    {
        if (error is null)
        {
            activity?.SetTag("messaging.batch.message_count", eventCount);
        }
        else
        {
            activity?.SetTag("error.type", error.Label).SetStatus(ActivityStatusCode.Error);
        }
    }
}
