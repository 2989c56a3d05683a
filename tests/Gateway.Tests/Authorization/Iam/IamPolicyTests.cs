using System.Diagnostics;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Iam;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

public sealed class IamPolicyTests
{
    private const string Api = IamBench.ApiArn;
    private const string Default = Api + "/channelNamespace/default";
    private const string Connect = "appsync:EventConnect";
    private const string Publish = "appsync:EventPublish";
    private const string Subscribe = "appsync:EventSubscribe";

    /// <summary>Statements, one a line as effect, actions and resources; then an operation, a resource and whether it is allowed.</summary>
    public static TheoryData<string, string, string, bool> Table => new()
    {
        // What nothing allows is denied.
        { "", Connect, Api, false },
        { $"Allow {Publish} *", Connect, Api, false },
        { $"Allow {Publish} *", Subscribe, Default, false },
        { $"Allow {Publish} *", Publish, Default, true },

        // Actions: names without regard to case, patterns, lists.
        { $"Allow {Connect} {Api}", Connect, Api, true },
        { $"Allow APPSYNC:eventCONNECT {Api}", Connect, Api, true },
        { "Allow appsync:Event* *", Subscribe, Default, true },
        { "Allow appsync:event??????? *", Connect, Api, true },
        { "Allow appsync:event??????? *", Publish, Default, true },
        { "Allow appsync:event??????? *", Subscribe, Default, false },
        { "Allow appsync:* *", Publish, Default, true },
        { "Allow * *", Publish, Default, true },
        { "Allow *Publish *", Publish, Default, true },
        { "Allow dynamodb:* *", Publish, Default, false },
        { "Allow appsync:GraphQL *", Publish, Default, false },
        { $"Allow {Connect},{Publish} *", Publish, Default, true },
        { $"Allow {Connect},{Publish} *", Subscribe, Default, false },
        { "Allow appsync:EventPublishX *", Publish, Default, false },

        // Resources: with regard to case, patterns, lists.
        { $"Allow {Publish} {Default}", Publish, Default, true },
        { $"Allow {Publish} {Default}", Publish, Api + "/channelNamespace/other", false },
        { $"Allow {Publish} {Default}", Publish, Api + "/channelNamespace/defaults", false },
        { $"Allow {Publish} {Api}/channelNamespace/DEFAULT", Publish, Default, false },
        { $"Allow {Publish} {Api}/channelNamespace/*", Publish, Default, true },
        { $"Allow {Publish} {Api}/*", Publish, Default, true },
        { $"Allow {Connect} {Api}/*", Connect, Api, false },
        { $"Allow {Connect} {Api}*", Connect, Api, true },
        { $"Allow {Publish} {Api}", Publish, Default, false },
        { $"Allow {Publish} arn:aws:appsync:*:*:apis/*", Publish, Default, true },
        { $"Allow {Publish} arn:aws:appsync:us-east-1:*:apis/*", Publish, Default, false },
        { $"Allow {Publish} {Api}/channelNamespace/?efaul?", Publish, Default, true },
        { $"Allow {Publish} {Api}/channelNamespace/default?", Publish, Default, false },
        { $"Allow {Publish} {Api}/channelNamespace/d*f*t", Publish, Default, true },
        { $"Allow {Publish} {Api}/channelNamespace/d**t", Publish, Default, true },
        { $"Allow {Publish} {Api}/channelNamespace/default**", Publish, Default, true },
        { $"Allow {Publish} {Api}/channelNamespace/x,{Default}", Publish, Default, true },
        { $"Allow {Publish} ?", Publish, Default, false },

        // A denial wins, wherever it stands.
        { $"Allow * *\nDeny {Publish} {Default}", Publish, Default, false },
        { $"Deny {Publish} {Default}\nAllow * *", Publish, Default, false },
        { $"Deny {Publish} {Default}\nAllow * *", Subscribe, Default, true },
        { $"Deny {Publish} {Default}\nAllow * *", Publish, Api + "/channelNamespace/other", true },
        { "Allow * *\nDeny * *", Connect, Api, false },
        { $"Deny {Publish} {Default}", Subscribe, Default, false },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void Statements_decide(string statements, string action, string resource, bool isAllowed)
    {
        var policy = new IamPolicy([.. statements.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse)]);
        var operation = Enum.GetValues<AuthOperation>().Single(operation => IamPolicy.GetAction(operation) == action);
        Assert.Equal(isAllowed, policy.Allows(operation, resource));
    }

