using System.Text;
using System.Text.Json;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;
using Fanfare.Gateway.Tests.Hostile;
using GatewayCredentials = Fanfare.Gateway.Authorization.Credentials;

namespace Fanfare.Gateway.Tests.Protocol;

/// <summary>What is read with <see cref="JsonScanner"/> is what the framework's reader would make of the same bytes.</summary>
public sealed class JsonScannerTests
{
    private const int DepthMax = 4;
    private const int RandomTexts = 200_000;

    private static readonly string[] s_pieces =
    [
        "{", "}", "[", "]", ":", ",", "\"", "\\", "\"a\"", "\"b\":", "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"\\\\\"", "\\n", "\\u12",
        "\\x", "\\\"", "0", "-", "1", "01", "1.5", ".", "e", "E+1", "1e5", "true", "false", "null", "tru", "nul", " ", "\t", "\r\n", "\0", "\u001f",
        "\u007f", "é", "😀", "\u2028", "\ufeff", "/", "//", "/**/", "'", "NaN", "x", new string('y', 15), new string('z', 16), new string('w', 33),
    ];

    public static TheoryData<string> Texts { get; } =
    [
        "", " ", "0", "-0", "-", "01", "1.", ".1", "1.0", "1e", "1e+", "1e-1", "1E+1", "1 2", "1,", "+1", "0x1", "1e999", "--1", "00", "0.0.0",
        "true", "True", "truex", "tru", "null", "nulll", "false ", " false", "\ufefffalse",
        "\"\"", "\"", "\"a", "\"a\"b", "\"\\\"", "\"\\\\\"", "\"\\a\"", "\"\\u123\"", "\"\\u123g\"", "\"\\u12345\"", "\"\\ud800\"", "\"\n\"", "\"\u001f\"",
        "\"\u007f\"", "\"\0\"", "\"\\/\\b\\f\\n\\r\\t\"", "'a'",
        "{}", "{ }", "{", "}", "{]", "[}", "[]", "[ ]", "[", "]", "[,]", "[1,]", "[,1]", "[1 2]", "[1,2]", "[[],[]]", "[[][]]", "[{}]", "[1}",
        "{\"a\":1}", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{\"a\" : 1 , \"a\":2}", "{a:1}", "{1:1}", "{,}", "{\"a\":1 \"b\":2}", "{\"a\":1,2}", "{\"a\"::1}",
        "{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":[]}", "[{\"a\":1}]", "[{\"a\":1]}", "{\"a\":[1}]",
        "[[[[]]]]", "[[[[1]]]]", "[[[[[]]]]]", "[[[{}]]]", "[[[{\"a\":1}]]]", "[[[[{}]]]]", "{\"a\":{\"a\":{\"a\":{\"a\":1}}}}", "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}",
        "[[[[]]],[[[1]]],1]", "/**/1", "1//", "[1]/**/", "[1]\0", "\0", "[1,\0]",
    ];

    [Theory]
    [MemberData(nameof(Texts))]
    public void A_text_is_judged_as_the_framework_judges_it(string text) => AssertSameJudgement(Encoding.UTF8.GetBytes(text));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(1000)]
    [InlineData(JsonScanner.DepthLimit)]
    public void Nesting_is_allowed_up_to_the_depth_and_not_beyond(int depth)
    {
        // Arrays and objects in turn, so that each level has to be remembered for what it is.
        Assert.True(JsonScanner.IsValue(Nested(depth), depth));
        Assert.False(JsonScanner.IsValue(Nested(depth + 1), depth));

        static byte[] Nested(int depth)
        {
            var text = new StringBuilder();
            for (var i = 0; i < depth; i++)
            {
                text.Append(i % 3 == 0 ? "{\"a\":" : "[");
            }

            text.Append('1');
            for (var i = depth - 1; i >= 0; i--)
            {
                text.Append(i % 3 == 0 ? "}" : ",2]");
            }

            return Encoding.UTF8.GetBytes(text.ToString());
        }
    }

    [Fact]
    public void A_special_byte_is_found_wherever_it_is_in_a_string()
    {
        // Around the sizes of blocks.
        for (var length = 0; length < 100; length++)
        {
            for (var at = 0; at < length; at++)
            {
                foreach (var special in new[] { "\"", "\\", "\u001f", "\\n", "\\u0041", "\\ud800", "é" })
                {
                    AssertSameJudgement(Encoding.UTF8.GetBytes($"[\"{new string('a', at)}{special}{new string('b', length - at)}\",1]"));
                }
            }
        }
    }

    [Fact]
    public void Random_texts_are_judged_as_the_framework_judges_them()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var text = new StringBuilder();
        for (var i = 0; i < RandomTexts; i++)
        {
            text.Clear();
            for (var pieces = random.Next(12); pieces >= 0; pieces--)
            {
                text.Append(s_pieces[random.Next(s_pieces.Length)]);
            }

            AssertSameJudgement(Encoding.UTF8.GetBytes(text.ToString()), $"seed {seed}");
        }
    }

