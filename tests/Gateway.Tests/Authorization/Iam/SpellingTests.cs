using Fanfare.Gateway.Authorization;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

/// <summary>What a client signed, spelled otherwise than what it sent.</summary>
public sealed class SpellingTests
{
    /// <summary>Channel and events as received, and the payload as signed.</summary>
    public static TheoryData<string, string?, string> Accepted => new()
    {
        // As received, whatever that is.
        { "\"/default/a\"", "[\"1\"]", """{"channel":"/default/a","events":["1"]}""" },
        { "\"\\/default\\u002fa\"", "[ \"\\u0031\" ]", """{"channel":"\/default\u002fa","events":[ "\u0031" ]}""" },
        { "\"/default/a\"", "[\"\\u003C\"]", """{"channel":"/default/a","events":["\u003C"]}""" },

        // Minimally escaped, without white space.
        { "\"\\/default\\u002fa\"", "[ \"\\u0031\" ,\n\"2\" ]", """{"channel":"/default/a","events":["1","2"]}""" },
        { "\"\\/default\\/*\"", null, """{"channel":"/default/*"}""" },
        { "\"/default/a\"", "[\"\\u003c\\u003E\\u0026\"]", """{"channel":"/default/a","events":["<>&"]}""" },
        { "\"/default/a\"", "[\"\\u00e9\\u20AC\\ud83d\\uDE00\"]", """{"channel":"/default/a","events":["é€😀"]}""" },
        { "\"/default/a\"", "[\"\\u0008\\u0009\\u000a\\u000C\\u000d\\u0022\\u005c\"]", """{"channel":"/default/a","events":["\b\t\n\f\r\"\\"]}""" },
        { "\"/default/a\"", "[\"\\u001F\\u0000\"]", """{"channel":"/default/a","events":["\u001f\u0000"]}""" },
        { "\"/default/a\"", "[ \"\\uD83D\", \"\\uDE00x\" ]", """{"channel":"/default/a","events":["\ud83d","\ude00x"]}""" },
        { "\"/default/a\"", "[ \"\\uD83D\\u0041\" ]", """{"channel":"/default/a","events":["\ud83dA"]}""" },
        { "\"/default/a\"", "[ ]", """{"channel":"/default/a","events":[]}""" },

        // Each optional escape, and several of them.
        { "\"/default/a\"", "[\"1/2\"]", """{"channel":"\/default\/a","events":["1\/2"]}""" },
        { "\"/default/a\"", "[\"<b>&\"]", """{"channel":"/default/a","events":["\u003cb\u003e\u0026"]}""" },
        { "\"/default/a\"", "[\"\u2028\"]", """{"channel":"/default/a","events":["\u2028"]}""" },
        { "\"/default/a\"", "[\"é😀\u007f\"]", """{"channel":"/default/a","events":["\u00e9\ud83d\ude00\u007f"]}""" },
        { "\"/default/a\"", "[\"é/<\"]", """{"channel":"\/default\/a","events":["\u00e9\/<"]}""" },
        { "\"/default/a\"", "[\"é/<\"]", """{"channel":"/default/a","events":["\u00e9/\u003c"]}""" },
        { "\"/default/a\"", "[\"é/<\"]", """{"channel":"\/default\/a","events":["é\/\u003c"]}""" },
        { "\"/default/a\"", "[\"é/<\"]", """{"channel":"\/default\/a","events":["\u00e9\/\u003c"]}""" },
        { "\"\\/default\\/a\"", "[\"\\u00E9\\u003C{\\\"n\\\":1}\"]", """{"channel":"/default/a","events":["é<{\"n\":1}"]}""" },
    };

    /// <summary>Payloads that say something else.</summary>
    public static TheoryData<string, string?, string> Refused => new()
    {
        { "\"/default/a\"", "[\"1\",\"2\"]", """{"channel":"/default/a","events":["2","1"]}""" },
        { "\"/default/a\"", "[\"1\",\"2\"]", """{"channel":"/default/a","events":["1"]}""" },
        { "\"/default/a\"", "[\"1\"]", """{"channel":"/default/A","events":["1"]}""" },
        { "\"/default/a\"", "[\"1 2\"]", """{"channel":"/default/a","events":["12"]}""" },
        { "\"/default/a\"", "[\"1\"]", """{"channel":"/default/a"}""" },
        { "\"/default/a\"", null, """{"channel":"/default/a","events":[]}""" },
        { "\"/default/a\"", "[\"é\"]", """{"channel":"/default/a","events":["\u00E9"]}""" },
        { "\"/default/a\"", "[ 1 ]", """{"channel":"/default/a","events":[1]}""" },
        { "\"/default/a\"", "{\"a\" : 1}", """{"channel":"/default/a","events":[]}""" },
        { "\"/default/a\"", "[\"\\\\u003c\"]", """{"channel":"/default/a","events":["<"]}""" },
        { "\"/default/a\"", "[\"e\u0301\"]", """{"channel":"/default/a","events":["é"]}""" },
    };

    [Theory]
    [MemberData(nameof(Accepted))]
    public void The_same_values_spelled_otherwise_verify(string channel, string? events, string signedPayload) =>
        Ask(channel, events, signedPayload).AssertGranted();

    [Theory]
    [MemberData(nameof(Refused))]
    public void Other_values_do_not(string channel, string? events, string signedPayload) =>
        Ask(channel, events, signedPayload).AssertMismatch();

    [Theory]
    [InlineData(100)]
    [InlineData(2_000)]
    [InlineData(5_000)]
    [InlineData(200_000)]
    public void Length_makes_no_difference(int length)
    {
        var text = string.Concat(Enumerable.Range(0, length / 10).Select(i => $"{i % 7}é/<\\n😀xy"));
        Ask("\"/default/a\"", $"[\"{text}\"]", $$"""{"channel":"/default/a","events":["{{text}}"]}""").AssertGranted();
        Ask("\"/default/a\"", $"[ \"{text}\" ]", $$"""{"channel":"/default/a","events":["{{text}}"]}""").AssertGranted();
        Ask("\"/default/a\"", $"[\"{text}\"]", $$"""{"channel":"/default/a","events":["{{text.Replace("<", "\\u003c")}}"]}""").AssertGranted();
        Ask("\"/default/a\"", $"[\"{text}\"]", $$"""{"channel":"/default/a","events":["{{text.Replace("é", "\\u00e9").Replace("😀", "\\ud83d\\ude00")}}"]}""").AssertGranted();
        Ask("\"/default/a\"", $"[\"{text}\"]", $$"""{"channel":"/default/a","events":["{{text}}x"]}""").AssertMismatch();
    }

    private static AuthDecision Ask(string channel, string? events, string signedPayload)
    {
        using var bench = new IamBench();
        var operation = events is null ? AuthOperation.Subscribe : AuthOperation.Publish;
        return bench.Message(operation, channel, events, bench.Signer.SignObject(signedPayload));
    }
}