    [Fact]
    public void Patterns_agree_with_a_slow_and_obvious_matcher()
    {
        var random = new Random(20260102);
        for (var i = 0; i < 100_000; i++)
        {
            var pattern = Text("ab*?", 8);
            var text = Text("ab", 8);
            Assert.True(IsMatch(pattern, text) == new WildcardPattern(pattern).IsMatch(text), $"{pattern} on {text}");
        }

        string Text(string alphabet, int lengthMax) =>
            string.Concat(Enumerable.Range(0, random.Next(lengthMax)).Select(_ => alphabet[random.Next(alphabet.Length)]));

        static bool IsMatch(string pattern, string text) => pattern.Length == 0
            ? text.Length == 0
            : pattern[0] == '*'
                ? IsMatch(pattern[1..], text) || (text.Length > 0 && IsMatch(pattern, text[1..]))
                : text.Length > 0 && (pattern[0] == '?' || pattern[0] == text[0]) && IsMatch(pattern[1..], text[1..]);
    }

    [Fact]
    public void A_pattern_made_to_be_slow_is_not()
    {
        var pattern = new WildcardPattern(string.Concat(Enumerable.Repeat("a*", 500)) + "b");
        var began = Stopwatch.GetTimestamp();
        Assert.False(pattern.IsMatch(new string('a', 5000)));
        Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Http_clients_are_told_what_they_lack_and_WebSockets_are_not()
    {
        using var bench = new IamBench(("Fanfare:Iam:Users:0:Policies:0:Resource", Api + "/channelNamespace/other"));
        const string body = """{"channel":"/default/a","events":["1"]}""";
        bench.HttpPublish("/default/a", body, bench.Signer.Sign(body)).AssertRefused(
            "AccessDeniedException",
            $"User: arn:aws:iam::123456789012:user/ana is not authorized to perform: {Publish} on resource: {Default}",
            403);
        bench.Message(AuthOperation.Publish, "\"/default/a\"", "[\"1\"]", bench.Signer.SignObject(body))
            .AssertRefused("UnauthorizedException", null, 403);
        bench.Message(AuthOperation.Subscribe, "\"/default/a\"", null, bench.Signer.SignObject("""{"channel":"/default/a"}"""))
            .AssertRefused("UnauthorizedException", null, 403);
        bench.Connect(bench.Signer.SignObject("{}")).AssertRefused("UnauthorizedException", null, 403);
        bench.Message(AuthOperation.Subscribe, "\"/other/a\"", null, bench.Signer.SignObject("""{"channel":"/other/a"}""")).AssertGranted();
    }

    [Fact]
    public void A_namespace_that_is_not_there_looks_like_one_that_is_not_allowed()
    {
        using var bench = new IamBench();
        bench.Message(AuthOperation.Subscribe, "\"/none/a\"", null, bench.Signer.SignObject("""{"channel":"/none/a"}"""))
            .AssertRefused("UnauthorizedException", null, 403);
        bench.Message(AuthOperation.Subscribe, "\"/keys/a\"", null, bench.Signer.SignObject("""{"channel":"/keys/a"}"""))
            .AssertRefused("UnauthorizedException", null, 403);

        // Strangers don't get that far.
        bench.Message(AuthOperation.Subscribe, "\"/none/a\"", null, bench.Signer.SignObject("{}")).AssertMismatch();
    }

    private static IamPolicyOptions Parse(string statement)
    {
        var parts = statement.Split(' ');
        var options = new IamPolicyOptions { Effect = parts[0] };
        foreach (var action in parts[1].Split(','))
        {
            options.Action.Add(action);
        }

        foreach (var resource in parts[2].Split(','))
        {
            options.Resource.Add(resource);
        }

        return options;
    }
}
