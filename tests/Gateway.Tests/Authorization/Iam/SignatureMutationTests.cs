using System.Globalization;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Authorization;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

public sealed class SignatureMutationTests
{
    private const int MutantCount = 100_000;
    private const string Channel = "\"/default/room\"";
    private const string Events = """["{\"n\":1}"]""";
    private const string Body = """{"channel":"/default/room","events":["{\"n\":1}"]}""";

    private static readonly string[] s_algorithms = ["AWS4-HMAC-SHA256-PAYLOAD", "AWS4-HMAC-SHA1", "AWS4-ECDSA-P256-SHA256", "AWS4-HMAC-SHA512", "aws4-hmac-sha256", ""];

    /// <summary>Whatever is done to a signed request, it is not accepted unless it still says the same.</summary>
    [Fact]
    public void No_mutant_is_accepted()
    {
        using var bench = new IamBench();
        var random = new Random(6_020_231);
        var accepted = 0;
        var original = bench.Signer.SignObject(Body);
        for (var i = 0; i < MutantCount; i++)
        {
            var mutant = Mutate(random, original);
            var isSame = Normalize(mutant) == Normalize(original);
            var decision = bench.Message(AuthOperation.Publish, Channel, Events, mutant);
            if (decision.Error is null)
            {
                accepted++;
                Assert.True(isSame, $"mutant {i} was accepted: {mutant.ToJsonString()}");
            }
            else
            {
                Assert.True(decision.Error.Status is 400 or 401, $"mutant {i} got {decision.Error.Status}");
            }
        }

        // Some only reorder parameters or touch a space; most must mean something for this test to mean anything.
        Assert.InRange(accepted, 1, MutantCount / 5);
    }

    private static JsonObject Mutate(Random random, JsonObject original)
    {
        while (true)
        {
            var mutant = original.DeepClone().AsObject();
            if (random.Next(4) == 0)
            {
                // One of the signed headers.
                var names = mutant.Select(member => member.Key).Where(name => name != "authorization").ToArray();
                var name = names[random.Next(names.Length)];
                mutant[name] = Mutate(random, (string)mutant[name]!);
            }
            else
            {
                mutant["authorization"] = MutateAuthorization(random, (string)mutant["authorization"]!);
            }

            if (!JsonNode.DeepEquals(mutant, original))
            {
                return mutant;
            }
        }
    }

    // Spaces around parameters and values are not part of what is said.
    private static string Normalize(JsonObject request)
    {
        var parts = request.Where(member => member.Key != "authorization")
            .Select(member => $"{member.Key}:{string.Join(' ', ((string)member.Value!).Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries))}");
        var authorization = (string)request["authorization"]!;
        var space = authorization.IndexOf(' ', StringComparison.Ordinal);
        var parameters = authorization[(space + 1)..].Split(',').Select(part => part.Trim(' ')).Order(StringComparer.Ordinal);
        return string.Join('\n', [.. parts, space < 0 ? "" : authorization[..space], .. parameters]);
    }

    private static string MutateAuthorization(Random random, string value)
    {
        var space = value.IndexOf(' ', StringComparison.Ordinal);
        var parts = value[(space + 1)..].Split(", ");
        switch (random.Next(10))
        {
            case 0:
                return s_algorithms[random.Next(s_algorithms.Length)] + value[space..];
            case 1:
                var names = parts[1]["SignedHeaders=".Length..].Split(';');
                random.Shuffle(names);
                return Join($"SignedHeaders={string.Join(';', names[random.Next(2)..])}", 1);
            case 2:
                var scope = parts[0].Split('/');
                scope[random.Next(scope.Length)] = Mutate(random, scope[random.Next(scope.Length)]);
                return Join(string.Join('/', scope), 0);
            case 3:
                random.Shuffle(parts);
                return value[..(space + 1)] + string.Join(random.Next(2) == 0 ? "," : ", ", parts);
            case 4:
                return value + ", " + parts[random.Next(3)];
            case 5:
                return Join("Signature=" + parts[2]["Signature=".Length..].ToUpper(CultureInfo.InvariantCulture), 2);
            case 6:
                // One bit of the signature.
                var bytes = Convert.FromHexString(parts[2]["Signature=".Length..]);
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                return Join("Signature=" + Convert.ToHexStringLower(bytes), 2);
            default:
                return Mutate(random, value);
        }

        string Join(string part, int index)
        {
            parts[index] = part;
            return value[..(space + 1)] + string.Join(", ", parts);
        }
    }

    private static string Mutate(Random random, string value)
    {
        var at = random.Next(value.Length);
        return random.Next(5) switch
        {
            0 => value[..at],
            1 => value.Remove(at, 1),
            2 => value.Insert(at, ((char)random.Next(32, 127)).ToString()),
            3 => value[..at] + (char)random.Next(32, 127) + value[(at + 1)..],
            _ => value[at..] + value[..at],
        };
    }
}