    [Fact]
    public void Messages_credentials_and_events_are_what_the_framework_makes_of_them()
    {
        var seed = Random.Shared.Next();
        var (mutator, random) = (new Mutator(seed), new Random(seed));
        var accepted = 0;
        for (var i = 0; i < RandomTexts; i++)
        {
            var text = i % 4 == 0 ? mutator.NextBody() : mutator.NextMessage();
            if (i % 8 == 1)
            {
                // Members written with escapes, and values of the wrong kind.
                text = text.Replace("\"type\"", "\"\\u0074ype\"", StringComparison.Ordinal)
                    .Replace("\"id\":\"", "\"id\":\"\\u0061", StringComparison.Ordinal)
                    .Replace("\"x-api-key\"", "\"X-Api-Key\"", StringComparison.Ordinal);
            }
            else if (i % 8 == 3)
            {
                text = text.Insert(random.Next(text.Length + 1), s_pieces[random.Next(s_pieces.Length)]);
            }

            var json = Encoding.UTF8.GetBytes(text);
            var isMessage = ReferenceReader.TryParseMessage(json, out var expected);
            Assert.True(isMessage == ClientMessage.TryParse(json, out var message), $"seed {seed}: {text}");
            if (!isMessage)
            {
                continue;
            }

            accepted++;
            Assert.True(
                expected.Type == message.Type && Same(expected.Id, message.Id) && Same(expected.Channel, message.Channel)
                && Same(expected.ChannelToken, message.ChannelToken) && Same(expected.Events, message.Events)
                && Same(expected.Authorization, message.Authorization), $"seed {seed}: {text}");
            AssertSameCredentials(message.Authorization, $"seed {seed}: {text}");
            AssertSameEvents(message.Events, $"seed {seed}: {text}");
        }

        Assert.InRange(accepted, RandomTexts / 10, RandomTexts);
    }

    [Fact]
    public void Escapes_are_resolved_as_the_framework_resolves_them()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        string[] pieces =
        [
            "a", "é", "😀", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0041", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\udc00",
            new string('x', 15), new string('y', 16), new string('z', 17), new string('w', 40),
        ];
        for (var i = 0; i < RandomTexts; i++)
        {
            var end = i % 2 == 0 ? pieces.Length : 11;
            var token = Encoding.UTF8.GetBytes($"\"{string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(end)]))}\"");
            var (expected, actual) = (new byte[token.Length], new byte[token.Length]);
            var (expectedLength, actualLength) = (Resolve(() => Framework(token, expected)), Resolve(() => JsonText.Unescape(token, actual)));
            Assert.True(
                expectedLength == actualLength && (actualLength < 0 || expected.AsSpan(0, actualLength).SequenceEqual(actual.AsSpan(0, actualLength))),
                $"seed {seed}: {Encoding.UTF8.GetString(token)}");
        }

        static int Framework(byte[] token, byte[] target)
        {
            var reader = new Utf8JsonReader(token);
            reader.Read();
            return reader.CopyString(target);
        }

        static int Resolve(Func<int> resolve)
        {
            try
            {
                return resolve();
            }
            catch (InvalidOperationException)
            {
                return -1;
            }
        }
    }

    private static void AssertSameJudgement(byte[] json, string note = "") =>
        Assert.True(
            ReferenceReader.IsValue(json, DepthMax) == JsonScanner.IsValue(json, DepthMax), $"{note}: {Encoding.UTF8.GetString(json)}");

    private static void AssertSameCredentials(ReadOnlyMemory<byte> json, string note)
    {
        var isExpected = ReferenceReader.TryParseCredentials(json, out var apiKey, out var authorization);
        Assert.True(isExpected == GatewayCredentials.TryParse(json, out var credentials), note);
        Assert.True(!isExpected || (Same(apiKey, credentials.ApiKey) && Same(authorization, credentials.Authorization)), note);
    }

    private static void AssertSameEvents(ReadOnlyMemory<byte> json, string note)
    {
        var limits = new GatewayLimits { EventsPerPublishMax = 3, EventBytesMax = 12, PublishBytesMax = 30 };
        var expected = ReferenceReader.ReadEvents(json.Span, limits, out var tokens);
        Assert.True(expected == EventReader.TryRead(json.Span, limits, out var batch), note);
        if (batch is null)
        {
            return;
        }

        Assert.True(tokens.Count == batch.Count, note);
        for (var i = 0; i < tokens.Count; i++)
        {
            Assert.True(tokens[i] is { } token ? batch.GetTail(i).SequenceEqual([.. token, (byte)'}']) : batch.GetFailure(i) is not null, note);
        }

        batch.Release();
    }

    private static bool Same(ReadOnlyMemory<byte>? left, ReadOnlyMemory<byte>? right) =>
        left.HasValue == right.HasValue && (left ?? default).Span.SequenceEqual((right ?? default).Span);
}
