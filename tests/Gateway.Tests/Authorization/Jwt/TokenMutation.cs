using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Jwt;

/// <summary>Changes valid tokens in the ways of accidents and of attackers.</summary>
internal static class TokenMutation
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. \n";

    private static readonly string[] s_algorithms =
        ["none", "None", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "", "dir"];

    /// <summary>Returns one of the tokens, changed.</summary>
    /// <param name="random">A seeded source.</param>
    /// <param name="tokens">The valid tokens.</param>
    /// <param name="secret">What an attacker would key an HMAC with.</param>
    public static string Mutate(Random random, string[] tokens, byte[] secret)
    {
        var token = tokens[random.Next(tokens.Length)];
        var parts = token.Split('.');
        switch (random.Next(10))
        {
            case 0: // one bit of the decoded bytes of a part
                var index = random.Next(3);
                var bytes = Decode(parts[index]);
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                parts[index] = Credentials.ToBase64Url(bytes);
                return string.Join('.', parts);
            case 1: // one character
                var at = random.Next(token.Length);
                return $"{token[..at]}{Alphabet[random.Next(Alphabet.Length)]}{token[(at + 1)..]}";
            case 2:
                return token[..random.Next(token.Length)];
            case 3:
                random.Shuffle(parts);
                return string.Join('.', parts);
            case 4: // parts of different tokens
                return string.Join('.', parts.Select((_, part) => tokens[random.Next(tokens.Length)].Split('.')[part]));
            case 5: // another algorithm, same signature
                parts[0] = Encode(WithAlgorithm(parts[0], random));
                return string.Join('.', parts);
            case 6: // unsigned, with and without the dot
                parts[0] = Encode(WithAlgorithm(parts[0], random));
                return random.Next(2) == 0 ? $"{parts[0]}.{parts[1]}." : $"{parts[0]}.{parts[1]}";
            case 7: // an HMAC keyed with the public key
                var input = $"{Encode(WithAlgorithm(parts[0], random))}.{parts[1]}";
                var data = Encoding.ASCII.GetBytes(input);
                var mac = random.Next(3) switch
                {
                    0 => HMACSHA256.HashData(secret, data),
                    1 => HMACSHA384.HashData(secret, data),
                    _ => HMACSHA512.HashData(secret, data),
                };
                return $"{input}.{Credentials.ToBase64Url(mac)}";
            case 8: // a claim of the attacker's choice
                var claims = JsonNode.Parse(Decode(parts[1]))!.AsObject();
                claims[random.Next(2) == 0 ? "exp" : "sub"] = random.Next();
                parts[1] = Encode(claims);
                return string.Join('.', parts);
            default: // more of something
                var more = random.Next(token.Length);
                return $"{token[..more]}{token.AsSpan(random.Next(token.Length))}{token[more..]}";
        }
    }

    private static JsonObject WithAlgorithm(string header, Random random)
    {
        var json = JsonNode.Parse(Decode(header))!.AsObject();
        json["alg"] = s_algorithms[random.Next(s_algorithms.Length)];
        if (random.Next(3) == 0)
        {
            json.Remove("kid");
        }

        return json;
    }

    private static string Encode(JsonObject json) => Credentials.ToBase64Url(Encoding.UTF8.GetBytes(json.ToJsonString()));

    private static byte[] Decode(string part) =>
        Convert.FromBase64String(part.Replace('-', '+').Replace('_', '/') + new string('=', (4 - (part.Length % 4)) % 4));
}
