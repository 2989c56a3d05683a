using System.Text.Json;

namespace Fanfare.Gateway.Handlers;

/// <summary>The parts of a handler's output, each as its JSON lies in it; empty where the output lacks it.</summary>
/// <remarks>
/// <para>What a runtime answers, one object:</para>
/// <list type="bullet">
/// <item><c>result</c>: of <c>onPublish</c> <c>null</c> or a list, in which an item has an <c>id</c> and either <c>same</c>, where the
/// payload is what came, or <c>payload</c>, a string that holds the JSON of another, or <c>error</c>, a text;</item>
/// <item><c>request</c>: what the function of that name returned, for the data source;</item>
/// <item><c>early</c>: <see langword="true"/> where <c>runtime.earlyReturn</c> ended the handler with <c>result</c>;</item>
/// <item><c>stash</c> and <c>outErrors</c>: what <c>response</c> gets of what <c>request</c> left there;</item>
/// <item><c>failure</c>: <c>kind</c> is <c>unauthorized</c>, <c>error</c> (with <c>message</c>, <c>type</c>, <c>data</c>, <c>info</c>) or
/// <c>fault</c> (with <c>message</c>, for logs alone);</item>
/// <item><c>log</c>: triples of level, position and text.</item>
/// </list>
/// </remarks>
internal readonly struct HandlerOutput
{
    /// <summary>The handler's result.</summary>
    public ReadOnlyMemory<byte> Result { get; private init; }

    /// <summary>What the data source is asked.</summary>
    public ReadOnlyMemory<byte> Request { get; private init; }

    /// <summary>Whether the handler ended in <c>request</c>.</summary>
    public bool IsEarly { get; private init; }

    /// <summary>What <c>request</c> left for <c>response</c>.</summary>
    public ReadOnlyMemory<byte> Stash { get; private init; }

    /// <summary>The errors that were appended.</summary>
    public ReadOnlyMemory<byte> OutErrors { get; private init; }

    /// <summary>Why the handler failed.</summary>
    public ReadOnlyMemory<byte> Failure { get; private init; }

    /// <summary>What the handler logged.</summary>
    public ReadOnlyMemory<byte> Log { get; private init; }

    /// <summary>Takes an output apart.</summary>
    /// <exception cref="JsonException">It is not JSON, or no object.</exception>
    public static HandlerOutput Parse(ReadOnlyMemory<byte> json)
    {
        ReadOnlyMemory<byte> result = default, request = default, stash = default, outErrors = default, failure = default, log = default;
        var isEarly = false;
        var reader = new Utf8JsonReader(json.Span, s_options);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("A handler's output must be an object.");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            ref var part = ref result;
            if (name.SequenceEqual("early"u8))
            {
                reader.Read();
                isEarly = reader.TokenType == JsonTokenType.True;
                continue;
            }

            if (name.SequenceEqual("request"u8))
            {
                part = ref request;
            }
            else if (name.SequenceEqual("stash"u8))
            {
                part = ref stash;
            }
            else if (name.SequenceEqual("outErrors"u8))
            {
                part = ref outErrors;
            }
            else if (name.SequenceEqual("failure"u8))
            {
                part = ref failure;
            }
            else if (name.SequenceEqual("log"u8))
            {
                part = ref log;
            }

            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            part = json[start..(int)reader.BytesConsumed];
        }

        return new HandlerOutput
        {
            Result = result,
            Request = request,
            IsEarly = isEarly,
            Stash = stash,
            OutErrors = outErrors,
            Failure = failure,
            Log = log,
        };
    }

    // As deep as an event may nest, and what surrounds it.
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = 1100 };
}
