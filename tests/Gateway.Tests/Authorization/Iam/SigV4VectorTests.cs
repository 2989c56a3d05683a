using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Signing;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

public sealed class SigV4VectorTests
{
    private const string SuiteToken = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";

    private static readonly DateTimeOffset s_suiteTime = new(2015, 8, 30, 12, 36, 0, TimeSpan.Zero);

    /// <summary>
    /// Requests and signatures of the public AWS Signature Version 4 test suite (aws-signing-test-suite of aws-c-auth, Apache-2.0),
    /// retyped. Every request goes to example.amazonaws.com, service "service", region us-east-1; headers here are what it signs
    /// besides host and x-amz-date.
    /// </summary>
    public static TheoryData<string, string, string, string, string, string> Suite => new()
    {
        { "get-vanilla", "GET", "/", "", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "get-vanilla-empty-query-key", "GET", "/", "Param1=value1", "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
        { "get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        { "get-vanilla-query-order-encoded", "GET", "/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1", "", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac" },
        { "get-vanilla-utf8-query", "GET", "/", "ሴ=bar", "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
        { "get-header-key-duplicate", "GET", "/", "", "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
        { "get-header-value-multiline", "GET", "/", "", "My-Header1:value1\r\n  value2\r\n     value3", "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd" },
        { "get-header-value-order", "GET", "/", "", "My-Header1:value4\nMy-Header1:value1\nMy-Header1:value3\nMy-Header1:value2", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01" },
        { "get-header-value-trim", "GET", "/", "", "My-Header1: value1\nMy-Header2: \"a   b   c\"", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
        { "get-relative-relative", "GET", "/example1/example2/../..", "", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "get-slash-pointless-dot", "GET", "/./example", "", "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5" },
        { "get-slashes", "GET", "//example//", "", "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84" },
        { "get-space", "GET", "/example space/", "", "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741" },
        { "get-utf8", "GET", "/ሴ", "", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
        { "get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
        { "get-vanilla-with-session-token", "GET", "/", "", "X-Amz-Security-Token:" + SuiteToken, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8" },
        { "post-vanilla", "POST", "/", "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
        { "post-header-key-sort", "POST", "/", "", "My-Header1:value1", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c" },
        { "post-header-value-case", "POST", "/", "", "My-Header1:VALUE1", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d" },
        { "post-vanilla-query", "POST", "/", "Param1=value1", "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11" },
    };

    /// <summary>Appendix C of the protocol's description.</summary>
    public static TheoryData<string, string, string> EventsVectors => new()
    {
        { "Connect", "{}", "520ceb28073ce7c66045034131ebdcf23123c66afb566be5d9aeff88955e6160" },
        { "Subscribe", """{"channel":"/default/room"}""", "a8b874a11996a42366fe8f233553c025372dc64b9b85aa974899aafbce6f1eac" },
        { "Publish", """{"channel":"/default/room","events":["{\"n\":1}"]}""", "1d87a22cc87b097862b838dd06e19ccf8edb122aa0deb6befc047ff1db964085" },
    };

    [Theory]
    [MemberData(nameof(Suite))]
    public void The_signer_agrees_with_the_public_suite(string name, string method, string path, string query, string headers, string signature)
    {
        Assert.NotEmpty(name);
        var signer = new SigV4Signer(
            new SigV4Credentials(ReferenceSigner.ExampleId, ReferenceSigner.ExampleSecret), "us-east-1", "service", TimeProvider.System);
        List<KeyValuePair<string, string>> all =
            [KeyValuePair.Create("Host", "example.amazonaws.com"), KeyValuePair.Create("X-Amz-Date", "20150830T123600Z")];
        all.AddRange(headers.Replace("\r\n", "\r", StringComparison.Ordinal).Split('\n')
            .Where(line => line.Length > 0)
            .Select(line => KeyValuePair.Create(line.Split(':')[0], line[(line.IndexOf(':') + 1)..])));

        var authorization = signer.CreateAuthorization(method, path, query, all, SHA256.HashData([]), s_suiteTime);

        Assert.EndsWith("Signature=" + signature, authorization, StringComparison.Ordinal);
        Assert.StartsWith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=", authorization, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(EventsVectors))]
    public void Signer_reference_and_verifier_agree_on_the_vectors_of_Events(string operation, string body, string signature)
    {
        var reference = new ReferenceSigner();
        var authorization = reference.Sign(body)[^1].Value;
        Assert.EndsWith("Signature=" + signature, authorization, StringComparison.Ordinal);

        var signer = new SigV4Signer(
            new SigV4Credentials(ReferenceSigner.ExampleId, ReferenceSigner.ExampleSecret), "eu-west-1", "appsync", TimeProvider.System);
        var headers = reference.Headers.Append(("x-amz-date", "20260102T030405Z")).Select(header => KeyValuePair.Create(header.Item1, header.Item2));
        Assert.Equal(authorization, signer.CreateAuthorization("POST", "/event", "", headers, SHA256.HashData(Encoding.UTF8.GetBytes(body)), reference.Time));

        // The vectors are of one fixed time, which no clock skew that can be configured reaches; the verifier sees them re-dated.
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject(body);
        var decision = Enum.Parse<AuthOperation>(operation) switch
        {
            AuthOperation.Connect => bench.Connect(signed),
            AuthOperation.Subscribe => bench.Message(AuthOperation.Subscribe, "\"/default/room\"", null, signed),
            _ => bench.Message(AuthOperation.Publish, "\"/default/room\"", """["{\"n\":1}"]""", signed),
        };
        decision.AssertGranted();
    }

    [Fact]
    public async Task The_signer_signs_a_request_message_with_its_path_encoded_twice()
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "http://localhost:9000/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Aauth/invocations?Qualifier=live");
        request.Content = new StringContent("{}", new MediaTypeHeaderValue("application/json"));
        request.Headers.Add("X-Amz-Invocation-Type", "RequestResponse");
        var clock = new ManualTimeProvider();
        var signer = new SigV4Signer(new SigV4Credentials("AKID", "secret", "token"), "us-east-1", "lambda", clock);

        signer.Sign(request, await request.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        signer.Sign(request, "{}"u8); // again, as a retry does

        var reference = new ReferenceSigner
        {
            AccessKeyId = "AKID",
            Secret = "secret",
            SessionToken = "token",
            Region = "us-east-1",
            Service = "lambda",
            Path = "/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-east-1%253A1%253Afunction%253Aauth/invocations",
            Query = "Qualifier=live",
            Time = clock.GetUtcNow(),
            Headers = [("content-type", "application/json"), ("host", "localhost:9000"), ("x-amz-invocation-type", "RequestResponse")],
        };
        Assert.Equal(reference.Sign("{}")[^1].Value, Assert.Single(request.Headers.NonValidated["Authorization"]));
        Assert.Equal(
            clock.GetUtcNow().ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture), Assert.Single(request.Headers.GetValues("X-Amz-Date")));
        Assert.Equal("token", Assert.Single(request.Headers.GetValues("X-Amz-Security-Token")));
    }

    [Fact]
    public void Credentials_do_not_show_their_secrets() =>
        Assert.Equal("SigV4Credentials { AccessKeyId = AKID }", new SigV4Credentials("AKID", "secret", "token").ToString());
}
