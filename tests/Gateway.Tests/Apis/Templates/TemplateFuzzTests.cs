using System.Text;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>Whatever a template holds, it loads or ends in a <see cref="TemplateException"/>.</summary>
public sealed class TemplateFuzzTests : IDisposable
{
    private const int MutationCount = 20_000;

    private static readonly string[] s_seeds =
    [
        "appsync-events.yaml", "appsync-events.ja.yaml", "loader-intrinsics.yaml", "cdk-eventapi-minimal.json", "seed-004-cdk-fixed-env.json",
        "cdk-out/AssetEvents.template.json", "cdk-out/ConsumerStack.template.json", "apigw-websocket.yaml",
    ];

    private static readonly string[] s_pieces =
    [
        "!Ref ", "!GetAtt ", "!Sub ", "!If [", "!Join", "!", "!!", "!<", "&a ", "*a", "<<: *a\n", "- ", "? ", ": ", "\n", "\n\n  ", "\t", "{", "}", "[", "]",
        "\"", "'", "|", ">-\n", "#", "%YAML 1.2\n", "%TAG ! x\n", "---\n", "...\n", "\\u", "\\ud800", "\"\\x\"", "\u2028", "\0", "\uFEFF", "${", "}", "${Api.Arn}",
        "null", "~", "true", "-1", "1e999", "99999999999999999999", "\"Ref\": ", "\"Fn::GetAtt\": [", "\"Fn::Sub\": ", "Fn::If", "Condition", "AWS::NoValue",
        "Api", "ApiId", "Properties", "Resources", "Type", "AWS::AppSync::Api", "AWS::AppSync::ApiKey", "é", "💥",
    ];

    private readonly TemplateFixture _fixture = new();

    [Fact]
    public void Only_template_exceptions_escape_from_damaged_templates()
    {
        var random = new Random(20_260_301); // The seed makes a failure repeatable; its message has the template.
        var seeds = s_seeds.Select(name => (Name: name, Text: File.ReadAllText(TemplateFixture.Kept(name)))).ToList();
        var (loaded, refused) = (0, 0);
        for (var i = 0; i < MutationCount; i++)
        {
            var (name, text) = seeds[i % seeds.Count];
            var bytes = Encoding.UTF8.GetBytes(Mutate(text, random));
            if (random.Next(20) == 0 && bytes.Length > 0) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            var path = _fixture.Write(bytes, "fuzz" + Path.GetExtension(name));
            try
            {
                TemplateLoader.Load([path], TemplateFixture.Options);
                loaded++;
            }
            catch (TemplateException exception)
            {
                refused++;
                Assert.All(exception.Errors, error => Assert.DoesNotContain('\n', error.ToString()));
            }
            catch (Exception exception)
            {
                Assert.Fail($"Mutation {i} of {name} let {exception.GetType().Name} escape:\n{Encoding.UTF8.GetString(bytes)}\n{exception}");
            }
        }

        // The test means something only while damage is neither always fatal nor always harmless.
        Assert.InRange(loaded, MutationCount / 50, MutationCount);
        Assert.InRange(refused, MutationCount / 4, MutationCount);
    }

    /// <inheritdoc/>
    public void Dispose() => _fixture.Dispose();

    private static string Mutate(string text, Random random)
    {
        var result = new StringBuilder(text);
        for (var count = random.Next(1, 4); count > 0 && result.Length > 0; count--)
        {
            var at = random.Next(result.Length);
            var length = Math.Min(random.Next(1, 40), result.Length - at);
            switch (random.Next(6))
            {
                case 0:
                    result.Remove(at, length);
                    break;
                case 1:
                    result.Insert(at, s_pieces[random.Next(s_pieces.Length)]);
                    break;
                case 2:
                    result.Insert(random.Next(result.Length), result.ToString(at, length));
                    break;
                case 3:
                    result[at] = (char)random.Next(1, 128);
                    break;
                case 4 when random.Next(10) == 0:
                    result.Length = at;
                    break;
                default:
                    ReplaceWord(result, at, s_pieces[random.Next(s_pieces.Length)]);
                    break;
            }
        }

        return result.ToString();
    }

    // Words make damage that parses, which is what gets past the parsers.
    private static void ReplaceWord(StringBuilder text, int at, string piece)
    {
        var (start, end) = (at, at);
        while (start > 0 && char.IsAsciiLetterOrDigit(text[start - 1])) start--;
        while (end < text.Length && char.IsAsciiLetterOrDigit(text[end])) end++;
        text.Remove(start, end - start).Insert(start, piece);
    }
}
