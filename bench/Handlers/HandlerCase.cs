namespace Fanfare.Handlers;

/// <summary>A namespace of the template, and what becomes of the events that are published to it.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="Namespace">The namespace.</param>
internal sealed record HandlerCase(string Name, string Namespace)
{
    /// <summary>What is measured; the first is the yardstick.</summary>
    public static readonly HandlerCase[] All =
    [
        new("no handler", "none"),
        new("pass through", "pass"),
        new("transform", "transform") { IsStamped = true },
        new("filter", "filter") { KeptEvery = 2 },
        new("object form, `NONE`", "object"),
        new("`DIRECT`", "direct") { Calls = FunctionCalls.All },
        new("`DIRECT`, `EVENT`", "notify") { Calls = FunctionCalls.Some },
    ];

    /// <summary>The namespaces of all.</summary>
    public static readonly string[] Namespaces = [.. All.Select(one => one.Namespace)];

    /// <summary>What is measured with other numbers and sizes of events.</summary>
    public static readonly HandlerCase[] Shaped = All[..3];

    /// <summary>Which events are delivered.</summary>
    public int KeptEvery { get; private init; } = 1;

    /// <summary>Whether events are delivered with a time stamp.</summary>
    public bool IsStamped { get; private init; }

    /// <summary>Of how many publishes the function hears.</summary>
    public FunctionCalls Calls { get; private init; } = FunctionCalls.None;

    /// <summary>Returns this as publishers and subscribers see it.</summary>
    public Target At(int port) => new(port, port, Namespace, KeptEvery, IsStamped);
}

/// <summary>Of how many publishes the function hears.</summary>
internal enum FunctionCalls
{
    /// <summary>Of none.</summary>
    None,

    /// <summary>Of all.</summary>
    All,

    /// <summary>Of those that there is room for.</summary>
    Some,
}
