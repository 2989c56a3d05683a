using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

/// <summary>Signature Version 4 written from its description alone, slow and obvious; shares nothing with the gateway's code.</summary>
public sealed record ReferenceSigner
{
    /// <summary>The id of the access key that the public test vectors use.</summary>
    public const string ExampleId = "AKIDEXAMPLE";

    /// <summary>The secret of that key.</summary>
    public const string ExampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    public string AccessKeyId { get; init; } = ExampleId;

    public string Secret { get; init; } = ExampleSecret;

    public string? SessionToken { get; init; }

    public bool SignsSessionToken { get; init; } = true;

    public string Region { get; init; } = "eu-west-1";

    public string Service { get; init; } = "appsync";

    public string Method { get; init; } = "POST";

    public string Path { get; init; } = "/event";

    public string Query { get; init; } = "";

    public DateTimeOffset Time { get; init; } = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    /// <summary>The day in the scope; that of <see cref="Time"/> unless a test wants another.</summary>
    public string? ScopeDate { get; init; }

    /// <summary>Headers besides <c>x-amz-date</c> and the session token.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } =
    [
        ("accept", "application/json, text/javascript"),
        ("content-encoding", "amz-1.0"),
        ("content-type", "application/json; charset=UTF-8"),
        ("host", "localhost:8080"),
    ];

    /// <summary>Names of headers that are sent and not signed.</summary>
    public IReadOnlyList<string> NotSigned { get; init; } = [];

    /// <summary>Signs a payload: all headers, in the order of names, with <c>authorization</c> as the last.</summary>
    public IReadOnlyList<(string Name, string Value)> Sign(string payload)
    {
        var time = Time.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        var date = ScopeDate ?? time[..8];
        List<(string Name, string Value)> all = [.. Headers];
        if (!all.Any(header => header.Name is "x-amz-date" or "date"))
        {
            all.Add(("x-amz-date", time));
        }

        List<(string Name, string Value)> signed = [.. all.Where(header => !NotSigned.Contains(header.Name))];
        if (SessionToken is not null)
        {
            all.Add(("x-amz-security-token", SessionToken));
            if (SignsSessionToken)
            {
                signed.Add(("x-amz-security-token", SessionToken));
            }
        }

        signed.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        var names = string.Join(';', signed.Select(header => header.Name));
        var lines = signed.Select(header => $"{header.Name}:{Collapse(header.Value)}\n");
        var canonical = $"{Method}\n{Path}\n{Query}\n{string.Concat(lines)}\n{names}\n{Hash(payload)}";
        var scope = $"{date}/{Region}/{Service}/aws4_request";
        var text = $"AWS4-HMAC-SHA256\n{time}\n{scope}\n{Hash(canonical)}";

        var key = Hmac(Encoding.UTF8.GetBytes("AWS4" + Secret), date);
        key = Hmac(key, Region);
        key = Hmac(key, Service);
        key = Hmac(key, "aws4_request");
        var signature = Convert.ToHexStringLower(Hmac(key, text));
        all.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        all.Add(("authorization", $"AWS4-HMAC-SHA256 Credential={AccessKeyId}/{scope}, SignedHeaders={names}, Signature={signature}"));
        return all;
    }

    /// <summary>Signs a payload and makes the authorization object of it.</summary>
    public JsonObject SignObject(string payload)
    {
        var json = new JsonObject();
        foreach (var (name, value) in Sign(payload))
        {
            json[name] = value;
        }

        return json;
    }

    /// <summary>A payload's SHA-256 in hexadecimal.</summary>
    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static byte[] Hmac(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));

    private static string Collapse(string value) =>
        string.Join(' ', value.Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
}
