using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Fanfare.Gateway.Handlers.Node;

/// <summary>The scripts that workers run, which are part of this assembly.</summary>
internal static class WorkerScripts
{
    private const int SeedBytes = 32;

    // In the order in which sandbox.js wants them.
    private static readonly string[] s_sandboxNames =
    [
        "sandbox/primordials.js", "sandbox/call.js", "sandbox/arguments.js", "sandbox/random.js", "sandbox/text.js", "sandbox/patterns.js",
        "sandbox/time.js", "sandbox/dynamodb.js", "sandbox/rds.js", "sandbox/util.js", "sandbox/hardening.js", "sandbox.js",
    ];

    private static readonly Lazy<string> s_acorn = new(() => Read("acorn.js"));
    private static readonly Lazy<string> s_compiler = new(() => Read("compiler.js"));
    private static readonly Lazy<string[]> s_sandbox = new(() => [.. s_sandboxNames.Select(Read)]);
    private static readonly Lazy<string> s_worker = new(() => Read("worker.js"));

    /// <summary>The worker's program.</summary>
    public static string Worker => s_worker.Value;

    /// <summary>What a worker is told first: its limits and the scripts besides its own; each time with another seed.</summary>
    public static byte[] GetBootMessage(HandlerOptions options)
    {
        using var message = new MemoryStream(512 * 1024);
        using (var writer = new Utf8JsonWriter(message))
        {
            writer.WriteStartObject();
            writer.WriteStartObject("limits"u8);
            writer.WriteNumber("iterationsMax"u8, options.IterationsMax);
            writer.WriteNumber("logBytesMax"u8, options.LogBytesMax);
            writer.WriteNumber("resultBytesMax"u8, options.ResultBytesMax);
            writer.WriteString("random"u8, RandomNumberGenerator.GetHexString(2 * SeedBytes, lowercase: true));
            writer.WriteEndObject();
            writer.WriteString("acorn"u8, s_acorn.Value);
            writer.WriteString("compiler"u8, s_compiler.Value);
            writer.WriteStartArray("sandbox"u8);
            foreach (var script in s_sandbox.Value)
            {
                writer.WriteStringValue(script);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return message.ToArray();
    }

    private static string Read(string name)
    {
        using var stream = typeof(WorkerScripts).Assembly.GetManifestResourceStream($"handlers/{name}")
            ?? throw new InvalidOperationException($"The assembly lacks the script {name}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
